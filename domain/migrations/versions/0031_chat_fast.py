"""Chat answered and effects sent faster."""

from domain.migrations.files import run

revision = "0031"
down_revision = "0030"
branch_labels = None
depends_on = None


def upgrade() -> None:
    run("0031_chat_fast")


def downgrade() -> None:
    raise NotImplementedError("forward only")
