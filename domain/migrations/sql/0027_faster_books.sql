-- Books kept faster.
select 1;
