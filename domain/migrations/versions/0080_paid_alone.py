"""Payments that came together and alone are written with what is known of them: their kind, and that all are new."""

from domain.migrations.files import replace

revision = "0080"
down_revision = "0079"
branch_labels = None
depends_on = None


def upgrade() -> None:
    replace("events_take_in")


def downgrade() -> None:
    raise NotImplementedError("forward only")
