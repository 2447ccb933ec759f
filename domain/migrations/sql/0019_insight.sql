-- Tags and segments, kept current by events.
select 1;
