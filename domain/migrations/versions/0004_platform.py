"""What the platform grants and refuses: tokens, media, pauses, rights to send."""

from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

TABLES = """
create table platform_token (
    app_id text not null constraint pk_platform_token primary key,
    sealed bytea not null,
    fresh_until timestamptz not null,
    expires_at timestamptz not null,
    forced_at timestamptz,
    forced_count bigint not null default 0,
    constraint ck_platform_token_fresh check (fresh_until <= expires_at)
);
create table platform_hold (
    app_id text not null,
    api text not null,
    outcome text not null,
    errcode bigint not null default 0,
    detail text not null default '',
    failures bigint not null default 0,
    until timestamptz,
    constraint pk_platform_hold primary key (app_id, api),
    constraint ck_platform_hold_failures check (failures >= 0)
);
create table platform_media (
    app_id text not null,
    digest bytea not null,
    media_id text not null,
    uploaded_at timestamptz not null,
    constraint pk_platform_media primary key (app_id, digest),
    constraint ck_platform_media_digest check (length(digest) = 32)
);
create index ix_platform_media_uploaded_at on platform_media (uploaded_at);
create table send_right (
    account text not null,
    openid text not null,
    message_left bigint not null default 0,
    message_until timestamptz,
    tap_left bigint not null default 0,
    tap_until timestamptz,
    constraint pk_send_right primary key (account, openid),
    constraint ck_send_right_message_left check (message_left between 0 and 5),
    constraint ck_send_right_tap_left check (tap_left between 0 and 3),
    constraint ck_send_right_message_until check (message_left = 0 or message_until is not null),
    constraint ck_send_right_tap_until check (tap_left = 0 or tap_until is not null)
) with (fillfactor = 80);
"""


def upgrade() -> None:
    op.execute(TABLES)


def downgrade() -> None:
    raise NotImplementedError("forward only")
