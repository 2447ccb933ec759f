"""The platform's accounts are looked up once for many postings."""

from domain.migrations.files import replace

revision = "0084"
down_revision = "0083"
branch_labels = None
depends_on = None


def upgrade() -> None:
    replace("ledger_write")


def downgrade() -> None:
    raise NotImplementedError("forward only")
