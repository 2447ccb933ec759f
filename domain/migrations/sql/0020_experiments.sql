-- Assignments, exposures and readings of experiments.
select 1;
