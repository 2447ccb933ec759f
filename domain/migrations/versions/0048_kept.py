"""Money goes to people, not to who they were."""

from domain.migrations.files import replace, run

revision = "0048"
down_revision = "0047"
branch_labels = None
depends_on = None


def upgrade() -> None:
    replace("person_living", "people_living", "ledger_lock", "month_volume_of_living")
    run("0048_kept")


def downgrade() -> None:
    raise NotImplementedError("forward only")
