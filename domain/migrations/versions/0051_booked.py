"""News of orders in one row, lines checked once a statement, balances locked as they are written."""

from alembic import op

from domain.migrations.files import replace, run

revision = "0051"
down_revision = "0050"
branch_labels = None
depends_on = None


def upgrade() -> None:
    run("0051_booked")
    replace("order_news_of", "order_news_spread", "order_line_refers", "commission_within_paid", "ledger_write")
    op.execute("create trigger order_line_refers after insert on order_line"
               " referencing new table as fresh for each statement execute function order_line_refers()")


def downgrade() -> None:
    raise NotImplementedError("forward only")
