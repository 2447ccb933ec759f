"""What is still to be booked is a list of its own; an event that is done is not written again."""

from domain.migrations.files import replace, run

revision = "0055"
down_revision = "0054"
branch_labels = None
depends_on = None


def upgrade() -> None:
    run("0055_inbox")
    replace("events_take_in", "intake_take", "intake_take_many", "intake_take_one", "money_apply")


def downgrade() -> None:
    raise NotImplementedError("forward only")
