"""Orders taken in by fewer statements."""

from domain.migrations.files import run

revision = "0042"
down_revision = "0041"
branch_labels = None
depends_on = None


def upgrade() -> None:
    run("0042_take")


def downgrade() -> None:
    raise NotImplementedError("forward only")
