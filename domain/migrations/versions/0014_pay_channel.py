"""What the payment channel told: notifications, fund bills, matches."""

from domain.migrations.files import run

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None


def upgrade() -> None:
    run("0014_pay_channel")


def downgrade() -> None:
    raise NotImplementedError("forward only")
