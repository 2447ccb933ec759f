"""A case that one person decided by plain SQL is refused."""

from domain.migrations.files import replace, run

revision = "0071"
down_revision = "0070"
branch_labels = None
depends_on = None


def upgrade() -> None:
    replace("risk_case_two_people")
    run("0071_cases")


def downgrade() -> None:
    raise NotImplementedError("forward only")
