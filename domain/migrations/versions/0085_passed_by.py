"""Batches do not wait for an event that stands alone and is held by somebody else."""

from domain.migrations.files import replace

revision = "0085"
down_revision = "0084"
branch_labels = None
depends_on = None


def upgrade() -> None:
    replace("intake_take")


def downgrade() -> None:
    raise NotImplementedError("forward only")
