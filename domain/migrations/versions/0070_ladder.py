"""What a month's sales bring is one expression within the close."""

from domain.migrations.files import replace, run

revision = "0070"
down_revision = "0069"
branch_labels = None
depends_on = None


def upgrade() -> None:
    run("0070_ladder")
    replace("share_fen", "ladder_below", "ladder_fen", "month_close_some")


def downgrade() -> None:
    raise NotImplementedError("forward only")
