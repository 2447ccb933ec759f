"""A closing that is told again of an earlier time is no contradiction."""

from domain.migrations.files import run

revision = "0068"
down_revision = "0067"
branch_labels = None
depends_on = None


def upgrade() -> None:
    run("0068_closed")


def downgrade() -> None:
    raise NotImplementedError("forward only")
