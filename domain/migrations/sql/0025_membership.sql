-- Paid membership, draws and the points mall.
select 1;
