-- Risk signals, cases, freezes and appeals.

-- What the mall told of a payment, as keyed hashes: {payer?, device?, address?}. Null for most orders.
alter table customer_order add column signals jsonb;

-- A line that is held keeps its dates and is not let go. ``hold_no`` counts the holds, so that each has a journal of its
-- own. What was confiscated is taken back for good.
alter table commission_line
    add column held_at timestamptz,
    add column hold_no bigint not null default 0,
    add column confiscated_at timestamptz,
    add constraint ck_commission_line_held check (held_at is null or released_at is null),
    add constraint ck_commission_line_confiscated
        check (confiscated_at is null or (clawed_fen = amount_fen and held_at is null));
drop index ix_commission_line_release;
create index ix_commission_line_release on commission_line (release_at)
    where released_at is null and release_at is not null and held_at is null;
create index ix_commission_line_held on commission_line (beneficiary_id) where held_at is not null;

create function refuse_after_confiscation() returns trigger language plpgsql as $$
begin
    raise exception 'commission line % is confiscated: that is final', old.id using errcode = 'HT403';
end $$;
create trigger commission_line_confiscated before update on commission_line for each row
    when (old.confiscated_at is not null
          and (new.clawed_fen, new.released_at, new.held_at, new.hold_no, new.confiscated_at)
              is distinct from (old.clawed_fen, old.released_at, old.held_at, old.hold_no, old.confiscated_at))
    execute function refuse_after_confiscation();

-- A frozen person: nothing is let go to them and nothing is withdrawn, whoever asks.
create table account_hold (
    id bigint generated always as identity constraint pk_account_hold primary key,
    person_id bigint not null constraint fk_account_hold_person_id references person (id),
    cause text not null,
    since timestamptz not null,
    lifted_at timestamptz,
    constraint ck_account_hold_cause check (cause <> ''),
    constraint ck_account_hold_lifted check (lifted_at >= since)
);
create unique index uq_account_hold_active on account_hold (person_id) where lifted_at is null;
create trigger account_hold_kept before delete or truncate on account_hold
    for each statement execute function refuse_change();

create function refuse_release_of_frozen() returns trigger language plpgsql as $$
begin
    if exists (select from account_hold h where h.person_id = new.beneficiary_id and h.lifted_at is null) then
        raise exception 'person % is frozen: nothing is let go', new.beneficiary_id using errcode = 'HT423';
    end if;
    return new;
end $$;
create trigger commission_line_frozen_person before update of released_at on commission_line for each row
    when (old.released_at is null and new.released_at is not null) execute function refuse_release_of_frozen();

-- Judged when the balances are written, after the wait for their locks: who was frozen meanwhile is seen as frozen.
create function refuse_withdrawal_of_frozen() returns trigger language plpgsql as $$
begin
    if exists (select from account_hold where lifted_at is null) and exists (
        select from after_it a join before_it b on b.account_id = a.account_id and a.amount > b.amount
          join account on account.id = a.account_id and account.kind = 'held'
          join account_hold h on h.person_id = account.owner_id and h.lifted_at is null
    ) then
        raise exception 'a frozen account pays nothing out' using errcode = 'HT423';
    end if;
    return null;
end $$;
create trigger balance_frozen_person after update on balance referencing old table as before_it new table as after_it
    for each statement execute function refuse_withdrawal_of_frozen();

-- New orders queue here in their own transaction, so that none is overlooked; without foreign keys, as it is emptied
-- within a minute. People whose customers' orders are new, or were refunded, are looked at by the sweep; somebody may be
-- there many times, because a unique key would make a refund wait for whoever is looking, who may wait for its order.
create table risk_queue (
    order_id bigint constraint pk_risk_queue primary key
);
create table risk_watch (
    id bigint generated always as identity constraint pk_risk_watch primary key,
    person_id bigint not null constraint fk_risk_watch_person_id references person (id)
);

create function risk_queue_orders() returns trigger language plpgsql as $$
begin
    insert into risk_queue (order_id) select id from fresh;
    return null;
end $$;
create trigger customer_order_risk after insert on customer_order
    referencing new table as fresh for each statement execute function risk_queue_orders();

