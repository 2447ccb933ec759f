"""What is taken back by hand is not more than two people agreed to."""

from domain.migrations.files import replace

revision = "0060"
down_revision = "0059"
branch_labels = None
depends_on = None


def upgrade() -> None:
    replace("point_taking_allowed", "gift_taking_allowed")


def downgrade() -> None:
    raise NotImplementedError("forward only")
