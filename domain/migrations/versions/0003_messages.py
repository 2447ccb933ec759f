"""Messages in and effects out."""

from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

TABLES = """
create table outbox (
    id bigint generated always as identity constraint pk_outbox primary key,
    queue text not null,
    kind text not null,
    key text not null constraint uq_outbox_key unique,
    person_id bigint,
    payload jsonb not null,
    state text not null default 'waiting',
    reason text not null default '',
    attempts bigint not null default 0,
    created_at timestamptz not null,
    due_at timestamptz not null,
    expires_at timestamptz,
    lease_until timestamptz,
    ended_at timestamptz,
    result jsonb not null default '{}',
    constraint ck_outbox_queue check (queue in ('fact', 'notice', 'slow')),
    constraint ck_outbox_state check (state in ('waiting', 'running', 'done', 'refused', 'dead')),
    constraint ck_outbox_reason check (state not in ('refused', 'dead') or reason <> '')
) with (fillfactor = 80);
create index ix_outbox_due on outbox (queue, due_at) where state in ('waiting', 'running');
create index ix_outbox_person_id_id on outbox (person_id, id);
"""


def upgrade() -> None:
    op.execute(TABLES)


def downgrade() -> None:
    raise NotImplementedError("forward only")
