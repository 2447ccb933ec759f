"""Feedback, a human's answers, red packets."""

from domain.migrations.files import run

revision = "0029"
down_revision = "0028"
branch_labels = None
depends_on = None


def upgrade() -> None:
    run("0029_care")


def downgrade() -> None:
    raise NotImplementedError("forward only")
