"""Rows of a batch written as typed arrays."""

from domain.migrations.files import run

revision = "0041"
down_revision = "0040"
branch_labels = None
depends_on = None


def upgrade() -> None:
    run("0041_write")


def downgrade() -> None:
    raise NotImplementedError("forward only")
