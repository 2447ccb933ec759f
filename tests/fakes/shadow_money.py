"""The whole money of a shop as a function of its facts: a second opinion on every wallet, in fractions.

Beside what tests/fakes/shadow_ledger.py knows of orders: time, freezes, confiscation, months with a ladder, and
withdrawals. It keeps no balances: each question adds up the facts anew. No code of the service is used.
"""

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from fractions import Fraction

from tests.fakes.shadow_ledger import Shadow, half_up

HOLD = timedelta(days=7)
UNHEARD = timedelta(days=20)
"""An order that nobody confirms counts as received so long after its payment."""
STEP_FEN, BELOW, ABOVE = 100_000, Fraction(1, 100), Fraction(3, 100)
"""The ladder: of each month's own sales one percent, three above a thousand yuan."""
FREE_FEN, FLAT_FEN = 80_000, 400_000

Line = tuple[str, str, str, int]
"""(order, person, line, level)."""


def ladder(volume: int) -> int:
    return half_up(min(volume, STEP_FEN) * BELOW) + half_up(max(volume - STEP_FEN, 0) * ABOVE)


def month_tax(gross: int) -> int:
    """Tax on a month's pay of one person, as the announcement prints it; good up to 25,000 yuan."""
    deducted = min(max(gross - FREE_FEN, 0), gross) if gross <= FLAT_FEN else gross * Fraction(4, 5)
    return half_up(Fraction(deducted) * Fraction(20, 100))


@dataclass
class Bill:
    """A bill of a withdrawal as it ended: ``share`` was held for it, ``gross`` is what was paid for with it."""

    share: int
    state: str = "open"
    gross: int = 0


@dataclass
class Request:
    person: str
    gross: int
    open: bool = True
    bills: list[Bill] = field(default_factory=list)

    @property
    def held(self) -> int:
        return self.gross - sum(bill.share for bill in self.bills if bill.state != "open") if self.open else 0

    @property
    def paid(self) -> int:
        return sum(bill.gross for bill in self.bills)


@dataclass
class Wealth:
    """What a person has, in fen. ``paid`` with the tax that was withheld."""

    pending: int
    available: int
    frozen: int
    held: int
    paid: int
    debt: int


