-- Caps, digests, fatigue and subscriptions of notices.
select 1;
