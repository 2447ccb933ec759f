-- Personal data under lock, withdrawals, transfer bills and tax.
select 1;
