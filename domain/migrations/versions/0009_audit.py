"""Operators, approvals of two people, and the sealed log of what they did."""

from domain.migrations.files import run

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None


def upgrade() -> None:
    run("0009_audit")


def downgrade() -> None:
    raise NotImplementedError("forward only")
