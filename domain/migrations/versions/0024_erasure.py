"""Erasing people who left."""

from domain.migrations.files import run

revision = "0024"
down_revision = "0023"
branch_labels = None
depends_on = None


def upgrade() -> None:
    run("0024_erasure")


def downgrade() -> None:
    raise NotImplementedError("forward only")
