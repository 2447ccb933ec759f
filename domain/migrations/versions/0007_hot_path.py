"""A message comes in with one call: taken, its sender known and locked, the right to answer kept, what waited woken.

Five statements became one because their round trips, not their work, were what a callback spent its time on.
"""

from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

WAITING = """
create index ix_outbox_no_right on outbox (person_id)
    where state = 'waiting' and reason = 'no_right';
"""

RIGHTS = """
-- The person did something: their window (of taps, or of messages) is refreshed to its maximum, never added to. An older
-- trigger that is handled late changes nothing.
create function grant_right(the_account text, the_openid text, tap boolean, rights bigint, ends timestamptz)
returns void language plpgsql as $$
begin
    if tap then
        insert into send_right as r (account, openid, tap_left, tap_until) values (the_account, the_openid, rights, ends)
        on conflict (account, openid) do update set tap_left = excluded.tap_left, tap_until = excluded.tap_until
            where r.tap_until is null or r.tap_until <= excluded.tap_until;
    else
        insert into send_right as r (account, openid, message_left, message_until)
        values (the_account, the_openid, rights, ends)
        on conflict (account, openid) do update
            set message_left = excluded.message_left, message_until = excluded.message_until
            where r.message_until is null or r.message_until <= excluded.message_until;
    end if;
end $$;

-- Notices and pictures that waited only for a right are due now; returns how many.
create function wake_notices(the_person bigint, at timestamptz) returns bigint language plpgsql as $$
declare
    woken bigint;
begin
    update outbox set due_at = at
    where person_id = the_person and state = 'waiting' and reason = 'no_right';
    get diagnostics woken = row_count;
    return woken;
end $$;
"""

MEETING = """
-- Who sent this message, made on first sight and locked until the transaction ends, so that messages of one person are
-- handled one after the other; and where their dialogue stands. ``tap`` null: what they did opens no window.
create function meet_sender(the_account text, the_app text, the_openid text, wrote boolean, at timestamptz,
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
        select p.id, p.nickname, p.referral_code, i.id, i.followed_at is not null, c.state, c.memory, were_waiting
          from person p
          join identity i on i.kind = 'openid' and i.scope = the_app and i.value = the_openid and i.person_id = p.id
          left join conversation c on c.person_id = p.id and c.account = the_account and c.expires_at > at
         where p.id = found_person;
end $$;

-- Takes a message in and meets its sender. A message that was here before has no ``message_id``, only its ``reply``; it
-- waits here while its first try still runs.
create function open_message(the_account text, the_key text, the_kind text, the_payload jsonb, the_app text,
                             the_openid text, wrote boolean, at timestamptz, tap boolean, rights bigint, ends timestamptz)
returns table (message_id bigint, reply jsonb, person_id bigint, nickname text, referral_code text, identity_id bigint,
               followed_before boolean, state text, memory jsonb, woken bigint)
language plpgsql as $$
#variable_conflict use_column
declare
    taken bigint;
begin
    insert into inbox_message (account, dedupe_key, kind, payload, received_at)
    values (the_account, the_key, the_kind, the_payload, at)
    on conflict (account, dedupe_key) do nothing returning id into taken;
    if taken is null then
        return query
            select null::bigint, m.reply, m.person_id, null::text, null::text, null::bigint, null::boolean, null::text,
                   null::jsonb, 0::bigint
              from inbox_message m where m.account = the_account and m.dedupe_key = the_key;
    else
        return query
            select taken, null::jsonb, s.*
              from meet_sender(the_account, the_app, the_openid, wrote, at, tap, rights, ends) s;
    end if;
end $$;
"""


def upgrade() -> None:
    for part in (WAITING, RIGHTS, MEETING):
        op.execute(part)


def downgrade() -> None:
    raise NotImplementedError("forward only")
