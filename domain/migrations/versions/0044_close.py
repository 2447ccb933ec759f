"""Months closed faster."""

from domain.migrations.files import run

revision = "0044"
down_revision = "0042"
branch_labels = None
depends_on = None


def upgrade() -> None:
    run("0044_close")


def downgrade() -> None:
    raise NotImplementedError("forward only")
