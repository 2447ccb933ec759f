"""Journey versions, enrolments, visits and waiters."""

from domain.migrations.files import run

revision = "0016"
down_revision = "0015"
branch_labels = None
depends_on = None


def upgrade() -> None:
    run("0016_journeys")


def downgrade() -> None:
    raise NotImplementedError("forward only")
