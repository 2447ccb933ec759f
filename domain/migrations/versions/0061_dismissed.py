"""Events that were dismissed keep no phone."""

from domain.migrations.files import run

revision = "0061"
down_revision = "0060"
branch_labels = None
depends_on = None


def upgrade() -> None:
    run("0061_dismissed")


def downgrade() -> None:
    raise NotImplementedError("forward only")
