"""${message}"""

from domain.migrations.files import run

revision = "${up_revision}"
down_revision = ${repr(down_revision)}
branch_labels = None
depends_on = None


def upgrade() -> None:
    run("${up_revision}_what")


def downgrade() -> None:
    raise NotImplementedError("forward only")
