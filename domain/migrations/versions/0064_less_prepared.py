"""What one order has prepared is less: fewer steps for few rows, the same for many."""

from domain.migrations.files import replace

revision = "0064"
down_revision = "0063"
branch_labels = None
depends_on = None


def upgrade() -> None:
    replace("commission_within_paid", "money_apply", "order_line_refers", "order_news_of", "posting_refers",
            "refuse_withdrawal_of_frozen")


def downgrade() -> None:
    raise NotImplementedError("forward only")
