"""A month close has several hands: who was counted is cut into pieces, each settled by whoever takes it."""

from domain.migrations.files import replace, run

revision = "0081"
down_revision = "0080"
branch_labels = None
depends_on = None


def upgrade() -> None:
    run("0081_pieces")
    replace("month_cut", "month_count", "refuse_left_piece", "month_close_some")
    run("0081_pieces_kept")


def downgrade() -> None:
    raise NotImplementedError("forward only")
