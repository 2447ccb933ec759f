"""Use cases of the platform's grants: rights to send, the shared token row, holds, and the media cache.

Rights are counted in business time (``now`` comes with the message that opened them); everything else here
is in the platform's own real time.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

from sqlalchemy import ColumnElement, CursorResult, Executable, case, delete, func, or_, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import InstrumentedAttribute, Session

from domain.platform.models import PlatformHold, PlatformMedia, PlatformTicket, PlatformToken, SendRight
from domain.shared.records import record

Trigger = Literal["message", "follow", "scan", "menu"]
Window = Literal["message", "tap"]

MESSAGE_RIGHTS, MESSAGE_WINDOW = 5, timedelta(hours=48)
TAP_RIGHTS, TAP_WINDOW = 3, timedelta(minutes=1)
"""What a message, and what a follow, scan or menu tap, allows (customer messages since 2023-06)."""

HOST = "*"
"""The api name of the hold that stands for the whole host: the breaker."""


@record
class Right:
    """One message we may push now, out of the window that ends at ``until``."""

    window: Window
    until: datetime


@record
class Left:
    """Messages left in the windows that are open now."""

    message: int = 0
    tap: int = 0

    @property
    def total(self) -> int:
        return self.message + self.tap


def right_of(trigger: Trigger, now: datetime) -> tuple[bool, int, datetime]:
    """What ``trigger`` at ``now`` opens: whether it is the window of taps, how many messages, until when."""
    if trigger == "message":
        return False, MESSAGE_RIGHTS, now + MESSAGE_WINDOW
    return True, TAP_RIGHTS, now + TAP_WINDOW


def grant(session: Session, account: str, openid: str, trigger: Trigger, now: datetime) -> None:
    """The person did ``trigger`` at ``now``: their window is refreshed to its maximum, never added to.

    An older trigger that is handled late (a retry, the sweeper) changes nothing.
    """
    tap, rights, ends = right_of(trigger, now)
    session.execute(select(func.grant_right(account, openid, tap, rights, ends)))


def take(session: Session, account: str, openid: str, now: datetime, reserve: int = 0) -> Right | None:
    """Use one right, or None when no window is open. The tap window goes first: it dies sooner.

    ``reserve`` rights are left alone, over both windows: unasked messages keep some for answers.

    Atomic by the row's own lock, held until the caller's transaction ends: commit before the message leaves,
    and give the right back if it surely was not delivered (not when that is unknown).
    """
    for window in _WINDOWS:
        left, until = _COLUMNS[window]
        ends = session.execute(
            update(SendRight)
            .where(SendRight.account == account, SendRight.openid == openid, left > 0, until > now)
            .where(_open("message", now) + _open("tap", now) > reserve)
            .values({left: left - 1})
            .returning(until)
            .execution_options(synchronize_session=False)
        ).scalar_one_or_none()
        if ends is not None:
            return Right(window, ends)
    return None


def give_back(session: Session, account: str, openid: str, right: Right) -> None:
    """The message of ``right`` was surely not delivered. Nothing happens when its window was renewed or closed."""
    left, until = _COLUMNS[right.window]
    session.execute(
        update(SendRight)
        .where(SendRight.account == account, SendRight.openid == openid, until == right.until)
        .values({left: func.least(left + 1, _MOST[right.window])})
        .execution_options(synchronize_session=False)
    )


def close(session: Session, account: str, openid: str) -> None:
    """No right is left: the person unfollowed, or the platform said so (45015, 45047). Forgets the row."""
    session.execute(
        delete(SendRight)
        .where(SendRight.account == account, SendRight.openid == openid)
        .execution_options(synchronize_session=False)
    )


def acted_at(session: Session, account: str, openid: str) -> datetime | None:
    """When the person last wrote, tapped, scanned or followed, as far as a window that was not closed since tells."""
    row = session.execute(select(SendRight.message_until, SendRight.tap_until).where(
        SendRight.account == account, SendRight.openid == openid)).one_or_none()
    if row is None:
        return None
    ends = ((row.message_until, MESSAGE_WINDOW), (row.tap_until, TAP_WINDOW))
    return max((until - window for until, window in ends if until is not None), default=None)


def left(session: Session, account: str, openid: str, now: datetime) -> Left:
    """What may still be sent at ``now``."""
    row = session.execute(
        select(
            _open("message", now),
            _open("tap", now),
        ).where(SendRight.account == account, SendRight.openid == openid)
    ).one_or_none()
    return Left(message=row[0], tap=row[1]) if row else Left()


_WINDOWS: tuple[Window, ...] = ("tap", "message")
_COLUMNS: dict[Window, tuple[InstrumentedAttribute[int], InstrumentedAttribute[datetime | None]]] = {
    "tap": (SendRight.tap_left, SendRight.tap_until),
    "message": (SendRight.message_left, SendRight.message_until),
}
_MOST: dict[Window, int] = {"tap": TAP_RIGHTS, "message": MESSAGE_RIGHTS}


def _open(window: Window, now: datetime) -> ColumnElement[int]:
    """What a window still allows at ``now``."""
    left, until = _COLUMNS[window]
    return case((until > now, left), else_=0)


@dataclass(frozen=True, slots=True, repr=False)
class StoredToken:
    """The token row as it lies there: sealed. ``forced_*`` count forced refreshes of one Shanghai day."""

    sealed: bytes
    fresh_until: datetime
    expires_at: datetime
    forced_at: datetime | None = None
    forced_count: int = 0


def token_of(session: Session, app_id: str) -> StoredToken | None:
    """The token every process shares, or None before the first."""
    columns = (
        PlatformToken.sealed,
        PlatformToken.fresh_until,
        PlatformToken.expires_at,
        PlatformToken.forced_at,
        PlatformToken.forced_count,
    )
    row = session.execute(select(*columns).where(PlatformToken.app_id == app_id)).one_or_none()
    return StoredToken(*row) if row else None


def keep_token(session: Session, app_id: str, token: StoredToken) -> None:
    """Replace the shared token. The caller holds the app's token lock."""
    values = {name: getattr(token, name) for name in StoredToken.__slots__}
    row = insert(PlatformToken).values(app_id=app_id, **values)
    session.execute(row.on_conflict_do_update(index_elements=["app_id"], set_=values))


