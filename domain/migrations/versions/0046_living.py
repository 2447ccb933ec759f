"""Orders name living people."""

from domain.migrations.files import run

revision = "0046"
down_revision = "0045"
branch_labels = None
depends_on = None


def upgrade() -> None:
    run("0046_living")


def downgrade() -> None:
    raise NotImplementedError("forward only")
