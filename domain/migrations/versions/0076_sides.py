"""Postings are looked up side by side, balances move by what was looked up, and guards prepare fewer steps."""

from domain.migrations.files import replace

revision = "0076"
down_revision = "0075"
branch_labels = None
depends_on = None


def upgrade() -> None:
    replace("ledger_write", "order_news_of", "commission_within_paid")


def downgrade() -> None:
    raise NotImplementedError("forward only")
