"""An independent model of what the books must say: facts in a set, fractions instead of integers, no shared code.

It knows nothing of batches, keys, journals or order of arrival: it looks at the facts as a whole, computes what every
commission must be by now, and says each person's (pending, available - debt). Whoever disagrees is wrong.
"""

from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any

HALF = Fraction(1, 2)


def half_up(value: Fraction) -> int:
    return (value + HALF).__floor__()


@dataclass
class Shadow:
    """``upline``: buyer → people above, nearest first. ``rates``: (level, category) → percent as a Fraction."""

    upline: dict[str, list[str]]
    rates: dict[tuple[int, str], Fraction]
    cap: Fraction
    paid: dict[str, dict[str, Any]] = field(default_factory=dict)
    refunds: dict[str, dict[str, dict[str, int]]] = field(default_factory=dict)
    closed: set[str] = field(default_factory=set)
    released: set[str] = field(default_factory=set)

    def tell(self, fact: tuple[str, str, Any]) -> None:
        """One fact: ('paid', order, {buyer, lines: [(line, category, fen)]}), ('refunded', order, (no, {line: fen})),
        ('closed', order, None). Told twice is told once."""
        kind, order, content = fact
        if kind == "paid":
            self.paid.setdefault(order, content)
        elif kind == "refunded":
            self.refunds.setdefault(order, {}).setdefault(*content)
        elif kind == "closed":
            self.closed.add(order)

    def shares(self, order: str) -> dict[tuple[str, str, int], tuple[int, int]]:
        """(person, line, level) → (struck, what refunds leave of it), in fen."""
        sale = self.paid[order]
        back: dict[str, int] = {}
        for parts in self.refunds.get(order, {}).values():
            for line, fen in parts.items():
                back[line] = back.get(line, 0) + fen
        result = {}
        for line, category, fen in sale["lines"]:
            wanted = {}
            for level, person in enumerate(self.upline[sale["buyer"]], 1):
                rate = self.rates.get((level, category), self.rates.get((level, "*"), Fraction(0)))
                wanted[(person, line, level)] = half_up(fen * rate)
            for key, amount in self.capped(wanted, (fen * self.cap).__floor__()).items():
                gone = amount if order in self.closed else half_up(Fraction(amount * back.get(line, 0), fen or 1))
                result[key] = (amount, amount - gone)
        return result

    @staticmethod
    def capped(wanted: dict[Any, int], most: int) -> dict[Any, int]:
        """Cut to ``most`` in all: whole parts first, then one fen each to the largest remainders."""
        total = sum(wanted.values())
        if total <= most:
            return wanted
        exact = {key: Fraction(amount * most, total) for key, amount in wanted.items()}
        cut = {key: value.__floor__() for key, value in exact.items()}
        by_rest = sorted(wanted, key=lambda key: cut[key] - exact[key])
        for key in by_rest[: most - sum(cut.values())]:
            cut[key] += 1
        return cut

    def purse(self, person: str) -> tuple[int, int]:
        """(pending, available minus debt) of a person who never withdrew."""
        pending = own = 0
        for order in self.paid:
            for (who, _, _), (_, left) in self.shares(order).items():
                if who == person and order in self.released:
                    own += left
                elif who == person:
                    pending += left
        return pending, own
