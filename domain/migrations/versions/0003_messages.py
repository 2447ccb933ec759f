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

create table inbox_message (
    id bigint generated always as identity constraint pk_inbox_message primary key,
    account text not null,
    dedupe_key text not null,
    person_id bigint,
    kind text not null,
    payload jsonb not null,
    state text not null default 'running',
    reply jsonb,
    error text not null default '',
    attempts bigint not null default 1,
    received_at timestamptz not null,
    due_at timestamptz,
    handled_at timestamptz,
    constraint uq_inbox_message_account_dedupe_key unique (account, dedupe_key),
    constraint ck_inbox_message_state check (state in ('running', 'done', 'failed', 'dead', 'quarantined'))
) with (fillfactor = 70);
create index ix_inbox_message_failed on inbox_message (due_at) where state = 'failed';
create index ix_inbox_message_person_id_id on inbox_message (person_id, id);

create table conversation (
    person_id bigint not null,
    account text not null,
    state text not null,
    memory jsonb not null,
    expires_at timestamptz not null,
    constraint pk_conversation primary key (person_id, account),
    constraint fk_conversation_person_id foreign key (person_id) references person (id)
) with (fillfactor = 70);

create table nonce_seen (
    account text not null,
    replay_key text not null,
    body_digest text not null,
    seen_at timestamptz not null,
    constraint pk_nonce_seen primary key (account, replay_key)
);

create table consent (
    person_id bigint not null,
    purpose text not null,
    given boolean not null,
    source text not null,
    changed_at timestamptz not null,
    constraint pk_consent primary key (person_id, purpose),
    constraint fk_consent_person_id foreign key (person_id) references person (id)
);
"""


def upgrade() -> None:
    op.execute(TABLES)


def downgrade() -> None:
    raise NotImplementedError("forward only")