@dataclass(frozen=True, slots=True)
class StoredTicket:
    """The row of a page ticket as it lies there: sealed."""

    sealed: bytes
    fresh_until: datetime
    expires_at: datetime


def ticket_of(session: Session, app_id: str) -> StoredTicket | None:
    """The page ticket that every process shares, or None before the first."""
    columns = (PlatformTicket.sealed, PlatformTicket.fresh_until, PlatformTicket.expires_at)
    row = session.execute(select(*columns).where(PlatformTicket.app_id == app_id)).one_or_none()
    return StoredTicket(*row) if row else None


def keep_ticket(session: Session, app_id: str, ticket: StoredTicket) -> None:
    """Replace the shared page ticket. The caller holds the app's ticket lock."""
    values = {name: getattr(ticket, name) for name in StoredTicket.__slots__}
    row = insert(PlatformTicket).values(app_id=app_id, **values)
    session.execute(row.on_conflict_do_update(index_elements=["app_id"], set_=values))


@record
class Hold:
    """Why and until when an api is not called; for ``HOST``, how many calls in a row did not get through."""

    outcome: str
    errcode: int
    detail: str
    failures: int
    until: datetime | None


def alarm(api: str) -> str:
    """Under which name it is kept that a person must act before ``api`` works for this account."""
    return f"{api}#account"


def holds(session: Session, app_id: str, api: str) -> tuple[Hold | None, Hold | None, bool]:
    """The hold of ``api``, that of the whole host, and whether an alarm of ``api`` is on record."""
    columns = (
        PlatformHold.outcome,
        PlatformHold.errcode,
        PlatformHold.detail,
        PlatformHold.failures,
        PlatformHold.until,
    )
    rows = session.execute(
        select(PlatformHold.api, *columns).where(
            PlatformHold.app_id == app_id, PlatformHold.api.in_((api, HOST, alarm(api)))
        )
    ).all()
    found = {row[0]: Hold(*row[1:]) for row in rows}
    return found.get(api), found.get(HOST), alarm(api) in found


def hold_back(
    session: Session, app_id: str, api: str, outcome: str, errcode: int, detail: str, until: datetime
) -> None:
    """Do not call ``api`` before ``until``; a longer hold that is already there stays."""
    row = insert(PlatformHold).values(
        app_id=app_id, api=api, outcome=outcome, errcode=errcode, detail=detail, until=until
    )
    fresh = {name: row.excluded[name] for name in ("outcome", "errcode", "detail", "until")}
    longer = or_(PlatformHold.until.is_(None), PlatformHold.until < row.excluded.until)
    session.execute(row.on_conflict_do_update(index_elements=["app_id", "api"], set_=fresh, where=longer))


