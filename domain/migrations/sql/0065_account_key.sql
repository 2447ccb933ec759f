-- One look finds anybody's account, and the platform's, too, whose owner is 0 here.

create index ix_account_key on account ((coalesce(owner_id, 0)), kind, currency);
