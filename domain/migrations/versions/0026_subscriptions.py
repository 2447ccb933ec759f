"""Subscription notices and provider budgets."""

from domain.migrations.files import run

revision = "0026"
down_revision = "0025"
branch_labels = None
depends_on = None


def upgrade() -> None:
    run("0026_subscriptions")


def downgrade() -> None:
    raise NotImplementedError("forward only")
