"""Orders booked faster."""

from domain.migrations.files import run

revision = "0030"
down_revision = "0029"
branch_labels = None
depends_on = None


def upgrade() -> None:
    run("0030_orders_fast")


def downgrade() -> None:
    raise NotImplementedError("forward only")
