"""Events come in as columns of texts, and are asked for only when some are known."""

from domain.migrations.files import replace, run

revision = "0069"
down_revision = "0068"
branch_labels = None
depends_on = None


def upgrade() -> None:
    run("0069_columns")
    replace("events_told", "events_take_in")


def downgrade() -> None:
    raise NotImplementedError("forward only")
