-- What is watched about payouts.
select 1;
