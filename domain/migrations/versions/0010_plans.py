"""Drafts of commission plans and what became of them."""

from domain.migrations.files import run

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None


def upgrade() -> None:
    run("0010_plans")


def downgrade() -> None:
    raise NotImplementedError("forward only")
