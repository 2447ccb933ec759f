"""The four roles and their order, and what facts make of them: repurchases at once, months at an assessment. Pure.

Periods of repurchase are a function of business facts (when orders were paid, kept, returned), never of the order in
which those became known (docs/adr/0024-roles.md).
"""

import tomllib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, time, timedelta
from itertools import groupby, takewhile
from typing import Literal, Self, cast, get_args

from domain.shared.clock import SHANGHAI, business_date
from domain.shared.records import record

Role = Literal["member", "promoter", "gold", "partner"]
ROLES: tuple[Role, ...] = get_args(Role)
"""Lowest first."""


def highest(roles: Iterable[str]) -> Role:
    """The role that counts of those granted; member when there is none."""
    return max([cast(Role, role) for role in roles], key=ROLES.index, default="member")


@record
class Titles:
    """What the shop calls its roles."""

    by_role: Mapping[str, str]

    def of(self, role: str) -> str:
        """The title of a role. Raises KeyError."""
        return self.by_role[role]

    @classmethod
    def load(cls, toml: str) -> Self:
        """From the text of assets/roles.toml. Raises ValueError unless every role has a title, and no other name."""
        titles = tomllib.loads(toml).get("title", {})
        if set(titles) != set(ROLES) or not all(isinstance(t, str) and t for t in titles.values()):
            raise ValueError(f"roles.toml needs a title for each of {', '.join(ROLES)}")
        return cls(titles)


@record
class Purchase:
    """An order as far as coming back is concerned. ``final_at``: when its return window closes, None while it is not
    received. ``lost_at``: when too little of it was left, or it was closed; None while it counts."""

    id: int
    paid_at: datetime
    final_at: datetime | None = None
    lost_at: datetime | None = None


@record
class Ending:
    """Somebody lost the role at ``at`` by a decision. ``afresh``: what was bought before does not count any more."""

    at: datetime
    reason: str
    afresh: bool = False


@dataclass(slots=True)
class Period:
    """A role held from ``since`` until ``until`` (None: still), earned by the order ``key``, the ``needed``-th
    repurchase. ``confirmed_at`` None: provisional all the time. ``reason`` of the end, '' while it lasts."""

    key: int
    since: datetime
    needed: int
    until: datetime | None = None
    confirmed_at: datetime | None = None
    reason: str = ""


RETURNED = "returned"


def repurchases(purchases: Iterable[Purchase], at: datetime) -> int:
    """Orders after the first that are paid and not returned at ``at``."""
    counted = sum(one.paid_at <= at and (one.lost_at is None or one.lost_at > at) for one in purchases)
    return max(0, counted - 1)


def repurchase_periods(
    purchases: Sequence[Purchase], endings: Sequence[Ending], needed: Callable[[datetime], int | None], now: datetime
) -> list[Period]:
    """When somebody held a role for coming back, by the facts known at ``now``, oldest first.

    A payment that makes it ``needed(then)`` repurchases begins a period; None: nobody could earn it then. Until so
    many repurchases are final the period is provisional and a return that takes the count below ends it. Afterwards
    only an ending does, or the return of the last repurchase: a role that rests on nothing ends with it. What happens
    at one moment is weighed together.
    """
    periods: list[Period] = []
    held: Period | None = None
    cut: datetime | None = None
    losses = [one.lost_at for one in purchases if one.lost_at is not None]
    last_end = max([ending.at for ending in endings] + losses, default=None)
    for at, group in groupby(sorted(_moments(purchases, endings), key=lambda m: m.at), key=lambda m: m.at):
        settled = held is not None and held.confirmed_at is not None and (last_end is None or last_end < at)
        if at > now or settled:
            break
        moments = list(group)
        for ending in (moment.ending for moment in moments if moment.ending):
            if held is not None:
                held.until, held.reason, held = at, ending.reason, None
            cut = at if ending.afresh else cut
        counting = [one for one in purchases if cut is None or one.paid_at > cut]
        if held is None:
            bought = [one.id for one in counting if one.paid_at == at]
            wanted = needed(at)
            if bought and wanted is not None and repurchases(counting, at) >= wanted:
                held = Period(max(bought), at, wanted)
                periods.append(held)
        elif repurchases(counting, at) < (held.needed if held.confirmed_at is None else 1):
            held.until, held.reason, held = at, RETURNED, None
        if held is not None and held.confirmed_at is None and final_repurchases(counting, at) >= held.needed:
            held.confirmed_at = at
    return periods


@record
class _Moment:
    at: datetime
    ending: Ending | None = None


