"""A message answered with fewer writes."""

from domain.migrations.files import run

revision = "0043"
down_revision = "0042"
branch_labels = None
depends_on = None


def upgrade() -> None:
    run("0043_answer")


def downgrade() -> None:
    raise NotImplementedError("forward only")
