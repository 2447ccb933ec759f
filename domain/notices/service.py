"""Notices: put one into the outbox, judge it when it is about to leave, and keep what people allow us to send."""

import json
from collections.abc import Sequence
from datetime import datetime, time, timedelta
from hashlib import sha256
from typing import Any

import msgspec
from sqlalchemy import text
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from domain.audit import service as audit
from domain.audit.rules import Actor
from domain.notices.departures import Leaving, facts_of, taking_slots
from domain.notices.hours import Hours
from domain.notices.models import NoticePreference
from domain.notices.rules import Facts, Policy, Purpose, Verdict, caps, judge
from domain.shared import outbox, trips

LIFETIME = {
    "answer": timedelta(hours=1),
    "money": timedelta(days=30),
    "service": timedelta(days=7),
    "marketing": timedelta(days=1),
}
"""How long a notice of each purpose is worth sending."""

NO_RIGHT = "no_right"
"""Reason of a notice that waits until its person opens the window again by writing or tapping."""


class Notice(msgspec.Struct, frozen=True):
    """What to say to whom. ``key`` is a text of assets/copy and ``facts`` its placeholders (JSON).

    ``expires_at`` None: as long as its purpose is worth sending. ``guard`` names a run of a journey
    (``enrolment:visit``) that is asked once more when the notice is about to leave; '' for none. ``asked_at``: when an
    answer was asked for that says only now that nothing comes of it; None: just now.
    """

    person_id: int
    purpose: Purpose
    idem: str
    key: str
    facts: dict[str, Any]
    account: str = ""
    expires_at: datetime | None = None
    guard: str = ""
    priority: int = 0
    """Of several for marketing that are due about now the highest leaves first."""
    asked_at: datetime | None = None


def effect(notice: Notice, now: datetime) -> outbox.Effect:
    """The outbox row of a text notice, for whoever puts many at once."""
    payload: dict[str, Any] = {"purpose": notice.purpose, "key": notice.key, "facts": notice.facts,
                               "account": notice.account}
    if notice.priority:
        payload["priority"] = notice.priority
    if notice.asked_at is not None:
        payload["asked_at"] = notice.asked_at.isoformat()
    return outbox.Effect(
        queue="notice", kind="notice.text", key=f"notice:{notice.idem}", person_id=notice.person_id,
        payload=payload | {"guard": notice.guard} if notice.guard else payload,
        expires_at=notice.expires_at or now + LIFETIME[notice.purpose],
    )


def tell(session: Session, notice: Notice, now: datetime) -> bool:
    """Put a text notice into the outbox; False if ``idem`` was told before. Judged when it is about to leave."""
    return tell_all(session, [notice], now) == 1


def tell_all(session: Session, told: Sequence[Notice], now: datetime) -> int:
    """As ``tell``, of many at once; how many were new."""
    return outbox.put(session, [effect(notice, now) for notice in told], now)


def decide(session: Session, one: Leaving, policy: Policy, now: datetime) -> Verdict:
    """Judge a notice that is about to leave. ``send`` for a capped purpose, or of a journey, takes a slot in this
    transaction; give it back with ``release`` when the message surely did not arrive."""
    verdict = judge(facts(session, one, policy, now), policy)
    if verdict.what == "send" and (taking := taking_slots([one], now)) is not None:
        trips.rows(session, taking.sql, taking.values)
    return verdict


def facts(session: Session, one: Leaving, policy: Policy, now: datetime) -> Facts:
    """Everything that the policy asks about a notice. Locks the person's capped messages until the transaction ends."""
    return facts_of(session, [one], policy, now)[one.effect_id]


def because(found: Facts, policy: Policy) -> str:
    """The facts behind a verdict as one line, for whoever asks why."""
    day, week, month = caps(policy, less=found.less, unanswered=found.unanswered)
    parts = ["follows" if found.reachable else "does not follow", "allows it" if found.consented else "said no"]
    if found.paused_until:
        parts.append(f"muted until {found.paused_until:%Y-%m-%d}")
    if found.switched_off:
        parts.append("switched off for everybody")
    if found.purpose == "marketing":
        parts.append(f"{found.sent_today} of {day} today, {found.sent_this_week} of {week} in 7 days, "
                     f"{found.sent_this_month} of {month} in 30 days, {found.unanswered} without a word from them")
    start, end = found.quiet or (policy.quiet_from, policy.quiet_until)
    parts.append(f"quiet {start:%H:%M}-{end:%H:%M}" + (" as they asked" if found.quiet else ""))
    if found.less:
        parts.append("asked for less")
    return "; ".join(parts)


