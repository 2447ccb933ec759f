"""People, their identities, and who referred whom."""

from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

TABLES = """
create table person (
    id bigint generated always as identity constraint pk_person primary key,
    referral_code text not null constraint uq_person_referral_code unique,
    nickname text not null default '',
    avatar_url text not null default '',
    birthday date,
    phone_verified_at timestamptz,
    joined_at timestamptz not null,
    merged_into bigint constraint fk_person_merged_into references person (id),
    constraint ck_person_not_merged_into_itself check (merged_into <> id)
);
create table identity (
    id bigint generated always as identity constraint pk_identity primary key,
    person_id bigint not null constraint fk_identity_person_id references person (id),
    kind text not null,
    scope text not null default '',
    value text not null,
    seen_at timestamptz not null,
    followed_at timestamptz,
    unfollowed_at timestamptz,
    constraint uq_identity_kind_scope_value unique (kind, scope, value),
    constraint ck_identity_kind check (kind in ('openid', 'unionid', 'external_userid', 'phone', 'mall_user_id')),
    constraint ck_identity_value check (value <> '')
);
create index ix_identity_person_id on identity (person_id);
create table person_merge (
    id bigint generated always as identity constraint pk_person_merge primary key,
    kept_id bigint not null constraint fk_person_merge_kept_id references person (id),
    gone_id bigint not null constraint fk_person_merge_gone_id references person (id),
    reason text not null,
    detail jsonb not null default '{}',
    merged_at timestamptz not null
);
"""


def upgrade() -> None:
    op.execute(TABLES)


def downgrade() -> None:
    raise NotImplementedError("forward only")
