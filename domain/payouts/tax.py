"""Income tax on what is paid out, as pure functions of integers. Rules: labour remuneration of residents.

``MonthTable`` – ordinary payer: all payments of a month to one person are one income (SAT announcement 2018 no. 61,
art. 8). ``YearTable`` – internet platform enterprise: cumulative withholding over the year (SAT announcement 2025
no. 16). Which one counts is the shop's plan, the numbers are rows of ``tax_table``; the accountant decides both.
"""

from collections.abc import Callable, Mapping
from datetime import date
from typing import Any

import msgspec

from domain.shared.money import BPS
from domain.shared.records import record

Bracket = tuple[int | None, int, int]
"""(taxable income up to this many fen, None for no end; rate in bps; quick deduction in fen)."""


@record
class Basis:
    """What counts already when a payment is taxed: gross and withheld so far in the month (or year), and for how many
    months running there has been income, this one included."""

    gross_fen: int = 0
    withheld_fen: int = 0
    months: int = 1


@record
class MonthTable:
    """A month's income is free up to ``free_fen``; that much is deducted up to ``flat_until_fen``, ``cost_bps`` of
    the income above."""

    free_fen: int
    flat_until_fen: int
    cost_bps: int
    brackets: tuple[Bracket, ...]

    def total(self, gross_fen: int, months: int = 1) -> int:
        """Fen of tax on a whole month's gross."""
        if gross_fen <= self.flat_until_fen:
            return _bracket(max(gross_fen - self.free_fen, 0) * BPS, self.brackets)
        return _bracket(gross_fen * (BPS - self.cost_bps), self.brackets)


@record
class YearTable:
    """A year's income less ``cost_bps`` of it and ``free_per_month_fen`` for each month of continuous income."""

    free_per_month_fen: int
    cost_bps: int
    brackets: tuple[Bracket, ...]

    def total(self, gross_fen: int, months: int = 1) -> int:
        """Fen of tax on the year's gross so far."""
        return _bracket(max(gross_fen * (BPS - self.cost_bps) - months * self.free_per_month_fen * BPS, 0),
                        self.brackets)


Table = MonthTable | YearTable


def _bracket(taxable_bps: int, brackets: tuple[Bracket, ...]) -> int:
    """Tax on ``taxable_bps`` (fen × 10 000), rounded once, halves up."""
    for upto, rate, quick in brackets:
        if upto is None or taxable_bps <= upto * BPS:
            exact = taxable_bps * rate - quick * BPS * BPS
            return (exact + BPS * BPS // 2) // (BPS * BPS)
    raise ValueError("the last bracket has no end")


def due(table: Table | None, basis: Basis, gross_fen: int) -> int:
    """What a payment of ``gross_fen`` is taxed after ``basis``; 0 without a table (somebody else withholds).

    Never negative: what was withheld too much is not paid back but used up by later payments. Never more than the
    payment itself adds: what was withheld too little is not caught up.
    """
    if table is None:
        return 0
    before = max(table.total(basis.gross_fen, basis.months), basis.withheld_fen)
    return max(0, table.total(basis.gross_fen + gross_fen, basis.months) - before)


def gross_of(tax: Callable[[int], int], net_fen: int, near: int) -> int:
    """The gross whose net is exactly ``net_fen``; of several (they differ by a fen) the one closest to ``near``.

    ``tax(gross)`` never grows by more than a fen a fen, so every net has a gross.
    """
    low, high = _first(tax, net_fen), _first(tax, net_fen + 1) - 1
    return min(max(near, low), high)


def _first(tax: Callable[[int], int], net_fen: int) -> int:
    """The smallest gross whose net reaches ``net_fen``."""
    low, high = net_fen, max(2 * net_fen, 1)
    while high - tax(high) < net_fen:
        low, high = high, 2 * high
    while low < high:
        middle = (low + high) // 2
        low, high = (low, middle) if middle - tax(middle) >= net_fen else (middle + 1, high)
    return low


@record
class TaxBook:
    """The tables by method and first day, in order of the days."""

    rows: tuple[tuple[str, date, Table], ...]

    def at(self, method: str, day: date) -> Table | None:
        """The table of ``method`` that counts on ``day``; None for 'none'. Raises LookupError for a day too early."""
        if method == "none":
            return None
        found = [table for name, since, table in self.rows if name == method and since <= day]
        if not found:
            raise LookupError(f"no tax table for {method} on {day}")
        return found[-1]


def read(method: str, document: Mapping[str, Any]) -> Table:
    """A table from its document. Raises ValueError for one that is malformed, jumps or falls."""
    kind: type[MonthTable] | type[YearTable] = MonthTable if method == "per_month" else YearTable
    table: Table = msgspec.convert(dict(document), kind)
    edges = [upto for upto, _, _ in table.brackets]
    ends = [edge for edge in edges if edge is not None]
    rates = [rate for _, rate, _ in table.brackets]
    if not edges or edges[-1] is not None or len(ends) != len(edges) - 1 or ends != sorted(set(ends)):
        raise ValueError("brackets must ascend, the last without an end")
    if rates != sorted(rates) or not rates[0] >= 0 or rates[-1] >= BPS or not 0 <= table.cost_bps < BPS:
        raise ValueError("rates must ascend from 0 % and stay below 100 %")
    for (upto, rate, quick), (_, above, more) in zip(table.brackets, table.brackets[1:], strict=False):
        assert upto is not None
        if upto * rate - quick * BPS != upto * above - more * BPS:
            raise ValueError(f"the tax jumps at {upto}")
    if isinstance(table, MonthTable) and (
            (table.flat_until_fen - table.free_fen) * BPS != table.flat_until_fen * (BPS - table.cost_bps)):
        raise ValueError("the deduction jumps at flat_until_fen")
    return table


def basis_of(method: str, months: Mapping[int, tuple[int, int]], month: int) -> Basis:
    """What counts in ``month`` (1..12) of a year: ``months`` maps a month to (gross, withheld) paid so far in it."""
    if method == "per_month":
        return Basis(*months.get(month, (0, 0)))
    running = 1
    while months.get(month - running, (0, 0))[0] > 0:
        running += 1
    past = [sums for number, sums in months.items() if number <= month]
    return Basis(sum(gross for gross, _ in past), sum(tax for _, tax in past), running)
