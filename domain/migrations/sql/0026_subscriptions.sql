-- Subscription notices and provider budgets.
select 1;