def _moments(purchases: Iterable[Purchase], endings: Iterable[Ending]) -> list[_Moment]:
    times = {at for one in purchases for at in (one.paid_at, one.final_at, one.lost_at) if at is not None}
    return [_Moment(at) for at in times] + [_Moment(ending.at, ending) for ending in endings]


def final_repurchases(purchases: Iterable[Purchase], at: datetime) -> int:
    """Repurchases whose return windows had closed by ``at``."""
    closed = [one for one in purchases if one.final_at is not None and max(one.final_at, one.paid_at) <= at]
    return repurchases(closed, at)


# ---- The monthly assessment ----------------------------------------------------------------------------------------


@record
class Notice:
    """How long a warning runs: ``months`` of grace after the month that was judged, never less than ``days``. A month
    is judged from the day ``judged_on`` of the next one."""

    months: int
    days: int
    judged_on: int = 1


@record
class Target:
    """What a month must reach, how many in a row lead up, how many below lead down."""

    at_least_fen: int
    months: int
    below_months: int
    notice: Notice


@record
class Kept:
    """How many repurchases must remain, and how long a warning runs."""

    needed: int
    notice: Notice


@record
class Warned:
    """A warning that stands: given ``at``, when ``month`` was judged."""

    at: datetime
    month: date


@record
class Record:
    """Somebody at the assessment of ``month`` (its first day).

    ``volumes``: own direct sales less refunds, fen, of the months that count, newest (``month`` itself) first.
    ``partner_since``: the month in which a partner by months became one; None for others. ``gold``: repurchases that
    are left to a confirmed gold promoter, None for others. ``may_rise``: holds the role that partners come from and
    no other partner's role. ``warned``: by role.
    """

    month: date
    volumes: tuple[int, ...]
    may_rise: bool = False
    partner_since: date | None = None
    gold: int | None = None
    warned: Mapping[str, Warned] = field(default_factory=dict)


@record
class Judgement:
    """What an assessment does to one person. At most one role is taken at a time; ``calm``: warnings that end."""

    promote: bool = False
    demote: Role | None = None
    warn: tuple[Role, ...] = ()
    calm: tuple[Role, ...] = ()


def streak(volumes: Iterable[int], target_fen: int) -> int:
    """Months in a row on target, from the newest back."""
    return len(list(takewhile(lambda fen: fen >= target_fen, volumes)))


def misses(volumes: Iterable[int], target_fen: int) -> int:
    """Months in a row below target, from the newest back."""
    return len(list(takewhile(lambda fen: fen < target_fen, volumes)))


def months_between(earlier: date, later: date) -> int:
    """Calendar months from one month to another."""
    return (later.year - earlier.year) * 12 + later.month - earlier.month


def month_of(day: date) -> date:
    """The first day of a date's month."""
    return day.replace(day=1)


def later(month: date, months: int) -> date:
    """The first day of the month ``months`` later (or earlier)."""
    count = month.year * 12 + month.month - 1 + months
    return date(count // 12, count % 12 + 1, 1)


def deadline(warned: Warned, notice: Notice) -> date:
    """The last day on which somebody who was warned can still mend it: the end of the grace, never cut short by a
    warning that came late."""
    month = later(warned.month, notice.months)
    enough = warned.at + timedelta(days=notice.days)
    while datetime.combine(later(month, 1).replace(day=notice.judged_on), time(), SHANGHAI) < enough:
        month = later(month, 1)
    return later(month, 1) - timedelta(days=1)


def judge(record: Record, target: Target | None, kept: Kept | None, now: datetime) -> Judgement:
    """The assessment of one person. Nobody is demoted who was not warned, and long enough before."""
    danger: dict[Role, bool] = {}
    """Role in danger → whether its time is over."""
    if target is not None and record.partner_since is not None:
        judged = record.volumes[: max(0, months_between(record.partner_since, record.month))]
        below = misses(judged, target.at_least_fen)
        if below >= target.below_months - 1:
            danger["partner"] = below >= target.below_months and _over(record, "partner", target.notice, now)
    if kept is not None and record.gold is not None and record.gold < kept.needed:
        danger["gold"] = _over(record, "gold", kept.notice, now)
    falls = [role for role in danger if danger[role]]
    demote = max(falls, key=ROLES.index, default=None)
    rises = target is not None and record.may_rise and streak(record.volumes, target.at_least_fen) >= target.months
    return Judgement(
        promote=rises, demote=demote,
        warn=tuple(role for role in danger if role not in record.warned),
        calm=tuple(cast(Role, role) for role in record.warned if role not in danger),
    )


def _over(record: Record, role: Role, notice: Notice, now: datetime) -> bool:
    """Whether the person was warned about this role, and the day that they were told has passed."""
    warned = record.warned.get(role)
    return warned is not None and business_date(now) > deadline(warned, notice)
