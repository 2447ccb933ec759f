"""Red packets that operators take back by hand."""

from domain.migrations.files import replace, run

revision = "0057"
down_revision = "0056"
branch_labels = None
depends_on = None


def upgrade() -> None:
    run("0057_gifts")
    replace("gift_taking_allowed")
    run("0057_gifts_guard")


def downgrade() -> None:
    raise NotImplementedError("forward only")
