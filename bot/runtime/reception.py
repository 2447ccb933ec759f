"""Taking a message in: its sender, their right to be answered and the place of their dialogue, in one call.

``hear_message`` of migration 0031 does the work, and travels with BEGIN. The message itself is written once, with its
reply, by the last statement (``domain.inbox``): its sender's lock is what a retry waits for while the first try runs.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol

from sqlalchemy import text
from sqlalchemy.orm import Session

from bot.kit.context import Speaker
from bot.kit.conversation import Place
from bot.kit.messages import Incoming
from domain.platform import service as platform
from domain.shared import outbox, trips, wire

_HEAR = "select * from hear_message(%s, %s, %s, %s, %s, %s, %s, %s, %s)"
_SECRET = text("""
    select exists (select from identity i join conversation c using (person_id)
                    where i.kind = 'openid' and i.scope = :app_id and i.value = :openid and c.account = :account
                      and right(c.state, 1) = '*')
""")
Probable = Sequence[wire.Question]
"""What will probably be asked of the database once the sender is met."""
_TAPS: dict[str, platform.Trigger] = {"follow": "follow", "scan": "scan", "menu": "menu"}


@dataclass(frozen=True, slots=True)
class Guest:
    """The person on the other side, locked until the transaction ends, and where the dialogue with them stands."""

    speaker: Speaker
    place: Place


@dataclass(frozen=True, slots=True)
class Heard:
    """``guest`` is None for a retry; then ``reply`` is what the first try answered (None: it did not succeed)."""

    guest: Guest | None
    reply: dict[str, Any] | None = None


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
    row = _hear(session, message, message.dedupe_key, app_id, now, probable)
    return Heard(None, row.reply) if row.known else Heard(_guest(session, row))


def meet(session: Session, message: Incoming, app_id: str, now: datetime) -> Guest:
    """The sender of a message that was taken in earlier."""
    return _guest(session, _hear(session, message, None, app_id, now))


def _hear(
    session: Session, message: Incoming, key: str | None, app_id: str, now: datetime, probable: Probable = ()
) -> Any:
    facts = (message.account, key, app_id, message.sender, *_circumstances(message, now))
    row, = trips.foreseeing(session, (_HEAR, facts), *probable)
    return row


def at_secret_place(session: Session, message: Incoming, app_id: str) -> bool:
    """Whether the sender was asked for something private, and this may be the answer."""
    facts = {"app_id": app_id, "openid": message.sender, "account": message.account}
    return bool(session.execute(_SECRET, facts).scalar_one())


def trigger_of(message: Incoming) -> platform.Trigger | None:
    """Which right to send a message opens: message, menu, follow, scan, or None."""
    if message.kind != "event":
        return "menu" if message.data.get("bizmsgmenuid") else "message"
    return _TAPS.get(message.event)


def _circumstances(message: Incoming, now: datetime) -> tuple[object, ...]:
    """Whether they wrote, when, and the right that it opens: whoever writes or taps lets us write back."""
    trigger = trigger_of(message)
    right = platform.right_of(trigger, now) if trigger else (None, None, None)
    return (message.kind != "event", now, *right)


def _guest(session: Session, row: Any) -> Guest:
    if row.woken:
        outbox.ring(session, "notice")
        outbox.ring(session, "slow")
    speaker = Speaker(row.person_id, row.nickname, row.referral_code, row.identity_id, row.followed_before)
    return Guest(speaker, Place(row.state or "", row.memory or {}))
