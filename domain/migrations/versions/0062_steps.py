"""What changes in rows of money goes by what justifies it."""

from domain.migrations.files import replace, run

revision = "0062"
down_revision = "0061"
branch_labels = None
depends_on = None


def upgrade() -> None:
    replace("orders_change", "order_refunded", "order_line_refunded", "order_card_fits", "order_completed",
            "release_hold", "commission_line_steps", "moves_by_merge")
    run("0062_steps")


def downgrade() -> None:
    raise NotImplementedError("forward only")
