-- What the payment channel told: keys, notifications, fund bills, what does not match. No personal data.
create table pay_certificate (
    mch_id text not null,
    serial text not null,
    pem text not null,
    valid_from timestamptz not null,
    valid_until timestamptz not null,
    fetched_at timestamptz not null,
    constraint pk_pay_certificate primary key (mch_id, serial),
    constraint ck_pay_certificate_validity check (valid_from < valid_until)
);

create table pay_notification (
    account text not null,
    id text not null,
    state text not null,
    out_bill_no text default '' not null,
    bill_state text default '' not null,
    reason text default '' not null,
    times bigint default 1 not null,
    received_at timestamptz not null,
    last_at timestamptz not null,
    constraint pk_pay_notification primary key (account, id),
    constraint ck_pay_notification_state check (state in ('applied', 'refused', 'quarantined')),
    constraint ck_pay_notification_reason check (state = 'applied' or reason <> '')
);
create index ix_pay_notification_received_at on pay_notification (received_at);

create table fund_line (
    account text not null,
    flow_no text not null,
    day date not null,
    at timestamptz not null,
    business_no text not null,
    voucher_no text not null,
    business text not null,
    kind text not null,
    income boolean not null,
    amount_fen bigint not null,
    balance_fen bigint not null,
    constraint pk_fund_line primary key (account, flow_no),
    constraint ck_fund_line_amount check (amount_fen > 0)
);
create index ix_fund_line_account_day on fund_line (account, day);
create index ix_fund_line_account_voucher_no on fund_line (account, voucher_no);
create trigger fund_line_is_append_only before update or delete or truncate on fund_line
    for each statement execute function refuse_change();

create table fund_day (
    account text not null,
    day date not null,
    lines bigint not null,
    income_fen bigint not null,
    outgo_fen bigint not null,
    open_incidents bigint not null,
    fetched_at timestamptz not null,
    constraint pk_fund_day primary key (account, day),
    constraint ck_fund_day_sums check (lines >= 0 and income_fen >= 0 and outgo_fen >= 0 and open_incidents >= 0)
);

create table pay_incident (
    id bigint generated always as identity,
    account text not null,
    kind text not null,
    subject text not null,
    day date,
    ours_fen bigint,
    theirs_fen bigint,
    opened_at timestamptz not null,
    closed_at timestamptz,
    explanation text default '' not null,
    closed_by text default '' not null,
    constraint pk_pay_incident primary key (id),
    constraint ck_pay_incident_kind check (kind in (
        'line_without_bill', 'success_without_line', 'amount_differs', 'money_not_returned', 'paid_twice',
        'bill_contradicted', 'clearing_differs')),
    constraint ck_pay_incident_closed check ((closed_at is null) = (closed_by = '')),
    constraint ck_pay_incident_explained check (closed_at is null or length(explanation) between 4 and 500)
);
create unique index uq_pay_incident_open on pay_incident (account, kind, subject) where closed_at is null;
