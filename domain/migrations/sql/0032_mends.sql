-- Who has a chore: the database process that serves its worker. While that lives, so does the worker.
alter table chore add column lease_by bigint;
