"""When a commission is let go is asked of its own plan first: one look instead of a search."""

from domain.migrations.files import replace

revision = "0067"
down_revision = "0066"
branch_labels = None
depends_on = None


def upgrade() -> None:
    replace("commission_line_steps")


def downgrade() -> None:
    raise NotImplementedError("forward only")
