"""Payments that came together wait in one row until somebody takes them."""

from domain.migrations.files import replace, run

revision = "0079"
down_revision = "0078"
branch_labels = None
depends_on = None


def upgrade() -> None:
    run("0079_batches")
    replace("events_take_in", "intake_take", "intake_take_many", "intake_take_batches", "events_apart", "intake_hand_out")


def downgrade() -> None:
    raise NotImplementedError("forward only")
