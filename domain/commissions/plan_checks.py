"""What makes a plan unsafe: numbers out of range, parts that contradict each other, a worst case above its cap."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields
from itertools import pairwise
from typing import Any

from domain.commissions.document import MAX_LEVELS, Plan
from domain.commissions.rules import rule_for
from domain.shared.money import BPS

MOST_FEN = 100_000_000
"""No single sum of a plan is above a million yuan: whoever writes more has mistaken yuan for fen."""


def unknown_fields(document: Mapping[str, Any]) -> list[str]:
    """Top-level names that no plan has."""
    return sorted(set(document) - {one.name for one in fields(Plan)})


def faults_of(plan: Plan) -> list[str]:
    """Everything that keeps the plan from being stored."""
    faults = []
    if not 1 <= plan.levels <= MAX_LEVELS:
        faults.append(f"levels must be 1 to {MAX_LEVELS}")
    if not 0 < plan.cap_bps <= BPS:
        faults.append("cap_bps must be 1 to 10000")
    if min(plan.binding.valid_days, plan.binding.protect_days) < 0 or plan.binding.valid_days > 36_500:
        faults.append("binding days must be 0 to 36500")
    release = plan.release
    days = (release.hold_days, release.received_after_shipping_days, release.received_after_payment_days)
    if min(days) < 0 or max(days) > 365:
        faults.append("release days must be 0 to 365")
    faults += [*_rules(plan), *_volume(plan), *_phases(plan), *_sums(plan)]
    worst = worst_case(plan)
    if worst.total_bps > plan.cap_bps:
        faults.append(f"worst case {worst.total_bps} bps is above the cap of {plan.cap_bps} bps")
    return faults


def _rules(plan: Plan) -> Iterator[str]:
    seen = set()
    for rule in plan.rules:
        if not 0 <= rule.rate_bps <= BPS:
            yield f"rule {rule.key}: rate_bps must be 0 to 10000"
        if not 1 <= rule.level <= plan.levels:
            yield f"rule {rule.key}: level must be 1 to {plan.levels}"
        if rule.sku and rule.category:
            yield f"rule {rule.key}: a product has one category already"
        if (rule.level, rule.key) in seen:
            yield f"rule {rule.key} is there twice for level {rule.level}"
        seen.add((rule.level, rule.key))


def _volume(plan: Plan) -> Iterator[str]:
    steps = plan.ladder.steps if plan.ladder else ()
    if plan.ladder and not steps:
        yield "ladder has no steps"
    if any(later.from_fen <= earlier.from_fen for earlier, later in pairwise(steps)):
        yield "ladder steps must ascend"
    for step in steps:
        if step.from_fen < 0 or not 0 <= step.rate_bps <= BPS:
            yield f"ladder step from {step.from_fen}: from_fen must be >= 0, rate_bps 0 to 10000"
    if plan.team and (not 0 <= plan.team.rate_bps <= BPS or not plan.team.roles):
        yield "team: rate_bps must be 0 to 10000, and at least one role earns it"


def _phases(plan: Plan) -> Iterator[str]:
    for phase in plan.phases:
        if not phase.name or not 0 <= phase.factor_bps <= 10 * BPS:
            yield f"phase {phase.name}: needs a name and a factor_bps of 0 to 100000"
        if phase.ends_before and phase.ends_before <= phase.starts_on:
            yield f"phase {phase.name}: ends before it starts"
    ordered = sorted(plan.phases, key=lambda phase: phase.starts_on)
    for earlier, later in pairwise(ordered):
        if earlier.ends_before is None or later.starts_on < earlier.ends_before:
            yield f"phases {earlier.name} and {later.name} overlap"
    if not BPS <= plan.boosts.max_bps <= 10 * BPS or not 0 < plan.boosts.top_rate_bps <= BPS:
        yield "boosts: max_bps must be 10000 to 100000, top_rate_bps 1 to 10000"


def _sums(plan: Plan) -> Iterator[str]:
    if (miles := plan.milestones) is not None:
        if not all(0 <= fen <= MOST_FEN for fen in (miles.first_sale_fen, miles.streak_fen, miles.team_fen)):
            yield "milestones: sums must be 0 to 100000000 fen"
        if not 2 <= miles.streak_days <= 31 or not 1 <= miles.team_size <= 10_000:
            yield "milestones: streak_days must be 2 to 31, team_size 1 to 10000"
    if len({item.key for item in plan.service}) < len(plan.service):
        yield "service: a key is there twice"
    for item in plan.service:
        if not item.key or not item.title or not 0 < item.fen <= MOST_FEN or not 1 <= item.per_month <= 1_000:
            yield f"service {item.key}: needs key, title, fen of 1 to 100000000, per_month of 1 to 1000"
    out = plan.withdrawal
    if not 0 < out.bill_min_fen <= out.bill_max_fen <= out.per_day_fen <= MOST_FEN or out.min_fen < out.bill_min_fen:
        yield "withdrawal: 0 < bill_min_fen <= bill_max_fen <= per_day_fen, and min_fen >= bill_min_fen"
    if not 1 <= out.confirm_hours <= 720 or min(out.id_number_above_fen, out.second_person_above_fen) < 0:
        yield "withdrawal: confirm_hours must be 1 to 720, limits >= 0"


@dataclass(frozen=True, slots=True)
class WorstCase:
    """The most that one yuan of sales could cost, in bps, and for which goods: a sku, a category, or ""."""

    goods: str
    base_bps: int
    ladder_bps: int
    team_bps: int

    @property
    def total_bps(self) -> int:
        return self.base_bps + self.ladder_bps + self.team_bps


def worst_case(plan: Plan) -> WorstCase:
    """The dearest goods of a plan: every level at its best role's rate, lifted by the top phase and the top boost,
    and the top of the ladder and the team bonus on the same sale. Fixed sums (milestones, service) are no share of
    a sale and not in it."""
    goods = {("", ""), *((rule.sku, rule.category) for rule in plan.rules)}
    base, worst = max((sum(_dearest(plan, level, *one) for level in range(1, plan.levels + 1)), one) for one in goods)
    ladder = plan.ladder.top_bps if plan.ladder else 0
    team = plan.team.rate_bps if plan.team else 0
    return WorstCase(worst[0] or worst[1], base, ladder, team)


def _dearest(plan: Plan, level: int, sku: str, category: str) -> int:
    """The highest rate that anybody could have for these goods at this level. A product's category is not known
    here, so a product may fall back on any category's rule."""
    roles = {"", *(rule.role for rule in plan.rules)}
    categories = {category} if category or not sku else {"", *(rule.category for rule in plan.rules)}
    found = [rule_for(plan, level, sku, one, role) for one in categories for role in roles]
    top = max((phase.factor_bps for phase in plan.phases), default=BPS)
    return max((plan.rate_with(rule.rate_bps, max(top, BPS), plan.boosts.max_bps) for rule in found if rule), default=0)