def gather(
    session: Session, effect_id: int, person_id: int, key: str, least: int, now: datetime
) -> list[dict[str, Any]]:
    """Take in the other notices of the same text that the same person is due to get, if there are ``least`` of them
    in all: their facts, oldest first, and they are told as gathered. [] when there are too few."""
    asked = {"person": person_id, "key": key, "effect": effect_id, "now": now}
    others = session.execute(text("""
        select id, payload -> 'facts' as facts from outbox
         where person_id = :person and queue = 'notice' and kind = 'notice.text' and payload ->> 'key' = :key
           and state in ('waiting', 'running') and due_at <= :now and id <> :effect
           and result ->> 'sending_at' is null and (expires_at is null or expires_at > :now)
         order by id limit 100 for update skip locked"""), asked).all()
    if len(others) + 1 < least:
        return []
    session.execute(text("update outbox set state = 'refused', reason = 'gathered', ended_at = :now, lease_until = null"
                         " where id = any(:ids)"), {"ids": [row.id for row in others], "now": now})
    return [row.facts for row in others]


def keep(session: Session, effect_id: int, **found: Any) -> None:
    """Remember something with a notice that is about to leave."""
    session.execute(text("update outbox set result = result || cast(:found as jsonb) where id = :effect"),
                    {"found": json.dumps(found), "effect": effect_id})


def wake(session: Session, person_id: int, now: datetime) -> None:
    """What waited for a right is due: one may be there now."""
    if session.execute(text("select wake_notices(:person, :now)"), {"person": person_id, "now": now}).scalar():
        outbox.ring(session, "notice")
        outbox.ring(session, "slow")


def overtake(session: Session, person_id: int, keys: Sequence[str], now: datetime) -> int:
    """Notices of these texts that have not left yet are not true any more; returns how many were dropped."""
    done = session.execute(text("""
        update outbox set state = 'refused', reason = 'overtaken', ended_at = :now, lease_until = null
         where person_id = :person and queue = 'notice' and state = 'waiting' and payload ->> 'key' = any (:keys)
           and result ->> 'sending_at' is null returning id"""), {"person": person_id, "keys": list(keys), "now": now})
    return len(done.all())


def still_waits(session: Session, effect_id: int) -> bool:
    """Whether nobody has gathered the notice since it was claimed."""
    state = session.execute(text("select state from outbox where id = :effect"), {"effect": effect_id}).scalar()
    return state in ("waiting", "running")


def release(session: Session, effect_id: int) -> None:
    """The message surely did not arrive: it counts against no cap."""
    session.execute(text("delete from notice_slot where effect_id = :effect"), {"effect": effect_id})


def received(session: Session, effect_id: int, at: datetime) -> None:
    """The message arrived only then: from that moment on it counts."""
    session.execute(text("update notice_slot set taken_at = :at where effect_id = :effect"),
                    {"effect": effect_id, "at": at})


def muted(session: Session, person_id: int, policy: Policy, now: datetime) -> None:
    """The platform says that the person muted us: the shop's own messages rest for a while."""
    session.execute(text("""
        insert into notice_pause (person_id, purpose, until, reason) values (:person, 'marketing', :until, 'muted')
            on conflict (person_id, purpose) do update set until = excluded.until"""),
        {"person": person_id, "until": now + timedelta(days=policy.muted_days)})


def said(key: str, facts: dict[str, Any]) -> str:
    """The digest of what a notice says: its text and everything in it."""
    return sha256(json.dumps([key, facts], sort_keys=True, ensure_ascii=False, default=str).encode()).hexdigest()[:32]


def switch_off(session: Session, purpose: str, actor: Actor, why: str, now: datetime) -> bool:
    """Nothing of ``purpose`` leaves until it is switched on again; what is worth it waits. False if it was off."""
    done = session.execute(text("""
        insert into notice_switch (purpose, stopped_at, stopped_by, why) values (:purpose, :now, :by, :why)
            on conflict (purpose) do nothing returning true"""),
        {"purpose": purpose, "now": now, "by": actor.name, "why": why}).scalar()
    if done:
        audit.record(session, actor, "notices.off", f"notices:{purpose}", {"why": why}, now)
    return bool(done)


