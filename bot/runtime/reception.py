"""Taking a message in: its sender, their right to be answered and the place of their dialogue.

Whoever is known is met by two statements that travel with BEGIN: one locks them, one reads what is known of message
and dialogue once that lock is held. What is rare (a stranger, a merged person, a first window, somebody who comes back,
something that waited) is ``hear_message`` of migration 0031: one more trip, for whom it happens to. The message itself
is written once, with its reply, by the last statement (``domain.inbox``), and with it what its sender is owed for
writing; their lock is what a retry waits for while the first try runs.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Protocol

from sqlalchemy import text
from sqlalchemy.orm import Session

from bot.kit.context import Speaker
from bot.kit.conversation import PRIVATE, Place
from bot.kit.messages import Incoming
from domain.people.rules import SEEN_STEP
from domain.platform import rights as grants
from domain.platform import service as platform
from domain.shared import outbox, trips, wire
from domain.shared.records import record

_HEAR = "select * from hear_message(%s, %s, %s, %s, %s, %s, %s, %s, %s)"
_LOCK = """
    select p.id as person_id, p.nickname, p.referral_code, i.id as identity_id
      from identity i join person p on p.id = i.person_id
     where i.kind = 'openid' and i.scope = %(app)s and i.value = %(openid)s and p.merged_into is null
       for no key update of p
"""
# A statement of its own: what the message before has changed must be seen after the wait for it.
_FIND = """
    select m.id is not null as known, m.reply, i.person_id, i.seen_at, i.followed_at, i.unfollowed_at,
           c.state, c.memory, c.expires_at,
           exists (select from outbox o where o.person_id = i.person_id and o.state = 'waiting'
                      and o.reason = 'no_right') as waits,
           case when %(tap)s then r.tap_left else r.message_left end as rights,
           case when %(tap)s then r.tap_until else r.message_until end as until
      from identity i
      left join inbox_message m on m.account = %(account)s and m.dedupe_key = %(key)s
      left join conversation c on c.person_id = i.person_id and c.account = %(account)s
      left join send_right r on r.account = %(account)s and r.openid = i.value
     where i.kind = 'openid' and i.scope = %(app)s and i.value = %(openid)s
"""
# The same of many at once, and nobody is locked. ``version``: what it is until anything of the person is changed.
# Whether the message was here before is not asked: its key tells when it is kept.
_LOOK = """
    select k.n, p.id as person_id, p.xmin::text as version, p.nickname, p.referral_code, i.id as identity_id,
           i.seen_at, i.followed_at, i.unfollowed_at, c.state, c.memory, c.expires_at,
           exists (select from outbox o where o.person_id = i.person_id and o.state = 'waiting'
                      and o.reason = 'no_right') as waits,
           case when k.tap then r.tap_left else r.message_left end as rights,
           case when k.tap then r.tap_until else r.message_until end as until
      from unnest(%(accounts)s::text[], %(apps)s::text[], %(openids)s::text[], %(taps)s::bool[])
           with ordinality as k (account, app, openid, tap, n)
      join identity i on i.kind = 'openid' and i.scope = k.app and i.value = k.openid
      join person p on p.id = i.person_id and p.merged_into is null
      left join conversation c on c.person_id = p.id and c.account = k.account
      left join send_right r on r.account = k.account and r.openid = k.openid
"""
_SEEN = "select identity_touch(%(identity)s, %(at)s, %(wrote)s) where true"
_SECRET = text("""
    select exists (select from identity i join conversation c using (person_id)
                    where i.kind = 'openid' and i.scope = :app_id and i.value = :openid and c.account = :account
                      and right(c.state, 1) = '*')
""")
Probable = Sequence[wire.Question]
"""What will probably be asked of the database once the sender is met."""
_TAPS: dict[str, platform.Trigger] = {"follow": "follow", "scan": "scan", "menu": "menu"}
Came = tuple[bool, datetime, bool | None, Any, Any]
"""Whether a message's sender wrote, when, and the right that it opens: of the window of taps (None: it opens none), how
many messages, until when."""


@record
class Guest:
    """The person on the other side, locked until the transaction ends, and where the dialogue with them stands."""

    speaker: Speaker
    place: Place


@record
class Heard:
    """``guest`` is None for a retry; then ``reply`` is what the first try answered (None: it did not succeed).
    ``owed`` is written with the message's last statement."""

    guest: Guest | None
    reply: dict[str, Any] | None = None
    owed: tuple[trips.Closing, ...] = ()


@record
class Look:
    """Whose message came, to which app, and what it means to them: for a look at its sender that locks nobody."""

    message: Incoming
    app_id: str
    came: Came


class Desk(Protocol):
    """Who is met at an account: this module for the followers of an Official Account. ``scope`` is its app or corp id.
    Speaker 0 is nobody whom the shop knows as a person."""

    def hear(
        self, session: Session, message: Incoming, scope: str, now: datetime, probable: Probable = ..., /
    ) -> Heard: ...

    def meet(self, session: Session, message: Incoming, scope: str, now: datetime, /) -> Guest: ...


