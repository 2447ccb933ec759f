"""Points that operators take back by hand."""

from domain.migrations.files import replace, run

revision = "0053"
down_revision = "0052"
branch_labels = None
depends_on = None


def upgrade() -> None:
    run("0053_taking")
    replace("point_taking_allowed")
    run("0053_taking_guard")


def downgrade() -> None:
    raise NotImplementedError("forward only")
