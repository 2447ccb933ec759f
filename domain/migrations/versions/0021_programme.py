"""Rewards for coming back: unlocks, memberships, and coupons that take a part of the price."""

from domain.migrations.files import run

revision = "0021"
down_revision = "0020"
branch_labels = None
depends_on = None


def upgrade() -> None:
    run("0021_programme")


def downgrade() -> None:
    raise NotImplementedError("forward only")
