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
