-- Erasing people who left.
select 1;
