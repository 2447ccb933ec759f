"""Assignments, exposures and readings of experiments."""

from domain.migrations.files import run

revision = "0020"
down_revision = "0019"
branch_labels = None
depends_on = None


def upgrade() -> None:
    run("0020_experiments")


def downgrade() -> None:
    raise NotImplementedError("forward only")
