-- Payments that came in one batch and that nobody has looked at yet: one row, instead of one for each (ADR 0079). No key to
-- commerce_event is checked: one statement writes both, and events are never deleted.
create table commerce_batch (
    id bigint generated always as identity constraint pk_commerce_batch primary key,
    due_at timestamptz not null,
    events bigint[] not null,
    constraint ck_commerce_batch_events check (cardinality(events) > 0)
);
create index ix_commerce_batch_due on commerce_batch (due_at, id);

create or replace view commerce_event_now as
select e.id, e.source, e.event_id, e.type, e.subject,
       coalesce(o.state, case when b.id is null then 'done' else 'new' end) as state,
       coalesce(o.attempts, 0) as attempts, coalesce(o.reason, e.reason) as reason,
       coalesce(o.due_at, b.due_at) as due_at, e.received_at
  from commerce_event e left join commerce_open o on o.id = e.id
  left join (select w.due_at, unnest(w.events) as id from commerce_batch w) b on b.id = e.id;
