"""Staff accounts as a way to a person."""

from domain.migrations.files import run

revision = "0033"
down_revision = "0032"
branch_labels = None
depends_on = None


def upgrade() -> None:
    run("0033_staff_way")


def downgrade() -> None:
    raise NotImplementedError("forward only")
