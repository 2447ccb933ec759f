"""Books kept faster."""

from domain.migrations.files import run

revision = "0027"
down_revision = "0026"
branch_labels = None
depends_on = None


def upgrade() -> None:
    run("0027_faster_books")


def downgrade() -> None:
    raise NotImplementedError("forward only")
