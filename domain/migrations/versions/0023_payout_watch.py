"""What is watched about payouts."""

from domain.migrations.files import run

revision = "0023"
down_revision = "0022"
branch_labels = None
depends_on = None


def upgrade() -> None:
    run("0023_payout_watch")


def downgrade() -> None:
    raise NotImplementedError("forward only")
