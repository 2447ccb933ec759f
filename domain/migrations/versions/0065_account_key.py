"""Accounts of people and of the platform are found by one look."""

from domain.migrations.files import replace, run

revision = "0065"
down_revision = "0064"
branch_labels = None
depends_on = None


def upgrade() -> None:
    run("0065_account_key")
    replace("ledger_write")


def downgrade() -> None:
    raise NotImplementedError("forward only")
