"""May this notice leave now? Pure: facts in, verdict out, always with a reason.

Purposes, from most to least wanted:
``answer``  – what the person asked for and waits for (a poster). Never held, never capped; but when it could not leave
for ``LATE`` nobody waits for it any more, and it lets whoever sleeps sleep.
``money``   – what they earned, lost or can withdraw. Held in quiet hours, not capped.
``service`` – their order, their role. Held in quiet hours, not capped.
``marketing`` – everything that the shop wants. Held, capped over all that the shop sends, and only with consent.
"""

from dataclasses import dataclass
from datetime import datetime, time, timedelta
from hashlib import blake2b
from typing import Literal
from zoneinfo import ZoneInfo

from domain.shared.records import record

Purpose = Literal["answer", "money", "service", "marketing"]
PURPOSES: tuple[Purpose, ...] = ("answer", "money", "service", "marketing")


@record
class Policy:
    """The shop's manners (assets/notices.toml). Hours are local to the person.

    Caps are of messages for marketing: a calendar day of the person, any 7 and any 30 days. ``tired_after`` messages
    without a word from them halve the caps of week and month, and so does the wish for less. ``plan_minutes``: of what
    falls due for one person within so long the most important leaves first. ``spread_minutes``: what quiet hours held
    back leaves over so long. ``muted_days``: rest after the platform said that somebody muted us. ``behind_minutes``:
    while money or service messages wait longer than this, marketing does.
    """

    quiet_from: time = time(21, 30)
    quiet_until: time = time(8, 30)
    awake_minutes: int = 30
    marketing_per_day: int = 1
    marketing_per_week: int = 3
    marketing_per_month: int = 6
    tired_after: int = 5
    plan_minutes: int = 15
    spread_minutes: int = 40
    muted_days: int = 30
    behind_minutes: int = 5


@dataclass(frozen=True, slots=True)
class Facts:
    """What is known when a notice is about to leave. Counts are of notices sent for the same purpose.

    ``unanswered``: how many since the person last wrote or tapped. ``repeated``: the same was said within a day.
    ``better``: something more important for the same person is due about now. ``behind``: more urgent purposes wait too
    long at the moment. ``quiet``: their own quiet hours. ``spread``: where the person is in a spread release, 0 to 1 in
    thousandths. ``late``: an answer that was asked for longer ago than LATE.
    """

    purpose: Purpose
    now: datetime
    zone: ZoneInfo
    expires_at: datetime | None
    reachable: bool
    consented: bool
    last_heard_at: datetime | None
    sent_today: int = 0
    sent_this_week: int = 0
    sent_this_month: int = 0
    unanswered: int = 0
    less: bool = False
    switched_off: bool = False
    paused_until: datetime | None = None
    repeated: bool = False
    better: bool = False
    behind: bool = False
    quiet: tuple[time, time] | None = None
    spread: int = 0
    late: bool = False


@record
class Verdict:
    """``send`` now, ``hold`` until ``at``, or ``refuse``; reason is '' only for send."""

    what: Literal["send", "hold", "refuse"]
    reason: str = ""
    at: datetime | None = None


SEND = Verdict("send")
LATE = timedelta(hours=1)
SWITCHED_OFF_PAUSE = timedelta(minutes=15)


def judge(facts: Facts, policy: Policy) -> Verdict:
    """The verdict. Order: too late → switched off → gone → no consent → muted → said before → quiet hours → caps →
    something better → others wait."""
    if facts.expires_at is not None and facts.expires_at <= facts.now:
        return Verdict("refuse", "expired")
    if facts.switched_off and facts.purpose != "answer":
        return _hold(facts, "switched_off", facts.now + SWITCHED_OFF_PAUSE)
    if not facts.reachable:
        return Verdict("refuse", "unfollowed")
    if facts.purpose == "answer":
        return _quiet(facts, policy) if facts.late else SEND
    if not facts.consented:
        return Verdict("refuse", "no_consent")
    if facts.paused_until is not None and facts.paused_until > facts.now:
        return Verdict("refuse", "muted")
    if facts.repeated:
        return Verdict("refuse", "said_before")
    if (asleep := _quiet(facts, policy)) is not SEND:
        return asleep
    return _marketing(facts, policy) if facts.purpose == "marketing" else SEND


