"""Promotion and demotion, certificates, invitations, badges."""

from domain.migrations.files import run

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None


def upgrade() -> None:
    run("0012_roles")


def downgrade() -> None:
    raise NotImplementedError("forward only")
