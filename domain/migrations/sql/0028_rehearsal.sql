-- Journeys: rehearsals.
select 1;
