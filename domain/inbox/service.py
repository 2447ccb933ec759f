"""Keep, fail and re-open inbox messages, and keep the place of a dialogue.

A message is written once, by the last statement of its own transaction, with its reply. Its sender is locked before
(hear_message of migration 0031), so a retry that arrives while the first try still runs waits for that lock and then
finds the stored reply; the unique key is the last guard.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

import msgspec
from sqlalchemy import bindparam, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Session

from domain.shared import trips, wire
from domain.shared.records import record

MAX_ATTEMPTS = 5
DIALOGUE_MINUTES = 30
NONCE_MINUTES = 10


@record
class Failed:
    """A failed message that is due for another try, locked for us."""

    id: int
    account: str
    payload: dict[str, Any]
    attempts: int


@record
class Kept:
    """A message that was answered, as it is to be kept. ``version``: of its sender's row, as it was read."""

    account: str
    dedupe_key: str
    person_id: int
    version: str
    kind: str
    payload: dict[str, Any]
    reply: dict[str, Any]

    @property
    def key(self) -> tuple[str, str]:
        return self.account, self.dedupe_key


_KEEP = """
    insert into inbox_message (account, dedupe_key, person_id, kind, payload, state, reply, received_at, handled_at)
    values (%s, %s, %s, %s, %s::jsonb, 'done', %s::jsonb, %s, %s)
"""
# Whose row somebody else holds is left out, and so is who was changed since they were read: what is read after the lock
# is the person as they are then.
_KEEP_SOME = """
    with met as (
        select id, xmin::text as version from person
         where id = any (%(people)s::bigint[]) and merged_into is null for no key update skip locked)
    insert into inbox_message (account, dedupe_key, person_id, kind, payload, state, reply, received_at, handled_at)
    select k.account, k.dedupe_key, k.person_id, k.kind, k.payload, 'done', k.reply, %(at)s, %(at)s
      from jsonb_to_recordset(%(messages)s::jsonb) as k
           (account text, dedupe_key text, person_id bigint, version text, kind text, payload jsonb, reply jsonb)
      join met on met.id = k.person_id and met.version = k.version
     order by k.account, k.dedupe_key
        on conflict do nothing
 returning account, dedupe_key
"""
# A retry keeps nothing: its key is another transaction's.
_IF_KEPT = """
           and exists (select from inbox_message where account = %(kept_account)s and dedupe_key = %(kept_key)s
                                                   and xmin = pg_current_xact_id()::xid)
"""
_CLOSE = """
    update inbox_message
       set state = 'done', person_id = %s, reply = %s::jsonb, error = '', due_at = null, handled_at = %s
     where id = %s
"""

_FAIL = text(
    """
    insert into inbox_message (account, dedupe_key, kind, payload, state, error, received_at, due_at)
    values (:account, :dedupe_key, :kind, :payload, 'failed', :error, :now, :due_at)
    on conflict (account, dedupe_key) do nothing
    returning id
    """
).bindparams(bindparam("payload", type_=JSONB))

_REPLY_OF = text(
    "select reply from inbox_message where account = :account and dedupe_key = :dedupe_key"
).columns(reply=JSONB)


def handled(
    account: str, dedupe_key: str, kind: str, payload: dict[str, Any], person_id: int | None, reply: dict[str, Any],
    now: datetime,
) -> trips.Closing:
    """The last statement of a message that was handled: it is kept with who said it and what was answered."""
    facts = (account, dedupe_key, person_id, kind, _json(payload), _json(reply), now, now)
    return trips.Closing(_KEEP, facts)


def keeping(messages: Sequence[Kept], now: datetime) -> wire.Question:
    """The statement that keeps messages of different keys whose senders are still as they were read; its rows are the
    keys of those that were kept. In a transaction of its own."""
    return _KEEP_SOME, {"people": [one.person_id for one in messages], "at": now,
                        "messages": msgspec.json.encode(messages).decode()}


def if_kept(message: Kept, owed: trips.Closing) -> trips.Closing:
    """What is owed for a message, for behind ``keeping`` in its transaction: nothing comes of it unless that kept the
    message. The statement of ``owed`` ends with its condition, and its values have names."""
    assert isinstance(owed.values, Mapping)
    return trips.Closing(owed.sql + _IF_KEPT, {
        **owed.values, "kept_account": message.account, "kept_key": message.dedupe_key})


def close_message(
    session: Session, message_id: int, person_id: int | None, reply: dict[str, Any], now: datetime
) -> None:
    """A message that had failed was handled: keep who said it and what was answered."""
    trips.rows(session, _CLOSE, (person_id, _json(reply), now, message_id))


def _json(value: dict[str, Any]) -> str:
    return msgspec.json.encode(value).decode()


def keep_failed(
    session: Session, account: str, dedupe_key: str, kind: str, payload: dict[str, Any], error: str, now: datetime
) -> dict[str, Any] | None:
    """The handler failed and was rolled back: keep the message for the sweeper.

    Returns the stored reply instead if the message turns out to be handled: the commit went through though its
    acknowledgement was lost, or a retry got through since.
    """
    facts = {"account": account, "dedupe_key": dedupe_key, "kind": kind, "payload": payload}
    kept = session.execute(_FAIL, {**facts, "error": error[:500], "now": now, "due_at": now + _pause(1)}).first()
    if kept is not None:
        return None
    stored: dict[str, Any] | None = session.execute(_REPLY_OF, {"account": account, "dedupe_key": dedupe_key}).scalar()
    return stored


