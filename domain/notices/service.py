"""Notices: put one into the outbox, judge it when it is about to leave, and keep what people allow us to send."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy import text
from sqlalchemy.orm import Session

from domain.inbox import service as inbox
from domain.notices.rules import Facts, Policy, Purpose, Verdict, judge
from domain.shared import outbox
from domain.shared.clock import SHANGHAI

LIFETIME = {
    "answer": timedelta(hours=1),
    "money": timedelta(days=30),
    "service": timedelta(days=7),
    "marketing": timedelta(days=1),
}
"""How long a notice of each purpose is worth sending."""

NO_RIGHT = "no_right"
"""Reason of a notice that waits until its person opens the window again by writing or tapping."""


@dataclass(frozen=True, slots=True)
class Notice:
    """What to say to whom. ``key`` is a text of assets/copy and ``facts`` its placeholders (JSON).

    ``expires_at`` None: as long as its purpose is worth sending. ``guard`` names a run of a journey
    (``enrolment:visit``) that is asked once more when the notice is about to leave; '' for none.
    """

    person_id: int
    purpose: Purpose
    idem: str
    key: str
    facts: dict[str, Any]
    account: str = ""
    expires_at: datetime | None = None
    guard: str = ""


def effect(notice: Notice, now: datetime) -> outbox.Effect:
    """The outbox row of a text notice, for whoever puts many at once."""
    payload = {"purpose": notice.purpose, "key": notice.key, "facts": notice.facts, "account": notice.account}
    return outbox.Effect(
        queue="notice", kind="notice.text", key=f"notice:{notice.idem}", person_id=notice.person_id,
        payload=payload | {"guard": notice.guard} if notice.guard else payload,
        expires_at=notice.expires_at or now + LIFETIME[notice.purpose],
    )


def tell(session: Session, notice: Notice, now: datetime) -> bool:
    """Put a text notice into the outbox; False if ``idem`` was told before. Judged when it is about to leave."""
    return outbox.put(session, [effect(notice, now)], now) == 1


def verdict(
    session: Session, person_id: int, purpose: Purpose, expires_at: datetime | None, reachable: bool,
    policy: Policy, now: datetime, zone: ZoneInfo = SHANGHAI,
) -> Verdict:
    """Judge one notice now. ``reachable``: the person follows an account that we can write through."""
    heard = inbox.last_heard(session, person_id, now - timedelta(minutes=policy.awake_minutes))
    today, week = (0, 0) if purpose != "marketing" else _sent(session, person_id, purpose, now, zone)
    facts = Facts(purpose, now, zone, expires_at, reachable, allowed(session, person_id, purpose), heard, today, week)
    return judge(facts, policy)


def allowed(session: Session, person_id: int, purpose: Purpose) -> bool:
    """Whether the person's latest words leave this purpose open; silence is consent to all but refusals count."""
    rows = session.execute(
        text("select given from consent where person_id = :person and purpose in (:purpose, '*')"),
        {"person": person_id, "purpose": purpose},
    )
    return all(row.given for row in rows)


def stop(session: Session, person_id: int, purpose: str, source: str, now: datetime) -> bool:
    """The person wants no more of ``purpose`` ('*' for everything unasked); False if that was so already."""
    return _record(session, person_id, purpose, False, source, now)


def resume(session: Session, person_id: int, source: str, now: datetime) -> bool:
    """Everything is welcome again; False if nothing was stopped."""
    gone = session.execute(
        text("delete from consent where person_id = :person and not given returning purpose"), {"person": person_id}
    ).all()
    for row in gone:
        _record(session, person_id, row.purpose, True, source, now)
    return bool(gone)


def _record(session: Session, person_id: int, purpose: str, given: bool, source: str, now: datetime) -> bool:
    row = session.execute(
        text(
            """
            insert into consent (person_id, purpose, given, source, changed_at)
            values (:person, :purpose, :given, :source, :now)
            on conflict (person_id, purpose) do update
               set given = excluded.given, source = excluded.source, changed_at = excluded.changed_at
             where consent.given <> excluded.given
            returning person_id
            """
        ),
        {"person": person_id, "purpose": purpose, "given": given, "source": source, "now": now},
    ).first()
    return row is not None


def _sent(session: Session, person_id: int, purpose: str, now: datetime, zone: ZoneInfo) -> tuple[int, int]:
    """How many notices of this purpose went out today (local day) and in the last seven days."""
    today = now.astimezone(zone).replace(hour=0, minute=0, second=0, microsecond=0)
    row = session.execute(
        text(
            """
            select count(*) filter (where ended_at >= :today) as today, count(*) as week from outbox
             where person_id = :person and queue = 'notice' and state = 'done'
               and payload ->> 'purpose' = :purpose and ended_at >= :week_ago
            """
        ),
        {"person": person_id, "purpose": purpose, "today": today, "week_ago": now - timedelta(days=7)},
    ).one()
    return int(row.today), int(row.week)


def move(session: Session, kept_id: int, gone_id: int, now: datetime) -> dict[str, int]:
    """Notices' part of a merge: whoever of the two said no, it stays no."""
    gone = session.execute(
        text("delete from consent where person_id = :gone returning purpose, given, source, changed_at"),
        {"gone": gone_id},
    ).all()
    for row in gone:
        if not row.given:
            _record(session, kept_id, row.purpose, False, row.source, row.changed_at)
    return {"consent": len(gone)}
