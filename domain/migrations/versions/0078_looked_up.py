"""Accounts of postings are looked up by key, whatever the plan was made for."""

from domain.migrations.files import replace

revision = "0078"
down_revision = "0077"
branch_labels = None
depends_on = None


def upgrade() -> None:
    replace("ledger_write")


def downgrade() -> None:
    raise NotImplementedError("forward only")
