"""Recurring work: when each chore is due next."""

from domain.migrations.files import run

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    run("0008_chores")


def downgrade() -> None:
    raise NotImplementedError("forward only")
