-- The ticket that signs pages for WeChat's JS-SDK: one row an app, shared by every process, sealed by its holder.
create table platform_ticket (
    app_id text constraint pk_platform_ticket primary key,
    sealed bytea not null,
    fresh_until timestamptz not null,
    expires_at timestamptz not null,
    constraint ck_platform_ticket_fresh check (fresh_until <= expires_at)
);

-- What is watched about payouts: bills that have not ended, oldest first. They are few among all that ever were.
create index ix_transfer_bill_open on transfer_bill (made_at)
    where state not in ('SUCCESS', 'FAIL', 'CANCELLED', 'dropped');
create index ix_transfer_bill_fault on transfer_bill (id) where fault <> '';
