"""The only event that stands alone is taken without a look at the batches."""

from domain.migrations.files import replace

revision = "0082"
down_revision = "0081"
branch_labels = None
depends_on = None


def upgrade() -> None:
    replace("intake_take")


def downgrade() -> None:
    raise NotImplementedError("forward only")
