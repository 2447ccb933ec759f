"""A month close that writes less for each person."""

from domain.migrations.files import replace, run

revision = "0054"
down_revision = "0053"
branch_labels = None
depends_on = None


def upgrade() -> None:
    run("0054_close")
    replace("month_count", "month_close_some", "ledger_earn")


def downgrade() -> None:
    raise NotImplementedError("forward only")
