"""Fewer writes for a step of a journey and for a month close."""

from domain.migrations.files import run

revision = "0039"
down_revision = "0038"
branch_labels = None
depends_on = None


def upgrade() -> None:
    run("0039_fewer_writes")


def downgrade() -> None:
    raise NotImplementedError("forward only")
