"""Recurring work is asked for before it is begun: which of it finds something to do."""

from domain.migrations.files import replace

revision = "0063"
down_revision = "0062"
branch_labels = None
depends_on = None


def upgrade() -> None:
    replace("chores_wanted")


def downgrade() -> None:
    raise NotImplementedError("forward only")
