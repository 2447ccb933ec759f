"""The names of business months, and what a month brings beside commissions. Pure, integers only."""

import re
from datetime import date, datetime, timedelta

from domain.commissions.document import Plan
from domain.commissions.ladder import ladder_fen
from domain.shared.clock import business_date, day_starts, month_bounds
from domain.shared.errors import DomainError
from domain.shared.money import share
from domain.shared.records import record

_WRITTEN = ("一", "二", "三", "四", "五", "六", "七", "八", "九", "十", "十一", "十二")


@record
class Month:
    """A business month, by its first day."""

    first: date

    @classmethod
    def of(cls, at: datetime) -> "Month":
        """The month of an instant where the shop is."""
        return cls(business_date(at).replace(day=1))

    @classmethod
    def parse(cls, name: str) -> "Month":
        """``2026-10``. Raises DomainError("month_unknown") for anything else."""
        if not re.fullmatch(r"20\d\d-(0[1-9]|1[0-2])", name, re.ASCII):
            raise DomainError("month_unknown", month=name)
        return cls(date(int(name[:4]), int(name[5:]), 1))

    @classmethod
    def heard(cls, said: str, now: datetime) -> "Month | None":
        """A month as people write it (``10月``, ``2026年3月``, ``26年3月``, ``2026-03``, ``去年十月``, ``上个月``,
        ``本月``). Without a year it is the newest such month that has begun. None for anything else."""
        here = cls.of(now)
        if re.fullmatch("[上本这]个?月", said):
            return here.before if said[0] == "上" else here
        found = _HEARD.fullmatch(said)
        number = _number(found[2]) if found else 0
        if found is None or not 1 <= number <= 12:
            return None
        year = _year(found[1], here.first.year) if found[1] else here.first.year - (number > here.first.month)
        return cls(date(year, number, 1))

    @property
    def next(self) -> "Month":
        return Month((self.first + timedelta(days=31)).replace(day=1))

    @property
    def before(self) -> "Month":
        return Month((self.first - timedelta(days=1)).replace(day=1))

    @property
    def starts_at(self) -> datetime:
        """The first instant."""
        return day_starts(self.first)

    @property
    def ends_at(self) -> datetime:
        """The first instant of the next month."""
        return month_bounds(self.first)[1]

    def __str__(self) -> str:
        return self.first.isoformat()[:7]


_HEARD = re.compile(r"(?:([12]\d\d\d|\d\d(?= ?年)|[今去前](?=年)) ?[-年./]? ?)?"
                    r"(\d{1,2}|[一二三四五六七八九十]{1,2}) ?月?份?", re.ASCII)


def _year(written: str, now: int) -> int:
    """``2026``, ``1999``, ``26`` or 今, 去, 前 (年) as a year; ``now`` is the running one."""
    if not written.isdecimal():
        return now - "今去前".index(written)
    return int(written) + (2000 if len(written) == 2 else 0)


def _number(written: str) -> int:
    """``10``, ``三``, ``十``, ``十二`` as a number; 0 for what is no month."""
    if written.isdecimal():
        return int(written)
    return _WRITTEN.index(written) + 1 if written in _WRITTEN else 0


def targets(plan: Plan, direct_fen: int, downline_fen: int, role: str) -> dict[str, int]:
    """What a month brings somebody by kind: ``ladder`` for their own direct, net volume, ``team`` for that of the
    people they had brought, given their role at the month's end."""
    own = ladder_fen(plan.ladder, direct_fen) if plan.ladder else 0
    return {"ladder": own, "team": team_fen(plan, downline_fen, role)}


def team_fen(plan: Plan, downline_fen: int, role: str) -> int:
    """What the volume of the people they had brought brings somebody with that role at the month's end."""
    team = plan.team if plan.team is not None and role in plan.team.roles else None
    return share(downline_fen, team.rate_bps) if team else 0


def within(total_fen: int, pending_fen: int, least_fen: int, most_fen: int) -> int:
    """What shall be booked in all, where ``total_fen`` is, ``pending_fen`` of it not let go yet. ``least_fen``: what is
    sure; ``most_fen``: with the sales that wait for a reviewer.

    A suspicion holds back but takes nothing: what was let go already is asked back only above ``most_fen``.
    """
    if total_fen <= least_fen:
        return least_fen
    let_go = total_fen - pending_fen
    return min(max(least_fen, let_go), max(most_fen, least_fen), total_fen)


def taken_from(held: list[tuple[int, int]], fen: int) -> list[tuple[int, int]]:
    """How a later adjustment takes ``fen`` from what is still pending, the newest booking first: (row id, fen) of
    ``held``'s rows. What is not found there must come from released money."""
    taken = []
    for row_id, here in sorted(held, reverse=True):
        part = min(here, fen)
        if part:
            taken.append((row_id, part))
            fen -= part
    return taken
