"""Booking with less to prepare."""

from domain.migrations.files import run

revision = "0038"
down_revision = "0035"
branch_labels = None
depends_on = None


def upgrade() -> None:
    run("0038_booking_fast")


def downgrade() -> None:
    raise NotImplementedError("forward only")
