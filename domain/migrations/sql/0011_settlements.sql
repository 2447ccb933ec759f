-- Month closes, their results, milestones and service incentives.
select 1;
