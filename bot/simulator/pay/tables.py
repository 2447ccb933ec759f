"""The tables of the payment side, made with the others of the simulator (see ``store``)."""

TABLES = """
create table sim.merchants (
    mch_id text primary key, balance_fen bigint not null check (balance_fen >= 0));
create table sim.transfers (
    mch_id text not null, out_bill_no text not null, transfer_bill_no text not null unique, digest text not null,
    app_id text not null, openid text not null, amount_fen bigint not null, remark text not null,
    user_name text not null, notify_url text not null, state text not null, fail_reason text not null default '',
    package text not null default '', bubble_id bigint, created_at timestamptz not null,
    updated_at timestamptz not null, position bigserial, primary key (mch_id, out_bill_no));
create index transfers_open on sim.transfers (state) where state in ('WAIT_USER_CONFIRM', 'CANCELING');
create table sim.fund_lines (
    id bigserial primary key, mch_id text not null, at timestamptz not null, transfer_bill_no text not null,
    kind text not null, income boolean not null, amount_fen bigint not null, balance_fen bigint not null,
    remark text not null, out_bill_no text not null);
create index fund_lines_by_day on sim.fund_lines (mch_id, at);
create table sim.pay_notices (
    id text primary key, mch_id text not null, out_bill_no text not null, bill jsonb not null, url text not null,
    state text not null default 'sending', tries int not null default 0, due_at timestamptz not null,
    twist text not null default '', created_at timestamptz not null, position bigserial,
    log jsonb not null default '[]');
create index pay_notices_due on sim.pay_notices (due_at) where state = 'sending';
"""