create function risk_watch_refunds() returns trigger language plpgsql as $$
begin
    insert into risk_watch (person_id)
        select distinct c.beneficiary_id from commission_line c
         where c.order_id in (select order_id from fresh) order by 1;
    return null;
end $$;
create trigger refund_risk after insert on refund
    referencing new table as fresh for each statement execute function risk_watch_refunds();

create table risk_signal (
    order_id bigint not null constraint fk_risk_signal_order_id references customer_order (id),
    kind text not null,
    hash text not null,
    at timestamptz not null,
    constraint pk_risk_signal primary key (order_id, kind),
    constraint ck_risk_signal_kind check (kind in ('payer', 'device', 'address')),
    constraint ck_risk_signal_hash check (hash ~ '^[0-9a-f]{64}$')
);
create index ix_risk_signal_kind_hash_at on risk_signal (kind, hash, at);

create table risk_case (
    id bigint generated always as identity constraint pk_risk_case primary key,
    person_id bigint not null constraint fk_risk_case_person_id references person (id),
    rule text not null,
    object text not null default '',
    effect text not null,
    severity bigint not null,
    state text not null default 'open',
    evidence jsonb not null default '{}',
    opened_by text not null,
    opened_at timestamptz not null,
    appealed_at timestamptz,
    answer_due_at timestamptz,
    decided_by text not null default '',
    decided_at timestamptz,
    constraint ck_risk_case_rule check (rule <> '' and opened_by <> ''),
    constraint ck_risk_case_effect check (effect in ('hold', 'note')),
    constraint ck_risk_case_severity check (severity between 1 and 100),
    constraint ck_risk_case_state check (state in ('open', 'appealed', 'released', 'confiscated')),
    constraint ck_risk_case_appealed check ((appealed_at is null) = (answer_due_at is null)
        and (state <> 'appealed' or appealed_at is not null)),
    constraint ck_risk_case_decided check ((state in ('released', 'confiscated')) = (decided_at is not null)
        and (decided_at is not null) = (decided_by <> ''))
);
create unique index uq_risk_case_open on risk_case (person_id, rule, object) where state in ('open', 'appealed');
create index ix_risk_case_person_id_id on risk_case (person_id, id);
create index ix_risk_case_waiting on risk_case (severity, opened_at) where state in ('open', 'appealed');
create trigger risk_case_kept before delete or truncate on risk_case
    for each statement execute function refuse_change();

create function refuse_after_decision() returns trigger language plpgsql as $$
begin
    raise exception 'case % is decided: that is final', old.id using errcode = 'HT403';
end $$;
create trigger risk_case_final before update on risk_case for each row
    when (old.state in ('released', 'confiscated')
          and (to_jsonb(new) - 'person_id') is distinct from (to_jsonb(old) - 'person_id'))
    execute function refuse_after_decision();

-- The commission lines in question: held while their case is open and they were not let go before.
create table risk_line (
    case_id bigint not null constraint fk_risk_line_case_id references risk_case (id),
    line_id bigint not null constraint fk_risk_line_line_id references commission_line (id),
    constraint pk_risk_line primary key (case_id, line_id)
);
create index ix_risk_line_line_id on risk_line (line_id);
create trigger risk_line_append_only before update or delete or truncate on risk_line
    for each statement execute function refuse_change();

-- What happened to a case, in order. ``words`` are what the person or the decider said.
create table risk_step (
    id bigint generated always as identity constraint pk_risk_step primary key,
    case_id bigint not null constraint fk_risk_step_case_id references risk_case (id),
    at timestamptz not null,
    actor text not null,
    what text not null,
    words text not null default '',
    facts jsonb not null default '{}',
    constraint ck_risk_step_what check (what in ('opened', 'evidence', 'appealed', 'released', 'confiscated', 'merged')),
    constraint ck_risk_step_actor check (actor <> '')
);
create index ix_risk_step_case_id_id on risk_step (case_id, id);
create trigger risk_step_append_only before update or delete or truncate on risk_step
    for each statement execute function refuse_change();
