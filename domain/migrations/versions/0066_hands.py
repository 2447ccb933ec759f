"""What needs two people, a case or a reason is refused to plain SQL."""

from domain.migrations.files import replace, run

revision = "0066"
down_revision = "0065"
branch_labels = None
depends_on = None


def upgrade() -> None:
    replace("refuse_change", "withdrawal_two_people", "account_hold_lifted")
    run("0066_hands")


def downgrade() -> None:
    raise NotImplementedError("forward only")
