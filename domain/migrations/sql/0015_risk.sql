-- Risk signals, cases, freezes and appeals.
select 1;
