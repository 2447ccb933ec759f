-- Subscription notices and provider budgets.

-- One tap on "allow" is one message of one template, whenever we like. Spent by one effect, or lost to the person's no.
create table subscription_token (
    id bigint generated always as identity,
    account text not null,
    openid text not null,
    template_id text not null,
    granted_by text not null,
    granted_at timestamptz not null,
    effect_id bigint,
    spent_at timestamptz,
    lost_at timestamptz,
    lost_why text not null default '',
    constraint pk_subscription_token primary key (id),
    constraint uq_subscription_token_granted_by unique (granted_by),
    constraint uq_subscription_token_effect_id unique (effect_id),
    constraint ck_subscription_token_spent check ((spent_at is null) = (effect_id is null)),
    constraint ck_subscription_token_lost check ((lost_at is null) = (lost_why = '')),
    constraint ck_subscription_token_one_end check (spent_at is null or lost_at is null)
);
create index ix_subscription_token_banked on subscription_token (account, openid, template_id)
    where spent_at is null and lost_at is null;

-- What an interface of the platform was used for on one day of Beijing; ``marketing_until``: closed for marketing.
-- ``next_at``: the moment to which the calls so far have used up the rate (a token bucket
-- told by one instant: a call pushes it on by its share of a minute, and may run ahead of it by the burst).
create table platform_budget (
    app_id text not null,
    api text not null,
    day date not null,
    used bigint not null default 0,
    marketing_until timestamptz,
    next_at timestamptz not null,
    constraint pk_platform_budget primary key (app_id, api),
    constraint ck_platform_budget_used check (used >= 0)
);

-- May one more call leave? '' and counted; 'day' when the day (for marketing: its share of the day) is used up; 'closed'
-- for marketing after the platform itself said so; 'pace' with the seconds to wait. One statement in a transaction
-- of its own that need not reach the disk: a crash may forget a few calls, never a limit.
create function budget_take(the_app text, the_api text, marketing boolean, at timestamptz, per_day bigint,
                            marketing_share bigint, per_minute bigint, burst bigint)
returns table (why text, wait double precision) language plpgsql as $$
declare
    today date := (at at time zone 'Asia/Shanghai')::date;
    one interval := make_interval(secs => 60.0 / per_minute);
    budget platform_budget;
begin
    perform set_config('synchronous_commit', 'off', true);
    insert into platform_budget (app_id, api, day, next_at) values (the_app, the_api, today, at) on conflict do nothing;
    select * into budget from platform_budget b where b.app_id = the_app and b.api = the_api for no key update;
    if budget.day < today then
        budget.day := today;
        budget.used := 0;
    end if;
    if marketing and budget.marketing_until > at then
        return query select 'closed', extract(epoch from budget.marketing_until - at)::double precision;
    elsif budget.used >= (case when marketing then marketing_share else per_day end) then
        return query select 'day', extract(epoch from ((today + 1)::timestamp at time zone 'Asia/Shanghai') - at)::double precision;
    elsif budget.next_at > at + one * burst then
        return query select 'pace', extract(epoch from budget.next_at - at - one * burst)::double precision;
    else
        update platform_budget b
           set day = budget.day, used = budget.used + 1, next_at = greatest(budget.next_at, at) + one
         where b.app_id = the_app and b.api = the_api;
        return query select '', 0.0::double precision;
    end if;
end $$;

-- What people wait for, found at once however much advertising waits with it.
create index ix_outbox_urgent on outbox (due_at)
    where state in ('waiting', 'running') and queue = 'notice' and payload ->> 'purpose' in ('answer', 'money', 'service');
create index ix_outbox_broadcast on outbox ((payload ->> 'broadcast'), state) where payload ? 'broadcast';

-- One message to many: who is next (everybody up to ``cursor`` has a row in the outbox, nobody twice), and the last one
-- who was there when it began.
create table notice_broadcast (
    id bigint generated always as identity,
    title text not null,
    said text not null,
    segment text not null default '',
    state text not null default 'running',
    cursor bigint not null default 0,
    last_person bigint not null,
    people bigint not null default 0,
    started_at timestamptz not null,
    started_by text not null,
    expires_at timestamptz not null,
    ended_at timestamptz,
    constraint pk_notice_broadcast primary key (id),
    constraint ck_notice_broadcast_state check (state in ('running', 'paused', 'stopped', 'done')),
    constraint ck_notice_broadcast_ended check ((ended_at is null) = (state in ('running', 'paused'))),
    constraint ck_notice_broadcast_cursor check (cursor >= 0 and cursor <= last_person)
);
