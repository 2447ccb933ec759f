"""Small mends."""

from domain.migrations.files import run

revision = "0045"
down_revision = "0044"
branch_labels = None
depends_on = None


def upgrade() -> None:
    run("0045_mend")


def downgrade() -> None:
    raise NotImplementedError("forward only")