def forget_text(session: Session, message_id: int, payload: dict[str, Any]) -> None:
    """Keep ``payload`` (the message without what was said) instead of what came, in the message's own transaction."""
    session.execute(text("update inbox_message set payload = :payload where id = :id").bindparams(
        bindparam("payload", type_=JSONB)), {"payload": payload, "id": message_id})


def keep_forgotten(
    session: Session, account: str, dedupe_key: str, kind: str, payload: dict[str, Any], fault: str,
    reply: dict[str, Any], now: datetime,
) -> dict[str, Any] | None:
    """The handler of something private failed: keep that it came and what was answered, nothing to try again with.

    Returns the stored reply instead if the message turns out to be handled.
    """
    kept = session.execute(
        text(
            """
            insert into inbox_message (account, dedupe_key, kind, payload, state, error, reply, received_at, handled_at)
            values (:account, :dedupe_key, :kind, :payload, 'done', :error, :reply, :now, :now)
            on conflict (account, dedupe_key) do nothing returning id
            """
        ).bindparams(bindparam("payload", type_=JSONB), bindparam("reply", type_=JSONB)),
        {"account": account, "dedupe_key": dedupe_key, "kind": kind, "payload": payload, "error": fault,
         "reply": reply, "now": now},
    ).first()
    if kept is not None:
        return None
    stored: dict[str, Any] | None = session.execute(_REPLY_OF, {"account": account, "dedupe_key": dedupe_key}).scalar()
    return stored


def quarantine(session: Session, account: str, dedupe_key: str, raw: str, reason: str, now: datetime) -> None:
    """Signed well, but unusable: keep what came for a person to look at."""
    session.execute(
        text(
            """
            insert into inbox_message (account, dedupe_key, kind, payload, state, error, received_at)
            values (:account, :dedupe_key, 'unusable', jsonb_build_object('raw', cast(:raw as text)),
                    'quarantined', :reason, :now)
            on conflict (account, dedupe_key) do nothing
            """
        ),
        {"account": account, "dedupe_key": dedupe_key, "raw": raw[:8000].replace("\x00", "\ufffd"),
         "reason": reason[:500], "now": now},
    )


def claim_failed(session: Session, now: datetime) -> Failed | None:
    """Lock the next failed message that is due; None if there is none."""
    row = session.execute(
        text(
            """
            select id, account, payload, attempts from inbox_message
             where state = 'failed' and due_at <= :now
             order by due_at, id limit 1 for update skip locked
            """
        ),
        {"now": now},
    ).first()
    return Failed(row.id, row.account, row.payload, row.attempts) if row else None


def fail_again(session: Session, message_id: int, attempts: int, error: str, now: datetime) -> bool:
    """Record another failure; returns whether this was the last try (the message is dead now)."""
    dead = attempts + 1 >= MAX_ATTEMPTS
    session.execute(
        text(
            """
            update inbox_message set state = :state, attempts = :attempts, error = :error, due_at = :due_at
             where id = :id
            """
        ),
        {"id": message_id, "state": "dead" if dead else "failed", "attempts": attempts + 1, "error": error[:500],
         "due_at": None if dead else now + _pause(attempts + 1)},
    )
    return dead


def nonce_is_new(session: Session, account: str, replay_key: str, body_digest: str, now: datetime) -> bool:
    """Whether this nonce was not used with another body before (plain mode only). Prunes old nonces."""
    oldest = now - timedelta(minutes=NONCE_MINUTES)
    session.execute(text("delete from nonce_seen where seen_at < :oldest"), {"oldest": oldest})
    row = session.execute(
        text(
            """
            insert into nonce_seen (account, replay_key, body_digest, seen_at)
            values (:account, :replay_key, :body_digest, :now)
            on conflict (account, replay_key) do update set seen_at = nonce_seen.seen_at
            returning body_digest
            """
        ),
        {"account": account, "replay_key": replay_key, "body_digest": body_digest, "now": now},
    ).one()
    return bool(row.body_digest == body_digest)


def go_to(
    session: Session, person_id: int, account: str, state: str, memory: dict[str, Any], now: datetime
) -> None:
    """Remember where the dialogue stands; forgotten after half an hour."""
    session.execute(
        text(
            """
            insert into conversation (person_id, account, state, memory, expires_at)
            values (:person_id, :account, :state, :memory, :expires_at)
            on conflict (person_id, account)
            do update set state = excluded.state, memory = excluded.memory, expires_at = excluded.expires_at
            """
        ).bindparams(bindparam("memory", type_=JSONB)),
        {"person_id": person_id, "account": account, "state": state, "memory": memory,
         "expires_at": now + timedelta(minutes=DIALOGUE_MINUTES)},
    )


def leave(session: Session, person_id: int, account: str) -> None:
    """The dialogue is over."""
    session.execute(
        text("delete from conversation where person_id = :person_id and account = :account"),
        {"person_id": person_id, "account": account},
    )


def _pause(attempts: int) -> timedelta:
    """1, 4, 16, 64 s: a fault that lasts costs little, a short one is over at once."""
    return timedelta(seconds=4 ** (attempts - 1))


def move(session: Session, kept_id: int, gone_id: int, now: datetime) -> dict[str, int]:
    """The inbox's part of a merge: messages follow; a dialogue of the person who goes is dropped."""
    ids = {"kept": kept_id, "gone": gone_id}
    session.execute(text("delete from conversation where person_id = :gone"), ids)
    moved = session.execute(
        text("update inbox_message set person_id = :kept where person_id = :gone returning id"), ids
    ).all()
    return {"inbox_message": len(moved)}