def count_failure(session: Session, app_id: str, outcome: str, detail: str, limit: int, until: datetime) -> None:
    """One more call in a row did not get through; from the ``limit``-th on the host is held until ``until``."""
    row = insert(PlatformHold).values(app_id=app_id, api=HOST, outcome=outcome, detail=detail, failures=1)
    fresh = {
        "outcome": outcome,
        "detail": detail,
        "failures": PlatformHold.failures + 1,
        "until": case((PlatformHold.failures + 1 >= limit, until), else_=PlatformHold.until),
    }
    session.execute(row.on_conflict_do_update(index_elements=["app_id", "api"], set_=fresh))


def claim_probe(session: Session, app_id: str, now: datetime, until: datetime) -> bool:
    """The host's hold is over: True for the one caller that may try; the others are held until ``until``."""
    return _touched(
        session,
        update(PlatformHold)
        .where(PlatformHold.app_id == app_id, PlatformHold.api == HOST, PlatformHold.until <= now)
        .values(until=until),
    )


def clear_failures(session: Session, app_id: str) -> None:
    """A call got through: the host is well."""
    session.execute(
        update(PlatformHold)
        .where(PlatformHold.app_id == app_id, PlatformHold.api == HOST, PlatformHold.failures > 0)
        .values(failures=0, until=None)
    )


def release_hold(session: Session, app_id: str, api: str) -> None:
    """An operator repaired it: call again at once."""
    session.execute(delete(PlatformHold).where(PlatformHold.app_id == app_id, PlatformHold.api.in_((api, HOST))))


def end_alarm(session: Session, app_id: str, api: str) -> None:
    """``api`` was answered again: what a person had to mend is mended."""
    session.execute(delete(PlatformHold).where(PlatformHold.app_id == app_id, PlatformHold.api == alarm(api)))


def release_templates(session: Session) -> int:
    """Somebody mended the templates that the platform refused (held as ``api#template``): try them again."""
    return _count(session, delete(PlatformHold).where(PlatformHold.api.contains("#")))


def media_of(session: Session, app_id: str, digest: bytes, uploaded_after: datetime) -> str | None:
    """The media id of the bytes with this SHA-256, if it was uploaded after that instant."""
    return session.scalar(
        select(PlatformMedia.media_id).where(
            PlatformMedia.app_id == app_id,
            PlatformMedia.digest == digest,
            PlatformMedia.uploaded_at > uploaded_after,
        )
    )


def keep_media(session: Session, app_id: str, digest: bytes, media_id: str, uploaded_at: datetime) -> None:
    """Remember (or replace) the media id of these bytes."""
    values = {"media_id": media_id, "uploaded_at": uploaded_at}
    row = insert(PlatformMedia).values(app_id=app_id, digest=digest, **values)
    session.execute(row.on_conflict_do_update(index_elements=["app_id", "digest"], set_=values))


def forget_media(session: Session, app_id: str, digest: bytes, media_id: str) -> None:
    """The platform no longer knows ``media_id``. A newer id of the same bytes, put by somebody else, stays."""
    session.execute(
        delete(PlatformMedia).where(
            PlatformMedia.app_id == app_id, PlatformMedia.digest == digest, PlatformMedia.media_id == media_id
        )
    )


def sweep(session: Session, business_now: datetime, uploaded_before: datetime) -> int:
    """Delete rights of closed windows and media of the past (``uploaded_before``, real time); returns how many."""
    rights = delete(SendRight).where(
        func.coalesce(SendRight.message_until, business_now) <= business_now,
        func.coalesce(SendRight.tap_until, business_now) <= business_now,
    )
    media = delete(PlatformMedia).where(PlatformMedia.uploaded_at <= uploaded_before)
    return _count(session, rights) + _count(session, media)


def _count(session: Session, statement: Executable) -> int:
    done = session.execute(statement, execution_options={"synchronize_session": False})
    assert isinstance(done, CursorResult)
    return done.rowcount


def _touched(session: Session, statement: Executable) -> bool:
    return _count(session, statement) == 1
