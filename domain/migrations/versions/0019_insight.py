"""Tags and segments, kept current by events."""

from domain.migrations.files import run

revision = "0019"
down_revision = "0018"
branch_labels = None
depends_on = None


def upgrade() -> None:
    run("0019_insight")


def downgrade() -> None:
    raise NotImplementedError("forward only")
