"""Answers with fewer exchanges."""

from domain.migrations.files import run

revision = "0037"
down_revision = "0036"
branch_labels = None
depends_on = None


def upgrade() -> None:
    run("0037_answers_fast")


def downgrade() -> None:
    raise NotImplementedError("forward only")
