-- What the payment channel told: notifications, fund bills, matches.
select 1;
