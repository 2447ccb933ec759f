"""Guards of many rows look along an index once for each key, not once for each row."""

from domain.migrations.files import replace

revision = "0074"
down_revision = "0073"
branch_labels = None
depends_on = None


def upgrade() -> None:
    replace("posting_refers", "commission_within_paid")


def downgrade() -> None:
    raise NotImplementedError("forward only")
