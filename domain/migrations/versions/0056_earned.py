"""News of what was earned."""

from domain.migrations.files import replace, run

revision = "0056"
down_revision = "0055"
branch_labels = None
depends_on = None


def upgrade() -> None:
    run("0056_earned")
    replace("earned_of", "earned_take", "money_apply")


def downgrade() -> None:
    raise NotImplementedError("forward only")
