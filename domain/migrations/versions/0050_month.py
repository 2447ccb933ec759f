"""A month close with fewer looks at what it knows."""

from domain.migrations.files import replace, run

revision = "0050"
down_revision = "0048"
branch_labels = None
depends_on = None


def upgrade() -> None:
    run("0050_month")
    replace("ledger_earned_digest", "ledger_earn", "journal_refers", "posting_refers", "person_known", "month_count",
            "month_close_some")
    run("0050_month_keys")


def downgrade() -> None:
    raise NotImplementedError("forward only")
