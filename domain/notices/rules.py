"""May this notice leave now? Pure: facts in, verdict out, always with a reason.

Purposes, from most to least wanted:
``answer``  – what the person asked for and waits for (a poster). Never held, never capped.
``money``   – what they earned, lost or can withdraw. Held in quiet hours, not capped.
``service`` – their order, their role. Held in quiet hours, not capped.
``marketing`` – everything that the shop wants. Held, capped, and only with consent.
"""

from dataclasses import dataclass
from datetime import datetime, time, timedelta
from typing import Literal
from zoneinfo import ZoneInfo

Purpose = Literal["answer", "money", "service", "marketing"]
PURPOSES: tuple[Purpose, ...] = ("answer", "money", "service", "marketing")


@dataclass(frozen=True, slots=True)
class Policy:
    """The shop's manners (assets/notices.toml). Hours are local to the person."""

    quiet_from: time = time(21, 30)
    quiet_until: time = time(8, 30)
    awake_minutes: int = 30
    marketing_per_day: int = 1
    marketing_per_week: int = 3


@dataclass(frozen=True, slots=True)
class Facts:
    """What is known when a notice is about to leave. Counts are of notices sent for the same purpose."""

    purpose: Purpose
    now: datetime
    zone: ZoneInfo
    expires_at: datetime | None
    reachable: bool
    consented: bool
    last_heard_at: datetime | None
    sent_today: int = 0
    sent_this_week: int = 0


@dataclass(frozen=True, slots=True)
class Verdict:
    """``send`` now, ``hold`` until ``at``, or ``refuse``; reason is '' only for send."""

    what: Literal["send", "hold", "refuse"]
    reason: str = ""
    at: datetime | None = None


SEND = Verdict("send")


def judge(facts: Facts, policy: Policy) -> Verdict:
    """The verdict. Order: too late → gone → no consent → quiet hours → caps."""
    if facts.expires_at is not None and facts.expires_at <= facts.now:
        return Verdict("refuse", "expired")
    if not facts.reachable:
        return Verdict("refuse", "unfollowed")
    if facts.purpose == "answer":
        return SEND
    if not facts.consented:
        return Verdict("refuse", "no_consent")
    quiet_until = end_of_quiet(facts.now, facts.zone, policy)
    if quiet_until is not None and not _awake(facts, policy):
        return Verdict("hold", "quiet_hours", quiet_until)
    if facts.purpose == "marketing":
        if facts.sent_this_week >= policy.marketing_per_week:
            return Verdict("refuse", "week_cap")
        if facts.sent_today >= policy.marketing_per_day:
            return Verdict("refuse", "day_cap")
    return SEND


def end_of_quiet(now: datetime, zone: ZoneInfo, policy: Policy) -> datetime | None:
    """When the quiet hours that ``now`` falls into end; None if people may be disturbed. Works over midnight."""
    local = now.astimezone(zone)
    if policy.quiet_from == policy.quiet_until or not _inside(local.time(), policy.quiet_from, policy.quiet_until):
        return None
    end = datetime.combine(local.date(), policy.quiet_until, zone)
    return end if end > local else datetime.combine(local.date() + timedelta(days=1), policy.quiet_until, zone)


def _inside(at: time, start: time, end: time) -> bool:
    return start <= at < end if start < end else at >= start or at < end


def _awake(facts: Facts, policy: Policy) -> bool:
    """Whoever is chatting is awake (product F13)."""
    heard = facts.last_heard_at
    return heard is not None and facts.now - heard <= timedelta(minutes=policy.awake_minutes)
