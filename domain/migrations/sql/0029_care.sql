-- Feedback and its adoption; tickets of the helpdesk and the shop's answers.

create table feedback (
    id bigint generated always as identity constraint pk_feedback primary key,
    person_id bigint not null constraint fk_feedback_person_id references person (id),
    words text not null,
    photos jsonb not null default '[]',
    filed_at timestamptz not null,
    state text not null default 'new',
    read_at timestamptz,
    adoptions bigint not null default 0,
    adopted_at timestamptz,
    adopted_by text not null default '',
    outcome text not null default '',
    thanked_at timestamptz,
    answers bigint not null default 0,
    answered_at timestamptz,
    answered_by text not null default '',
    answer text not null default '',
    constraint ck_feedback_words check (char_length(words) between 1 and 2000),
    constraint ck_feedback_state check (state in ('new', 'read', 'adopted')),
    constraint ck_feedback_adopted check ((state = 'adopted') = (adopted_at is not null)
        and (adopted_at is null) = (adopted_by = '') and (adopted_at is null or adoptions > 0)),
    constraint ck_feedback_thanked check (thanked_at is null or adoptions > 0),
    constraint ck_feedback_answered check ((answers = 0) = (answered_at is null) and (answers = 0) = (answered_by = ''))
);
create index ix_feedback_person_id_filed_at on feedback (person_id, filed_at);
create index ix_feedback_state_id on feedback (state, id);

-- An author is thanked once for each feedback, whatever is taken back and adopted again.
create function feedback_thanked_once() returns trigger language plpgsql as $$
begin
    raise exception 'the author of feedback % was thanked at %', old.id, old.thanked_at using errcode = 'HT403';
end $$;
create trigger feedback_thanked_once before update of thanked_at on feedback for each row
    when (old.thanked_at is not null and new.thanked_at is distinct from old.thanked_at)
    execute function feedback_thanked_once();

-- ---- Helpdesk ---------------------------------------------------------------------------------------------------------

create table ticket (
    id bigint generated always as identity constraint pk_ticket primary key,
    person_id bigint not null constraint fk_ticket_person_id references person (id),
    account text not null,
    question text not null default '',
    state text not null default 'open',
    opened_at timestamptz not null,
    waits_for text not null default 'shop',
    waits_since timestamptz not null,
    told_at timestamptz not null,
    taken_by text not null default '',
    taken_at timestamptz,
    closed_at timestamptz,
    closed_why text not null default '',
    closed_by text not null default '',
    constraint ck_ticket_state check (state in ('open', 'closed')),
    constraint ck_ticket_waits_for check (waits_for in ('shop', 'person')),
    constraint ck_ticket_closed check ((state = 'open') = (closed_at is null) and (state = 'open') = (closed_why = '')),
    constraint ck_ticket_closed_why check (closed_why in ('', 'person', 'shop', 'silence', 'left', 'merged')),
    constraint ck_ticket_closed_by check ((closed_why = 'shop') = (closed_by <> '')),
    constraint ck_ticket_taken check ((taken_by = '') = (taken_at is null)),
    constraint ck_ticket_question check (char_length(question) <= 500)
);
create unique index uq_ticket_open on ticket (person_id) where state = 'open';
create index ix_ticket_waiting on ticket (waits_for, waits_since) where state = 'open';
create index ix_ticket_person_id_id on ticket (person_id, id);

create table ticket_answer (
    id bigint generated always as identity constraint pk_ticket_answer primary key,
    ticket_id bigint not null constraint fk_ticket_answer_ticket_id references ticket (id),
    actor text not null,
    words text not null,
    at timestamptz not null,
    constraint ck_ticket_answer_words check (char_length(words) between 1 and 600 and actor <> '')
);
create index ix_ticket_answer_ticket_id_id on ticket_answer (ticket_id, id);

create function ticket_stays_closed() returns trigger language plpgsql as $$
begin
    raise exception 'ticket % was closed at %', old.id, old.closed_at using errcode = 'HT403';
end $$;
create trigger ticket_stays_closed before update of state on ticket for each row
    when (old.state = 'closed' and new.state <> 'closed') execute function ticket_stays_closed();

-- ---- Red packets into WeChat change -----------------------------------------------------------------------------------

-- A gift that was booked into the wallet goes on to its person's change: a withdrawal that nobody asked for, of another
-- merchant account and another tax, and otherwise under the very same rules. ``cause`` is the gift: it leaves once.
alter table withdrawal
    add column kind text not null default 'withdrawal',
    add column cause text not null default '';
alter table withdrawal
    add constraint ck_withdrawal_kind check (kind in ('withdrawal', 'red_packet')),
    add constraint ck_withdrawal_cause check ((kind = 'red_packet') = (cause <> '')),
    add constraint ck_withdrawal_packet check (kind = 'withdrawal' or not two_people and state <> 'partly_paid'),
    drop constraint ck_withdrawal_tax_method,
    add constraint ck_withdrawal_tax_method check (tax_method in ('per_month', 'cumulative', 'none', 'incidental')
        and (tax_method = 'incidental') = (kind = 'red_packet'));
drop index uq_withdrawal_open;
create unique index uq_withdrawal_open on withdrawal (person_id)
    where state in ('asked', 'approved', 'paying') and kind = 'withdrawal';
create unique index uq_withdrawal_cause on withdrawal (cause) where cause <> '';
create index ix_withdrawal_packets on withdrawal (person_id) where kind = 'red_packet' and ended_at is null;
create trigger withdrawal_kind_fixed before update of kind, cause on withdrawal
    for each statement execute function refuse_change();

-- Tax on gifts is not tax on labour: declared apart, so booked apart.
insert into account (id, owner_id, kind, currency, normal) values (24, null, 'tax.incidental', 'CNY', 'credit');
