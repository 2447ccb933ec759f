"""Nothing is booked on an older snapshot."""

from domain.migrations.files import replace

revision = "0052"
down_revision = "0051"
branch_labels = None
depends_on = None


def upgrade() -> None:
    replace("booking_lock", "commission_within_paid", "money_apply")


def downgrade() -> None:
    raise NotImplementedError("forward only")
