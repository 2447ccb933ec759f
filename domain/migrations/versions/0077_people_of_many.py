"""The people of several new orders are looked up along an index at once."""

from domain.migrations.files import replace

revision = "0077"
down_revision = "0076"
branch_labels = None
depends_on = None


def upgrade() -> None:
    replace("order_news_of")


def downgrade() -> None:
    raise NotImplementedError("forward only")
