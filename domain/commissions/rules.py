"""The deal: who earns what from a paid order, and what a refund takes back. Pure, integers only."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from domain.commissions.document import EARNERS, Plan, Rule
from domain.shared.money import BPS, pro_rata, share, split_largest_remainder


@dataclass(frozen=True, slots=True)
class SaleLine:
    """One line of what was sold; ``paid_fen`` is what was really paid for it, goods only."""

    n: int
    sku: str
    category: str
    paid_fen: int


@dataclass(frozen=True, slots=True)
class DealLine:
    """Somebody's part of one order line, frozen at payment. ``uncut_fen`` is before the cap."""

    n: int
    beneficiary_id: int
    level: int
    base_fen: int
    rate_bps: int
    rule: str
    uncut_fen: int
    amount_fen: int


def strike(
    buyer_id: int, lines: Sequence[SaleLine], upline: Sequence[int], roles: Mapping[int, str], plan: Plan
) -> list[DealLine]:
    """Every commission of one order. ``upline``: person ids, nearest first; ``roles``: role by person id.

    Half-up to the fen per line, zero amounts left out, and each order line cut to the plan's cap. The buyer never
    earns on an own order, and a level that nobody may earn is not passed on to the next.
    """
    earners = [
        (level, person) for level, person in enumerate(upline[: plan.levels], 1)
        if person != buyer_id and (plan.earners == "everyone" or roles.get(person, "member") in EARNERS)
    ]
    deal: list[DealLine] = []
    for line in lines:
        parts = []
        for level, person in earners:
            rule = rule_for(plan, level, line.sku, line.category, roles.get(person, "member"))
            amount = share(line.paid_fen, rule.rate_bps) if rule else 0
            if rule and amount:
                parts.append(DealLine(line.n, person, level, line.paid_fen, rule.rate_bps, rule.key, amount, amount))
        deal += cut(parts, line.paid_fen * plan.cap_bps // BPS)
    return deal


def cut(parts: Sequence[DealLine], cap_fen: int) -> list[DealLine]:
    """The parts of one order line, cut to ``cap_fen`` together by largest remainder; what is left with 0 goes."""
    if sum(part.uncut_fen for part in parts) <= cap_fen:
        return list(parts)
    amounts = split_largest_remainder(cap_fen, [part.uncut_fen for part in parts])
    return [replace(part, amount_fen=amount) for part, amount in zip(parts, amounts, strict=True) if amount]


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
