"""Paid membership, draws and the points mall."""

from domain.migrations.files import run

revision = "0025"
down_revision = "0024"
branch_labels = None
depends_on = None


def upgrade() -> None:
    run("0025_membership")


def downgrade() -> None:
    raise NotImplementedError("forward only")
