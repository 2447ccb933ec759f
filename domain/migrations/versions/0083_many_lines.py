"""Journals are written plainly; lines of many commissions are looked at along the index."""

from domain.migrations.files import replace

revision = "0083"
down_revision = "0082"
branch_labels = None
depends_on = None


def upgrade() -> None:
    replace("ledger_write", "commission_within_paid")


def downgrade() -> None:
    raise NotImplementedError("forward only")
