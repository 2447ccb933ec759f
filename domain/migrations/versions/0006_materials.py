"""Scene codes of referral QRs, and what poster somebody chose last."""

from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

TABLES = """
create table scene (
    token text not null constraint pk_scene primary key,
    account text not null,
    sharer_id bigint not null constraint fk_scene_sharer_id references person (id),
    sku text not null,
    url text not null default '',
    created_at timestamptz not null,
    expires_at timestamptz not null
);
create index ix_scene_sharer_id_account_sku on scene (sharer_id, account, sku, expires_at);

create table poster_choice (
    person_id bigint not null constraint pk_poster_choice primary key,
    sku text not null,
    style text not null,
    chosen_at timestamptz not null,
    constraint fk_poster_choice_person_id foreign key (person_id) references person (id)
);
"""


def upgrade() -> None:
    op.execute(TABLES)


def downgrade() -> None:
    raise NotImplementedError("forward only")
