"""The tables of the WeCom side, made with the others of the simulator (see ``store``).

``account`` is the corp's; a contact is one member of staff and one customer. ``left_at``: the customer deleted the
member (what the member has of them stays); ``removed_at``: the member deleted the customer (nothing stays).
"""

TABLES = """
create table sim.contacts (
    account text not null, userid text not null, external_userid text not null, openid text not null,
    state text not null default '', add_way int not null, remark text not null default '',
    description text not null default '', added_at timestamptz not null, talked_at timestamptz,
    left_at timestamptz, removed_at timestamptz, position bigserial, primary key (account, userid, external_userid));
create index contacts_by_phone on sim.contacts (openid);
create table sim.welcomes (
    code text primary key, account text not null, userid text not null, external_userid text not null,
    until timestamptz not null, sent_at timestamptz);
create table sim.corp_tag_groups (
    id text primary key, account text not null, name text not null, created_at timestamptz not null,
    position bigserial, unique (account, name));
create table sim.corp_tags (
    id text primary key, group_id text not null references sim.corp_tag_groups on delete cascade,
    account text not null, name text not null, created_at timestamptz not null, position bigserial,
    unique (group_id, name));
create table sim.marks (
    account text not null, userid text not null, external_userid text not null,
    tag_id text not null references sim.corp_tags on delete cascade,
    primary key (account, userid, external_userid, tag_id));
create table sim.contact_ways (
    config_id text primary key, account text not null, url text not null unique, kind int not null,
    scene int not null, state text not null, remark text not null, skip_verify boolean not null,
    userids text[] not null, created_at timestamptz not null, position bigserial);
create table sim.mass_tasks (
    msgid text primary key, account text not null, body jsonb not null, created_at timestamptz not null,
    cancelled_at timestamptz, position bigserial);
create table sim.mass_staff (
    msgid text not null references sim.mass_tasks on delete cascade, userid text not null, sent_at timestamptz,
    reminded int not null default 0, primary key (msgid, userid));
create table sim.mass_people (
    msgid text not null references sim.mass_tasks on delete cascade, userid text not null,
    external_userid text not null, openid text not null, status int not null default 0, sent_at timestamptz,
    primary key (msgid, userid, external_userid));
create index mass_people_received on sim.mass_people (external_userid, sent_at) where status = 1;
create table sim.mass_reminders (id bigserial primary key, msgid text not null, at timestamptz not null);
create table sim.staff_inbox (
    id bigserial primary key, account text not null, userid text not null, body jsonb not null,
    at timestamptz not null);
create table sim.corp_calls (
    account text not null, api text not null, minute timestamptz not null, used int not null,
    primary key (account, api, minute));
create index staff_inbox_latest on sim.staff_inbox (account, userid, id desc);
"""
