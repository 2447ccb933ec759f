"""A claim of many asks for known orders by channel, and for a third level only where some plan pays one."""

from domain.migrations.files import replace

revision = "0072"
down_revision = "0071"
branch_labels = None
depends_on = None


def upgrade() -> None:
    replace("intake_take_many", "intake_above")


def downgrade() -> None:
    raise NotImplementedError("forward only")
