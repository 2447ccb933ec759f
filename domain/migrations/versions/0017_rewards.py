"""Points, draws, check-ins, red packets and memberships."""

from domain.migrations.files import run

revision = "0017"
down_revision = "0016"
branch_labels = None
depends_on = None


def upgrade() -> None:
    run("0017_rewards")


def downgrade() -> None:
    raise NotImplementedError("forward only")
