-- Points, draws, check-ins, red packets and memberships.
select 1;
