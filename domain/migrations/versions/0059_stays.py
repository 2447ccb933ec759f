"""Closed months, counted people, returns and closed orders stay as they are."""

from domain.migrations.files import replace, run

revision = "0059"
down_revision = "0058"
branch_labels = None
depends_on = None


def upgrade() -> None:
    replace("refuse_uncounted")
    run("0059_stays")


def downgrade() -> None:
    raise NotImplementedError("forward only")
