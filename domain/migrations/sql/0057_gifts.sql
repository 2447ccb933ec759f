-- Red packets that operators take back by hand. See ADR 0067.
create table gift_taking (
    approval_id bigint not null,
    journal_id bigint not null,
    fen bigint not null,
    owe boolean not null,
    state text not null default 'calling',
    why text not null default '',
    owed_fen bigint not null default 0,
    at timestamptz not null,
    ended_at timestamptz,
    constraint pk_gift_taking primary key (approval_id),
    constraint fk_gift_taking_approval_id foreign key (approval_id) references approval (id),
    constraint fk_gift_taking_journal_id foreign key (journal_id) references journal (id),
    constraint ck_gift_taking_money
        check (fen > 0 and owed_fen between 0 and fen and (owed_fen = 0 or state = 'taken')),
    constraint ck_gift_taking_state check (state in ('calling', 'taken', 'left')),
    constraint ck_gift_taking_ended check ((state = 'calling') = (ended_at is null)),
    constraint ck_gift_taking_why check ((state = 'left') = (why <> ''))
);
create unique index uq_gift_taking_journal_id on gift_taking (journal_id) where state <> 'left';
create index ix_gift_taking_calling on gift_taking (approval_id) where state = 'calling';
create trigger gift_taking_kept before delete or truncate on gift_taking
    for each statement execute function refuse_change();