@dataclass
class ShadowMoney:
    """``orders`` knows the sales; the rest is what else happened, as plain facts."""

    orders: Shadow
    paid_at: dict[str, datetime] = field(default_factory=dict)
    completed: dict[str, datetime] = field(default_factory=dict)
    heard: set[str] = field(default_factory=set)
    released: set[Line] = field(default_factory=set)
    confiscated: set[Line] = field(default_factory=set)
    frozen: set[str] = field(default_factory=set)
    questioned: set[Line] = field(default_factory=set)
    """Lines that wait for a reviewer: what was there at the freeze, and every line sold since."""
    booked: dict[tuple[str, str], int] = field(default_factory=dict)
    waiting: dict[tuple[str, str], list[tuple[int, datetime]]] = field(default_factory=dict)
    months: set[str] = field(default_factory=set)
    requests: dict[int, Request] = field(default_factory=dict)

    # Facts

    def received(self, order: str, at: datetime) -> None:
        if order not in self.heard:
            self.heard.add(order)
            self.completed[order] = at

    def time_passed(self, now: datetime) -> list[str]:
        """What is due is let go; returns who got something."""
        for order, at in self.paid_at.items():
            if order not in self.completed and order not in self.orders.closed and at + UNHEARD <= now:
                self.completed[order] = at + UNHEARD
        got = []
        for line, left in self.lines().items():
            done = self.completed.get(line[0])
            if done and done + HOLD <= now and left and line[1] not in self.frozen and line not in self.released:
                self.released.add(line)
                got.append(line[1])
        for (month, person), parts in self.waiting.items():
            if person not in self.frozen:
                got += [person for fen, due in parts if due <= now and fen]
                self.waiting[(month, person)] = [(fen, due) for fen, due in parts if due > now]
        return got

    def sold(self, order: str) -> None:
        """An order is booked: whoever is frozen has it in question from the start."""
        self.questioned |= {line for line in self.lines() if line[0] == order and line[1] in self.frozen}

    def freeze(self, person: str) -> None:
        self.frozen.add(person)
        self.questioned |= {line for line, left in self.lines().items()
                            if line[1] == person and line not in self.released and left}

    def clear(self, person: str) -> None:
        self.frozen.discard(person)
        self.questioned = {line for line in self.questioned if line[1] != person}

    def confiscate(self, person: str) -> None:
        self.confiscated |= {line for line, left in self.lines().items()
                             if line[1] == person and line not in self.released and left}
        self.clear(person)

    def closed_month(self, month: str, now: datetime) -> None:
        """Ladders of a month, now and whenever something of it changes later: the difference is booked."""
        self.months.add(month)
        for person in self.orders.upline:
            key = (month, person)
            change = self._owed(month, person) - self.booked.get(key, 0)
            self.booked[key] = self.booked.get(key, 0) + change
            parts = self.waiting.setdefault(key, [])
            if change > 0:
                parts.append((change, now + HOLD))
            while change < 0 and parts:
                fen, due = parts.pop()
                if fen > -change:
                    parts.append((fen + change, due))
                change = min(change + fen, 0)

    def _owed(self, month: str, person: str) -> int:
        """What the ladder of a month comes to now. Sales in question bring nothing, and take nothing that was let go
        while nobody suspected them; what is confiscated does."""
        key, parts = (month, person), self.waiting.get((month, person), [])
        sure, at_best = ladder(self.volume(month, person)), ladder(self.volume(month, person, hoping=True))
        stands = self.booked.get(key, 0)
        kept = stands - sum(fen for fen, _ in parts)
        return sure if stands <= sure else max(sure, min(kept, at_best))

    # Answers

    def lines(self) -> dict[Line, int]:
        """What is left of every commission."""
        return {(order, person, line, level): 0 if (order, person, line, level) in self.confiscated else left
                for order in self.orders.paid
                for (person, line, level), (_, left) in self.orders.shares(order).items()}

    def volume(self, month: str, person: str, hoping: bool = False) -> int:
        """Net sales of a Shanghai month by buyers whom this person brought; ``hoping``: with those in question."""
        taken = {line[0] for line in self.confiscated if line[1] == person}
        doubted = {line[0] for line in self.questioned if line[1] == person}
        total = 0
        for order, sale in self.orders.paid.items():
            above = self.orders.upline[sale["buyer"]]
            here = (self.paid_at[order] + timedelta(hours=8)).strftime("%Y-%m") == month
            counts = order not in taken and (hoping or order not in doubted)
            if above and above[0] == person and here and counts and order not in self.orders.closed:
                back = sum(sum(parts.values()) for parts in self.orders.refunds.get(order, {}).values())
                total += sum(fen for _, _, fen in sale["lines"]) - back
        return total

    def wealth(self) -> dict[str, Wealth]:
        found = {person: Wealth(0, 0, 0, 0, 0, 0) for person in self.orders.upline}
        own = dict.fromkeys(found, 0)
        for line, left in self.lines().items():
            if line in self.released:
                own[line[1]] += left
            elif line[1] in self.frozen:
                found[line[1]].frozen += left
            else:
                found[line[1]].pending += left
        for (month, person), fen in self.booked.items():
            waits = sum(part for part, _ in self.waiting[(month, person)])
            found[person].pending += waits
            own[person] += fen - waits
        for one in self.requests.values():
            found[one.person].held += one.held
            found[one.person].paid += one.paid
            own[one.person] -= one.held + one.paid
        for person, fen in own.items():
            found[person].available, found[person].debt = max(fen, 0), max(-fen, 0)
        return found
