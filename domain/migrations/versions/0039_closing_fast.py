"""Month close and team board."""

from domain.migrations.files import run

revision = "0039"
down_revision = "0038"
branch_labels = None
depends_on = None


def upgrade() -> None:
    run("0039_closing_fast")


def downgrade() -> None:
    raise NotImplementedError("forward only")