def _quiet(facts: Facts, policy: Policy) -> Verdict:
    quiet_until = end_of_quiet(facts.now, facts.zone, policy, facts.quiet)
    if quiet_until is None or _awake(facts, policy):
        return SEND
    return Verdict("hold", "quiet_hours", quiet_until + _spread(facts, policy))


def _marketing(facts: Facts, policy: Policy) -> Verdict:
    day, week, month = caps(policy, less=facts.less, unanswered=facts.unanswered)
    if facts.sent_this_month >= month:
        return Verdict("refuse", "month_cap")
    if facts.sent_this_week >= week:
        return Verdict("refuse", "week_cap")
    if facts.sent_today >= day:
        return _hold(facts, "day_cap", _tomorrow(facts, policy)) if facts.expires_at else Verdict("refuse", "day_cap")
    if facts.better:
        return _hold(facts, "yields", facts.now + timedelta(minutes=policy.plan_minutes))
    if facts.behind:
        return _hold(facts, "behind", facts.now + timedelta(minutes=policy.behind_minutes))
    return SEND


def caps(policy: Policy, *, less: bool, unanswered: int) -> tuple[int, int, int]:
    """Messages for marketing a day, in 7 and in 30 days; halved, but not to nothing, for who wants less or is tired."""
    limits = (policy.marketing_per_day, policy.marketing_per_week, policy.marketing_per_month)
    if less or unanswered >= policy.tired_after > 0:
        return limits[0], max(1, limits[1] // 2) if limits[1] else 0, max(1, limits[2] // 2) if limits[2] else 0
    return limits


def _hold(facts: Facts, reason: str, at: datetime) -> Verdict:
    """Held if it is still worth sending then, refused if not."""
    if facts.expires_at is not None and facts.expires_at <= at:
        return Verdict("refuse", reason)
    return Verdict("hold", reason, at)


def _tomorrow(facts: Facts, policy: Policy) -> datetime:
    """The next morning of the person, when their quiet hours end, spread."""
    local = facts.now.astimezone(facts.zone)
    until = facts.quiet[1] if facts.quiet else policy.quiet_until
    return datetime.combine(local.date() + timedelta(days=1), until, facts.zone) + _spread(facts, policy)


def _spread(facts: Facts, policy: Policy) -> timedelta:
    return timedelta(seconds=facts.spread * policy.spread_minutes * 60 // 1000)


def place_of(person_id: int) -> int:
    """Where somebody is in every spread release: 0 to 999, the same each time."""
    return int.from_bytes(blake2b(b"spread:%d" % person_id, digest_size=8).digest(), "big") % 1000


def end_of_quiet(
    now: datetime, zone: ZoneInfo, policy: Policy, quiet: tuple[time, time] | None = None
) -> datetime | None:
    """When the quiet hours that ``now`` falls into end; None if people may be disturbed. Works over midnight.

    ``quiet``: the person's own hours instead of the policy's.
    """
    start, stop = quiet or (policy.quiet_from, policy.quiet_until)
    local = now.astimezone(zone)
    if start == stop or not _inside(local.time(), start, stop):
        return None
    end = datetime.combine(local.date(), stop, zone)
    return end if end > local else datetime.combine(local.date() + timedelta(days=1), stop, zone)


def _inside(at: time, start: time, end: time) -> bool:
    return start <= at < end if start < end else at >= start or at < end


def _awake(facts: Facts, policy: Policy) -> bool:
    """Whoever is chatting is awake (product F13)."""
    heard = facts.last_heard_at
    return heard is not None and facts.now - heard <= timedelta(minutes=policy.awake_minutes)
