"""Risk signals, cases, freezes and appeals."""

from domain.migrations.files import run

revision = "0015"
down_revision = "0014"
branch_labels = None
depends_on = None


def upgrade() -> None:
    run("0015_risk")


def downgrade() -> None:
    raise NotImplementedError("forward only")
