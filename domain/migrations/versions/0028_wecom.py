"""WeCom: staff, contacts, arrivals."""

from domain.migrations.files import run

revision = "0028"
down_revision = "0027"
branch_labels = None
depends_on = None


def upgrade() -> None:
    run("0028_wecom")


def downgrade() -> None:
    raise NotImplementedError("forward only")
