-- What is still to be booked is a list of its own (ADR 0064). An event is written once and stays as it is; its place on the
-- list is a narrow row that is deleted when the event is taken, with nothing written when it is done.

-- Nobody tells us an event, and nobody takes one, until the list is whole.
lock table commerce_event in access exclusive mode;

-- Whatever is not done. No key to commerce_event is checked: one statement writes both, and events are never deleted.
create table commerce_open (
    id bigint not null constraint pk_commerce_open primary key,
    due_at timestamptz not null,
    attempts bigint not null default 0,
    state text not null default 'new',
    type text not null,
    subject text not null,
    reason text not null default '',
    constraint ck_commerce_open_state check (state = any ('{new,parked,conflict,dead}'::text[])),
    constraint ck_commerce_open_reason check (reason <> '' or state = 'new')
);
insert into commerce_open (id, due_at, attempts, state, type, subject, reason)
select id, due_at, attempts, state, type, subject, reason from commerce_event where state <> 'done' order by due_at, id;
create index ix_commerce_open_due on commerce_open (due_at, id) where state = 'new';
-- Who asks by subject asks for what waits, or for what takes money back: never for a payment that nobody has tried.
create index ix_commerce_open_subject on commerce_open (subject) where state <> 'new' or type <> 'order.paid';

-- Columns go without a look at the rows. ``reason`` stays: what was said of an event when it was done.
alter table commerce_event drop column state, drop column attempts, drop column due_at, drop column ended_at;
update commerce_event e set reason = '' from commerce_open o where e.id = o.id and e.reason <> '';
alter table commerce_event set (fillfactor = 100);

-- How each event stands, for whoever asks by hand.
create view commerce_event_now as
select e.id, e.source, e.event_id, e.type, e.subject, coalesce(o.state, 'done') as state,
       coalesce(o.attempts, 0) as attempts, coalesce(o.reason, e.reason) as reason, o.due_at, e.received_at
  from commerce_event e left join commerce_open o on o.id = e.id;
