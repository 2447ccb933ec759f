"""The deal: who earns what from a paid order, and what a refund takes back. Pure, integers only.

What is made for every order is a struct: a frozen dataclass takes ten times as long to make.
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import date
from functools import lru_cache
from typing import Protocol

import msgspec

from domain.commissions.document import EARNERS, Plan, Rule
from domain.shared.money import BPS, pro_rata, share, split_largest_remainder


class Sold(Protocol):
    """One line of what was sold; ``paid_fen`` is what was really paid for it, goods only."""

    @property
    def n(self) -> int: ...
    @property
    def sku(self) -> str: ...
    @property
    def category(self) -> str: ...
    @property
    def paid_fen(self) -> int: ...


class SaleLine(msgspec.Struct, frozen=True, gc=False):
    """A line with nothing else."""

    n: int
    sku: str
    category: str
    paid_fen: int


class DealLine(msgspec.Struct, gc=False):
    """Somebody's part of one order line, frozen at payment. ``uncut_fen`` is before the cap.

    ``rate_bps`` is what was applied: the rule's own ``rule_bps`` in the campaign's ``phase`` (x ``phase_bps``) with
    the person's boost (x ``boost_bps``).
    """

    n: int
    beneficiary_id: int
    level: int
    base_fen: int
    rate_bps: int
    rule: str
    uncut_fen: int
    amount_fen: int
    rule_bps: int
    phase: str = ""
    phase_bps: int = BPS
    boost_bps: int = BPS


class Above(msgspec.Struct, frozen=True, gc=False):
    """Who stands above a buyer at payment: person ids, nearest first; role and boost (x bps) by person id."""

    upline: Sequence[int]
    roles: Mapping[int, str]
    boosts: Mapping[int, int] = {}


class Terms(msgspec.Struct, frozen=True, gc=False):
    """At which rate somebody earns from a line, and why; see ``DealLine``."""

    rule: str
    rule_bps: int
    phase: str
    phase_bps: int
    boost_bps: int
    rate_bps: int


def strike(buyer_id: int, lines: Iterable[Sold], above: Above, plan: Plan, day: date) -> list[DealLine]:
    """Every commission of one order paid on the business ``day``.

    The rule's rate x campaign phase x personal boost; half-up to the fen per line, zero amounts left out, and each
    order line cut to the plan's cap. The buyer never earns on an own order, and a level that nobody may earn is not
    passed on to the next.
    """
    earners = [
        (level, person, above.roles.get(person, "member"), above.boosts.get(person, BPS))
        for level, person in enumerate(above.upline[: plan.levels], 1)
        if may_earn(buyer_id, person, above.roles, plan)
    ]
    deal: list[DealLine] = []
    for line in lines:
        parts = []
        for level, person, role, boost_bps in earners:
            terms = terms_of(plan, day, level, line.sku, line.category, role, boost_bps)
            if terms and (amount := share(line.paid_fen, terms.rate_bps)):
                parts.append(DealLine(line.n, person, level, line.paid_fen, terms.rate_bps, terms.rule, amount, amount,
                                      terms.rule_bps, terms.phase, terms.phase_bps, terms.boost_bps))
        deal += cut(parts, line.paid_fen * plan.cap_bps // BPS)
    return deal


@lru_cache(maxsize=10_000)
def terms_of(plan: Plan, day: date, level: int, sku: str, category: str, role: str, boost_bps: int) -> Terms | None:
    """The terms of one level on a business day; None when no rule pays it. Kept, as most lines ask the same."""
    rule = rule_for(plan, level, sku, category, role)
    if rule is None:
        return None
    phase = plan.phase_on(day)
    name, phase_bps = (phase.name, phase.factor_bps) if phase else ("", BPS)
    boost_bps = min(boost_bps, plan.boosts.max_bps)
    return Terms(rule.key, rule.rate_bps, name, phase_bps, boost_bps,
                 plan.rate_with(rule.rate_bps, phase_bps, boost_bps))


def may_earn(buyer_id: int, person_id: int, roles: Mapping[int, str], plan: Plan) -> bool:
    """Whether somebody above a buyer may earn at all from what the buyer pays."""
    return person_id != buyer_id and (plan.earners == "everyone" or roles.get(person_id, "member") in EARNERS)


def sold_by(buyer_id: int, above: Above, plan: Plan) -> tuple[int | None, int | None]:
    """(to whom the sale counts, who had brought that person); None where there is nobody, or who may not earn."""
    if not above.upline or not may_earn(buyer_id, above.upline[0], above.roles, plan):
        return None, None
    return above.upline[0], above.upline[1] if len(above.upline) > 1 else None


def cut(parts: Sequence[DealLine], cap_fen: int) -> list[DealLine]:
    """The parts of one order line, cut to ``cap_fen`` together by largest remainder; what is left with 0 goes."""
    if sum([part.uncut_fen for part in parts]) <= cap_fen:
        return list(parts)
    amounts = split_largest_remainder(cap_fen, [part.uncut_fen for part in parts])
    return [
        msgspec.structs.replace(part, amount_fen=amount) for part, amount in zip(parts, amounts, strict=True) if amount
    ]


def rule_for(plan: Plan, level: int, sku: str, category: str, role: str) -> Rule | None:
    """The most specific rule: product+role > product > category+role > category > role > default."""
    best: Rule | None = None
    best_rank = -1
    for rule in plan.rules:
        if rule.level != level or rule.sku not in ("", sku) or rule.category not in ("", category):
            continue
        if rule.role not in ("", role):
            continue
        rank = 4 * bool(rule.sku) + 2 * bool(rule.category) + bool(rule.role)
        if rank > best_rank:
            best, best_rank = rule, rank
    return best


def taken_back(amount_fen: int, refunded_fen: int, paid_fen: int, *, closed: bool) -> int:
    """How much of a commission must have been taken back in all, given what went back to the buyer in all."""
    return amount_fen if closed else pro_rata(amount_fen, refunded_fen, paid_fen)
