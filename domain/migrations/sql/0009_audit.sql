-- Operators, approvals of two people, and the sealed log of what they did.
select 1;
