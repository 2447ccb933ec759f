"""Small mends."""

from domain.migrations.files import run

revision = "0036"
down_revision = "0035"
branch_labels = None
depends_on = None


def upgrade() -> None:
    run("0036_small_mends")


def downgrade() -> None:
    raise NotImplementedError("forward only")
