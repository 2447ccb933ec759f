"""Where a product is bought and shown; videos to share; topics."""

from domain.migrations.files import run

revision = "0034"
down_revision = "0033"
branch_labels = None
depends_on = None


def upgrade() -> None:
    run("0034_restock_link")


def downgrade() -> None:
    raise NotImplementedError("forward only")
