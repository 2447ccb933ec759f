-- When people inside journeys are due, apart from the people. A step moves its due time on, and an update of an indexed
-- column writes an entry into every index of the row: the three that say who is inside never change by a step, are the
-- largest, and lie in no order of time. With the due time in a small table of its own, a step changes no index of
-- ``enrolment`` at all (the new row goes into the same page), and who is next is read from a few neighbouring pages.

-- One for each run that is open or held, nobody else: kept by the triggers below, written in the order in which they are
-- read. No foreign key: nobody else writes here, and a check would cost more than the row.
create table enrolment_due (
    journey_id bigint not null,
    due_at timestamptz not null,
    enrolment_id bigint not null,
    constraint pk_enrolment_due primary key (journey_id, due_at, enrolment_id)
) with (autovacuum_vacuum_scale_factor = 0.02);

insert into enrolment_due (journey_id, due_at, enrolment_id)
select journey_id, due_at, id from enrolment where state in ('open', 'held')
 order by journey_id, due_at;

drop index ix_enrolment_due;

create function enrolment_enters() returns trigger language plpgsql as $$
begin
    insert into enrolment_due (journey_id, due_at, enrolment_id)
    select n.journey_id, n.due_at, n.id from fresh n where n.state in ('open', 'held')
     order by n.journey_id, n.due_at;
    return null;
end $$;

-- A statement moves a batch of runs or a handful; never is the table of tickets the smaller side.
create function enrolment_moves() returns trigger language plpgsql
set enable_hashjoin = off set enable_mergejoin = off set enable_seqscan = off as $$
begin
    delete from enrolment_due d using stale o
     where o.state in ('open', 'held') and d.journey_id = o.journey_id and d.due_at = o.due_at and d.enrolment_id = o.id;
    insert into enrolment_due (journey_id, due_at, enrolment_id)
    select n.journey_id, n.due_at, n.id from fresh n where n.state in ('open', 'held')
     order by n.journey_id, n.due_at;
    return null;
end $$;

create trigger enrolment_enters after insert on enrolment
    referencing new table as fresh for each statement execute function enrolment_enters();
create trigger enrolment_moves after update on enrolment
    referencing old table as stale new table as fresh for each statement execute function enrolment_moves();

-- ---- Month closes -------------------------------------------------------------------------------------------------

-- A foreign key locks the person of each row, one by one: a sixth of a close. Nobody is ever taken out of ``person`` or
-- renamed there, so a look at all rows of a statement at once refuses the same (as 0027 does for the books).
create function person_known() returns trigger language plpgsql
set plan_cache_mode = force_generic_plan set enable_seqscan = off as $$
begin
    if exists (select from fresh f where not exists (select from person p where p.id = f.person_id offset 0)) then
        raise exception '% on table "%" violates foreign key constraint "fk_%_person_id"', lower(tg_op), tg_table_name,
            tg_table_name using errcode = 'foreign_key_violation', table = tg_table_name,
            constraint = 'fk_' || tg_table_name || '_person_id';
    end if;
    return null;
end $$;
create trigger month_volume_person after insert on month_volume
    referencing new table as fresh for each statement execute function person_known();
create trigger month_volume_person_moved after update on month_volume
    referencing new table as fresh for each statement execute function person_known();
create trigger settlement_person after insert on settlement
    referencing new table as fresh for each statement execute function person_known();
create trigger settlement_person_moved after update on settlement
    referencing new table as fresh for each statement execute function person_known();
alter table month_volume alter constraint fk_month_volume_person_id not enforced;
alter table settlement alter constraint fk_settlement_person_id not enforced;
create trigger person_kept before delete or truncate on person for each statement execute function refuse_change();
create trigger person_fixed before update of id on person for each statement execute function refuse_change();
