"""The claim of events asks less for each order."""

from domain.migrations.files import replace, run

revision = "0058"
down_revision = "0057"
branch_labels = None
depends_on = None


def upgrade() -> None:
    run("0058_claim")
    replace("intake_take_many", "intake_recognise", "intake_above")


def downgrade() -> None:
    raise NotImplementedError("forward only")
