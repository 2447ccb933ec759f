-- Personal data under lock, withdrawals, transfer bills and tax.

-- Each person's own key, wrapped by a master key that the database never sees. Without its row, nothing sealed opens.
create table vault_key (
    id bigint generated always as identity constraint pk_vault_key primary key,
    person_id bigint not null constraint fk_vault_key_person_id references person (id),
    sealed_for bigint not null constraint fk_vault_key_sealed_for references person (id),
    pseudonym text not null constraint uq_vault_key_pseudonym unique,
    master text not null,
    wrapped bytea,
    made_at timestamptz not null,
    destroyed_at timestamptz,
    constraint ck_vault_key_destroyed check ((wrapped is null) = (destroyed_at is not null))
);
create unique index uq_vault_key_person on vault_key (person_id) where destroyed_at is null;
create index ix_vault_key_master on vault_key (master) where destroyed_at is null;
create trigger vault_key_kept before delete or truncate on vault_key
    for each statement execute function refuse_change();
-- What is destroyed stays destroyed.
create trigger vault_key_closed before update on vault_key
    for each row when (old.destroyed_at is not null) execute function refuse_change();

create table vault_item (
    key_id bigint not null constraint fk_vault_item_key_id references vault_key (id),
    field text not null,
    sealed bytea not null,
    digest bytea not null,
    masked text not null,
    kept_at timestamptz not null,
    constraint pk_vault_item primary key (key_id, field),
    constraint ck_vault_item_field check (field in ('real_name', 'id_number', 'phone'))
);

-- A place of a dialogue whose name ends with '*' asks for something that must not be kept as it is typed. It is known
-- as such (state '*') even after the dialogue has expired: an answer that comes late is as private as one in time.
create or replace function meet_sender(the_account text, the_app text, the_openid text, wrote boolean, at timestamptz,
                                       tap boolean, rights bigint, ends timestamptz)
returns table (person_id bigint, nickname text, referral_code text, identity_id bigint, followed_before boolean,
               state text, memory jsonb, woken bigint)
language plpgsql as $$
#variable_conflict use_column
declare
    found_person bigint := resolve_person('openid', the_app, the_openid, at, wrote);
    were_waiting bigint := 0;
begin
    -- A statement of its own: what the message before has changed must be seen by the statement after the wait.
    perform 1 from person p where p.id = found_person for no key update;
    if tap is not null then
        perform grant_right(the_account, the_openid, tap, rights, ends);
        were_waiting := wake_notices(found_person, at);
    end if;
    return query
        select p.id, p.nickname, p.referral_code, i.id, i.followed_at is not null,
               case when c.expires_at > at then c.state when right(c.state, 1) = '*' then '*' end,
               case when c.expires_at > at then c.memory end, were_waiting
          from person p
          join identity i on i.kind = 'openid' and i.scope = the_app and i.value = the_openid and i.person_id = p.id
          left join conversation c on c.person_id = p.id and c.account = the_account
         where p.id = found_person;
end $$;

-- Who may be paid out: their consent to the tax being withheld, and under which text.
create table payee (
    person_id bigint constraint pk_payee primary key constraint fk_payee_person_id references person (id),
    kind text not null default 'individual',
    consent_version text not null,
    consent_digest text not null,
    consented_at timestamptz not null,
    constraint ck_payee_kind check (kind in ('individual', 'business'))
);

-- One request of a person to be paid. The money is held from asking to the end.
create table withdrawal (
    id bigint generated always as identity constraint pk_withdrawal primary key,
    no text not null constraint uq_withdrawal_no unique,
    person_id bigint not null constraint fk_withdrawal_person_id references person (id),
    account text not null,
    app_id text not null,
    openid text not null,
    remark text not null,
    gross_fen bigint not null,
    tax_fen bigint not null,
    tax_method text not null,
    plan_version bigint not null,
    two_people boolean not null,
    review text not null default '',
    state text not null default 'asked',
    reason text not null default '',
    proposed_by text not null default '',
    decided_by text not null default '',
    asked_at timestamptz not null,
    decided_at timestamptz,
    cancel_asked_at timestamptz,
    ended_at timestamptz,
    paid_gross_fen bigint not null default 0,
    paid_tax_fen bigint not null default 0,
    constraint ck_withdrawal_state check (state in ('asked', 'approved', 'paying', 'paid', 'partly_paid', 'rejected',
        'failed', 'expired', 'cancelled')),
    constraint ck_withdrawal_amounts check (gross_fen > 0 and tax_fen >= 0 and tax_fen < gross_fen),
    constraint ck_withdrawal_paid check (paid_gross_fen >= 0 and paid_tax_fen between 0 and paid_gross_fen
        and (paid_gross_fen > 0) = (state in ('paid', 'partly_paid'))),
    constraint ck_withdrawal_tax_method check (tax_method in ('per_month', 'cumulative', 'none')),
    constraint ck_withdrawal_ended check ((ended_at is not null) = (state not in ('asked', 'approved', 'paying'))),
    -- Two people for large sums: what left 'asked' towards money names both.
    constraint ck_withdrawal_two_people check (not two_people or state in ('asked', 'rejected', 'cancelled')
        or (proposed_by <> '' and decided_by <> '' and proposed_by <> decided_by))
);
create unique index uq_withdrawal_open on withdrawal (person_id) where state in ('asked', 'approved', 'paying');
create index ix_withdrawal_person_id_id on withdrawal (person_id, id);
create index ix_withdrawal_asked on withdrawal (id) where state = 'asked';
create trigger withdrawal_kept before delete or truncate on withdrawal
    for each statement execute function refuse_change();
