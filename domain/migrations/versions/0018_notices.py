"""Caps, digests, fatigue and subscriptions of notices."""

from domain.migrations.files import run

revision = "0018"
down_revision = "0017"
branch_labels = None
depends_on = None


def upgrade() -> None:
    run("0018_notices")


def downgrade() -> None:
    raise NotImplementedError("forward only")
