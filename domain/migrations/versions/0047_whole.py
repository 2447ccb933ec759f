"""Postings and journals belong together."""

from domain.migrations.files import run

revision = "0047"
down_revision = "0046"
branch_labels = None
depends_on = None


def upgrade() -> None:
    run("0047_whole")


def downgrade() -> None:
    raise NotImplementedError("forward only")
