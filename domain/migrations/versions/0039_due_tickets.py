"""When people inside journeys are due, apart from the people."""

from domain.migrations.files import run

revision = "0039"
down_revision = "0038"
branch_labels = None
depends_on = None


def upgrade() -> None:
    run("0039_due_tickets")


def downgrade() -> None:
    raise NotImplementedError("forward only")
