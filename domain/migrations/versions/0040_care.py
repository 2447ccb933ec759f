"""Whose hand an operator's key came from, and names that cannot be mistaken."""

from domain.migrations.files import run

revision = "0040"
down_revision = "0039"
branch_labels = None
depends_on = None


def upgrade() -> None:
    run("0040_care")


def downgrade() -> None:
    raise NotImplementedError("forward only")
