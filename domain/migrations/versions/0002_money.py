"""Products, orders, the inbox of commerce events, commission plans and deals, and the ledger."""

from pathlib import Path

from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

SQL = Path(__file__).parent.parent / "sql"
FILES = ("0002_orders.sql", "0002_ledger.sql", "0002_commissions.sql", "0002_workflows.sql")


def upgrade() -> None:
    for name in FILES:
        op.get_bind().exec_driver_sql((SQL / name).read_text("utf-8"), execution_options={"no_parameters": True})


def downgrade() -> None:
    raise NotImplementedError("forward only")
