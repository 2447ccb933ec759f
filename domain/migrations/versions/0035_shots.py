"""Customers' own pictures."""

from domain.migrations.files import run

revision = "0035"
down_revision = "0034"
branch_labels = None
depends_on = None


def upgrade() -> None:
    run("0035_shots")


def downgrade() -> None:
    raise NotImplementedError("forward only")
