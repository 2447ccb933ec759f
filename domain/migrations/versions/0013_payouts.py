"""Personal data under lock, withdrawals, transfer bills and tax."""

from domain.migrations.files import run

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None


def upgrade() -> None:
    run("0013_payouts")


def downgrade() -> None:
    raise NotImplementedError("forward only")
