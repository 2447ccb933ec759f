"""Occasions that were told to journeys."""

from domain.migrations.files import run

revision = "0022"
down_revision = "0021"
branch_labels = None
depends_on = None


def upgrade() -> None:
    run("0022_occasions")


def downgrade() -> None:
    raise NotImplementedError("forward only")
