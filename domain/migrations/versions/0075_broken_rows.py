"""The rules of what every order writes are kept without being parsed by each statement."""

from domain.migrations.files import replace, run

revision = "0075"
down_revision = "0074"
branch_labels = None
depends_on = None


def upgrade() -> None:
    replace("refuse_row")
    run("0075_broken_rows")


def downgrade() -> None:
    raise NotImplementedError("forward only")
