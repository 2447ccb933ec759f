"""Month closes, their results, milestones and service incentives."""

from domain.migrations.files import run

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None


def upgrade() -> None:
    run("0011_settlements")


def downgrade() -> None:
    raise NotImplementedError("forward only")