def hear(session: Session, message: Incoming, app_id: str, now: datetime, probable: Probable = ()) -> Heard:
    """Meet the sender of a new message, or learn that it was here before (waits while its first try still runs).
    ``probable`` is asked along, once the sender is locked."""
    came = circumstances(message, now)
    asked = {"account": message.account, "key": message.dedupe_key, "app": app_id, "openid": message.sender,
             "tap": came[2]}
    locked, found = trips.foreseeing(session, [(_LOCK, asked), (_FIND, asked)], probable)
    if locked and found and found[0].known:
        return Heard(None, found[0].reply)
    if locked and found and _is_usual(locked[0], found[0], came):
        return Heard(_met(locked[0], found[0], came), owed=_owed(message, locked[0], found[0], came))
    row = _hear(session, message, message.dedupe_key, app_id, now, probable)
    return Heard(None, row.reply) if row.known else Heard(_guest(session, row))


def looking(looks: Sequence[Look]) -> wire.Question:
    """The question for the senders of several messages at once. A row has its message's number as ``n``, from 1; for a
    sender whom nobody knows there is none."""
    return _LOOK, {"accounts": [one.message.account for one in looks], "apps": [one.app_id for one in looks],
                   "openids": [one.message.sender for one in looks], "taps": [one.came[2] for one in looks]}


def usual(look: Look, found: Any) -> tuple[Guest, tuple[trips.Closing, ...]] | None:
    """Who was found by a look, outside of any dialogue, and what they are owed for writing; None if meeting them
    changes anything else."""
    if not _is_usual(found, found, look.came):
        return None
    guest = _met(found, found, look.came)
    return None if guest.place.state else (guest, _owed(look.message, found, found, look.came))


def meet(session: Session, message: Incoming, app_id: str, now: datetime) -> Guest:
    """The sender of a message that was taken in earlier."""
    return _guest(session, _hear(session, message, None, app_id, now))


def _hear(
    session: Session, message: Incoming, key: str | None, app_id: str, now: datetime, probable: Probable = ()
) -> Any:
    facts = (message.account, key, app_id, message.sender, *circumstances(message, now))
    (row,), = trips.foreseeing(session, [(_HEAR, facts)], probable)
    return row


def _is_usual(locked: Any, found: Any, came: Came) -> bool:
    """Whether meeting this sender changes nothing that somebody could ask for before the message is answered."""
    wrote, now, tap, *_ = came
    left = found.unfollowed_at is not None and found.unfollowed_at < now
    comes_back = wrote and (found.followed_at is None or left)
    first_window = tap is not None and found.until is None
    return found.person_id == locked.person_id and not (comes_back or first_window or found.waits)


def _met(locked: Any, found: Any, came: Came) -> Guest:
    wrote, now, *_ = came
    speaker = Speaker(locked.person_id, locked.nickname, locked.referral_code, locked.identity_id,
                      wrote or found.followed_at is not None)
    if found.expires_at is not None and found.expires_at > now:
        return Guest(speaker, Place(found.state, found.memory or {}))
    # A secret place is known as such even after the dialogue has expired.
    return Guest(speaker, Place(PRIVATE if (found.state or "").endswith(PRIVATE) else ""))


def _owed(message: Incoming, locked: Any, found: Any, came: Came) -> tuple[trips.Closing, ...]:
    """What the sender gets for having written or tapped: their window anew, and that they were seen."""
    wrote, now, tap, rights, ends = came
    owed = []
    if tap is not None and not grants.as_good_as_new(found.rights, found.until, rights, ends, now):
        owed.append(grants.renewing(message.account, message.sender, "tap" if tap else "message", rights, ends))
    if found.seen_at < now - SEEN_STEP:
        owed.append(trips.Closing(_SEEN, {"identity": locked.identity_id, "at": now, "wrote": wrote}))
    return tuple(owed)


def at_secret_place(session: Session, message: Incoming, app_id: str) -> bool:
    """Whether the sender was asked for something private, and this may be the answer."""
    facts = {"app_id": app_id, "openid": message.sender, "account": message.account}
    return bool(session.execute(_SECRET, facts).scalar_one())


def trigger_of(message: Incoming) -> platform.Trigger | None:
    """Which right to send a message opens: message, menu, follow, scan, or None."""
    if message.kind != "event":
        return "menu" if message.data.get("bizmsgmenuid") else "message"
    return _TAPS.get(message.event)


def circumstances(message: Incoming, now: datetime) -> Came:
    """What a message means to its sender: whoever writes or taps lets us write back."""
    trigger = trigger_of(message)
    right = platform.right_of(trigger, now) if trigger else (None, None, None)
    return (message.kind != "event", now, *right)


def _guest(session: Session, row: Any) -> Guest:
    if row.woken:
        outbox.ring(session, "notice")
        outbox.ring(session, "slow")
    speaker = Speaker(row.person_id, row.nickname, row.referral_code, row.identity_id, row.followed_before)
    return Guest(speaker, Place(row.state or "", row.memory or {}))
