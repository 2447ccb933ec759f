-- Drafts of commission plans and what became of them.
select 1;
