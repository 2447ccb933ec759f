"""The sums of teams are made before they meet the sums of their people."""

from domain.migrations.files import replace

revision = "0073"
down_revision = "0072"
branch_labels = None
depends_on = None


def upgrade() -> None:
    replace("month_count")


def downgrade() -> None:
    raise NotImplementedError("forward only")
