"""Products, orders, the inbox of commerce events, commission plans and deals, and the ledger."""

from domain.migrations.files import run

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    run("0002_orders", "0002_ledger", "0002_commissions", "0002_workflows")


def downgrade() -> None:
    raise NotImplementedError("forward only")
