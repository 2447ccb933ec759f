"""Roles that people earn, and the coupons they get."""

from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

ROLES = """
create table role_grant (
    id bigint generated always as identity constraint pk_role_grant primary key,
    person_id bigint not null constraint fk_role_grant_person_id references person (id),
    role text not null,
    cause_kind text not null,
    cause_key text not null,
    granted_at timestamptz not null,
    revoked_at timestamptz,
    revoke_reason text not null default '',
    constraint uq_role_grant_person_id_role_cause_kind_cause_key unique (person_id, role, cause_kind, cause_key),
    constraint ck_role_grant_role check (role in ('promoter', 'gold', 'partner')),
    constraint ck_role_grant_cause check (cause_kind <> '' and cause_key <> ''),
    constraint ck_role_grant_revoked check ((revoked_at is null) = (revoke_reason = ''))
);
create unique index uq_role_grant_active on role_grant (person_id, role, cause_kind) where revoked_at is null;
"""

COUPONS = """
create table coupon (
    id bigint generated always as identity constraint pk_coupon primary key,
    code text not null constraint uq_coupon_code unique,
    person_id bigint not null constraint fk_coupon_person_id references person (id),
    key text not null constraint uq_coupon_key unique,
    kind text not null,
    once boolean not null,
    title text not null,
    off_fen bigint not null,
    min_spend_fen bigint not null,
    valid_from timestamptz not null,
    valid_until timestamptz not null,
    state text not null default 'issued',
    reason text not null default '',
    used_channel text not null default '',
    used_order text not null default '',
    used_at timestamptz,
    constraint ck_coupon_state check (state in ('issued', 'used', 'expired', 'revoked')),
    constraint ck_coupon_money check (off_fen > 0 and min_spend_fen >= 0),
    constraint ck_coupon_times check (valid_from < valid_until),
    constraint ck_coupon_used check (
        (state = 'used') = (used_at is not null) and (state = 'used') = (used_order <> '')),
    constraint ck_coupon_revoked check ((state = 'revoked') = (reason <> ''))
);
create index ix_coupon_person_id_id on coupon (person_id, id);
create unique index uq_coupon_once on coupon (person_id, kind) where once;
create index ix_coupon_expiring on coupon (valid_until) where state = 'issued';
create index ix_coupon_used on coupon (used_channel, used_order) where state = 'used';
create table coupon_return (
    coupon_id bigint not null constraint fk_coupon_return_coupon_id references coupon (id),
    channel text not null,
    order_no text not null,
    used_at timestamptz not null,
    returned_at timestamptz not null,
    constraint pk_coupon_return primary key (coupon_id, channel, order_no)
);
"""


def upgrade() -> None:
    for part in (ROLES, COUPONS):
        op.execute(part)


def downgrade() -> None:
    raise NotImplementedError("forward only")
