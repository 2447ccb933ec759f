-- A case is decided by two people, whoever writes. It begins open; asked when it is committed, as the yes, the end and
-- the step that tells of a merge are written together. Cases are few: this costs nobody anything.
create trigger risk_case_begins before insert on risk_case for each row
    when (new.state <> 'open') execute function refuse_change();
create constraint trigger risk_case_two_people after update of state on risk_case deferrable initially deferred
    for each row when (old.state in ('open', 'appealed') and new.state in ('released', 'confiscated'))
    execute function risk_case_two_people();
