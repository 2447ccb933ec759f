-- Journey versions, enrolments, visits and waiters.
select 1;
