"""Mended decisions."""

from domain.migrations.files import run

revision = "0032"
down_revision = "0031"
branch_labels = None
depends_on = None


def upgrade() -> None:
    run("0032_mends")


def downgrade() -> None:
    raise NotImplementedError("forward only")