def switch_on(session: Session, purpose: str, actor: Actor, now: datetime) -> bool:
    """What waited leaves. False if it was not off."""
    done = session.execute(text("delete from notice_switch where purpose = :purpose returning true"),
                           {"purpose": purpose}).scalar()
    if done:
        session.execute(text("update outbox set due_at = least(due_at, :now) where queue = 'notice'"
                             " and state = 'waiting' and reason = 'switched_off'"), {"now": now})
        audit.record(session, actor, "notices.on", f"notices:{purpose}", {}, now)
    return bool(done)


def allowed(session: Session, person_id: int, purpose: Purpose) -> bool:
    """Whether the person's latest words leave this purpose open; silence is consent to all but refusals count."""
    rows = session.execute(
        text("select given from consent where person_id = :person and purpose in (:purpose, '*')"),
        {"person": person_id, "purpose": purpose},
    )
    return all(row.given for row in rows)


def less(session: Session, person_id: int, source: str, now: datetime) -> bool:
    """Fewer of the shop's own messages; whoever asks a second time gets none. Returns whether some still come."""
    known = session.execute(text("select less from notice_preference where person_id = :person"),
                            {"person": person_id}).scalar()
    if known:
        stop(session, person_id, "marketing", source, now)
        return False
    _prefer(session, person_id, {"less": True}, now)
    return True


def prefer_hours(session: Session, person_id: int, start: time, end: time, now: datetime) -> None:
    """The person's own quiet hours, local. ``start`` = ``end``: none at all."""
    _prefer(session, person_id, {"quiet_from": start, "quiet_until": end}, now)
    _ask_again(session, person_id, now)


def own_hours(session: Session, person_id: int) -> Hours | None:
    """The quiet hours that the person asked for, local; None: the shop's."""
    row = session.execute(text("select quiet_from, quiet_until from notice_preference"
                               " where person_id = :person and quiet_from is not null"), {"person": person_id}).first()
    return (row.quiet_from, row.quiet_until) if row else None


def usual_hours(session: Session, person_id: int, now: datetime) -> bool:
    """The shop's quiet hours again; False if the person had none of their own."""
    if own_hours(session, person_id) is None:
        return False
    _prefer(session, person_id, {"quiet_from": None, "quiet_until": None}, now)
    _ask_again(session, person_id, now)
    return True


def _ask_again(session: Session, person_id: int, now: datetime) -> None:
    """What quiet hours held back is judged by the new ones."""
    session.execute(text("update outbox set due_at = :now where person_id = :person and queue = 'notice'"
                         " and state = 'waiting' and reason = 'quiet_hours' and due_at > :now"),
                    {"person": person_id, "now": now})


def _prefer(session: Session, person_id: int, wishes: dict[str, Any], now: datetime) -> None:
    row = {"person_id": person_id, "changed_at": now} | wishes
    session.execute(insert(NoticePreference).values(**row).on_conflict_do_update(
        index_elements=["person_id"], set_={name: row[name] for name in row if name != "person_id"}))


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
    wished = session.execute(text("update notice_preference set less = false, changed_at = :now"
                                  " where person_id = :person and less returning true"),
                             {"person": person_id, "now": now}).scalar()
    return bool(gone or wished)


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
    if row is not None:
        session.execute(text("insert into consent_word (person_id, purpose, given, source, at)"
                             " values (:person, :purpose, :given, :source, :now)"),
                        {"person": person_id, "purpose": purpose, "given": given, "source": source, "now": now})
    return row is not None


def move(session: Session, kept_id: int, gone_id: int, now: datetime) -> dict[str, int]:
    """Notices' part of a merge: whoever of the two said no, it stays no."""
    gone = session.execute(
        text("delete from consent where person_id = :gone returning purpose, given, source, changed_at"),
        {"gone": gone_id},
    ).all()
    for row in gone:
        if not row.given:
            _record(session, kept_id, row.purpose, False, row.source, row.changed_at)
    ends = {"kept": kept_id, "gone": gone_id}
    for table in ("notice_slot", "consent_word"):
        session.execute(text(f"update {table} set person_id = :kept where person_id = :gone"), ends)  # noqa: S608
    for table, keys in (("notice_preference", "true"), ("notice_pause", "k.purpose = g.purpose")):
        session.execute(text(
            f"delete from {table} g where g.person_id = :gone and exists ("  # noqa: S608 - only constants
            f"select from {table} k where k.person_id = :kept and {keys})"), ends)
        session.execute(text(f"update {table} set person_id = :kept where person_id = :gone"), ends)  # noqa: S608
    return {"consent": len(gone)}