create trigger withdrawal_fixed before update of id, no, account, app_id, openid, remark, gross_fen, tax_method,
    plan_version, two_people, asked_at on withdrawal for each statement execute function refuse_change();
create trigger withdrawal_closed before update of state, reason, decided_by, proposed_by, ended_at, paid_gross_fen,
    paid_tax_fen on withdrawal for each row when (old.ended_at is not null) execute function refuse_change();

-- One payment at the provider. Its number is made and committed before the first call and never changes; only a
-- definite end lets the same money leave under another number. 'made' and 'dropped' are ours, the rest its words.
create table transfer_bill (
    id bigint generated always as identity constraint pk_transfer_bill primary key,
    withdrawal_id bigint not null constraint fk_transfer_bill_withdrawal_id references withdrawal (id),
    n bigint not null,
    out_bill_no text not null constraint uq_transfer_bill_out_bill_no unique,
    amount_fen bigint not null,
    share_fen bigint not null,
    with_name boolean not null,
    state text not null default 'made',
    act text not null default 'transfer',
    in_doubt boolean not null default false,
    calls bigint not null default 0,
    transfer_bill_no text not null default '',
    package_info text not null default '',
    fail_reason text not null default '',
    fault text not null default '',
    made_at timestamptz not null,
    first_called_at timestamptz,
    called_at timestamptz,
    state_at timestamptz not null,
    due_at timestamptz,
    paid_at timestamptz,
    gross_fen bigint not null default 0,
    tax_fen bigint not null default 0,
    constraint uq_transfer_bill_withdrawal_id_n unique (withdrawal_id, n),
    constraint ck_transfer_bill_number check (out_bill_no ~ '^[A-Za-z0-9]{1,32}$'),
    constraint ck_transfer_bill_amounts check (amount_fen > 0 and share_fen >= amount_fen),
    constraint ck_transfer_bill_state check (state in ('made', 'ACCEPTED', 'PROCESSING', 'WAIT_USER_CONFIRM',
        'TRANSFERING', 'SUCCESS', 'FAIL', 'CANCELING', 'CANCELLED', 'dropped')),
    constraint ck_transfer_bill_act check (act in ('transfer', 'query', 'cancel')),
    constraint ck_transfer_bill_paid check ((state = 'SUCCESS') = (paid_at is not null)
        and case when state = 'SUCCESS' then gross_fen = amount_fen + tax_fen and tax_fen >= 0
            else gross_fen = 0 and tax_fen = 0 end),
    constraint ck_transfer_bill_dropped check (state <> 'dropped' or not in_doubt)
);
create index ix_transfer_bill_due on transfer_bill (due_at) where due_at is not null;
create index ix_transfer_bill_paid_at on transfer_bill (paid_at) where paid_at is not null;
create trigger transfer_bill_kept before delete or truncate on transfer_bill
    for each statement execute function refuse_change();
create trigger transfer_bill_fixed before update of id, withdrawal_id, n, out_bill_no, amount_fen, share_fen, with_name,
    made_at on transfer_bill for each statement execute function refuse_change();
create trigger transfer_bill_closed before update of state, in_doubt, act, calls, paid_at, gross_fen, tax_fen
    on transfer_bill for each row when (old.state in ('SUCCESS', 'FAIL', 'CANCELLED', 'dropped'))
    execute function refuse_change();

-- Whether money may leave at all.
create table payout_switch (
    id bigint constraint pk_payout_switch primary key,
    stopped_at timestamptz,
    reason text not null default '',
    changed_by text not null default '',
    constraint ck_payout_switch_one check (id = 1),
    constraint ck_payout_switch_reason check ((stopped_at is not null) = (reason <> ''))
);
insert into payout_switch (id) values (1);

-- How labour remuneration is taxed, by the day from which a table counts (the day of payment decides). A new law is a
-- new row. Amounts in fen, rates in basis points; a bracket is [taxable up to (null: no end), rate, quick deduction].
create table tax_table (
    method text not null,
    since date not null,
    document jsonb not null,
    constraint pk_tax_table primary key (method, since),
    constraint ck_tax_table_method check (method in ('per_month', 'cumulative'))
);
create trigger tax_table_kept before update or delete or truncate on tax_table
    for each statement execute function refuse_change();
insert into tax_table (method, since, document) values
    ('per_month', '2019-01-01', '{"free_fen": 80000, "flat_until_fen": 400000, "cost_bps": 2000,
        "brackets": [[2000000, 2000, 0], [5000000, 3000, 200000], [null, 4000, 700000]]}'),
    ('cumulative', '2019-01-01', '{"free_per_month_fen": 500000, "cost_bps": 2000,
        "brackets": [[3600000, 300, 0], [14400000, 1000, 252000], [30000000, 2000, 1692000], [42000000, 2500, 3192000],
                     [66000000, 3000, 5292000], [96000000, 3500, 8592000], [null, 4500, 18192000]]}');
