"""What keeps a plan from being published: numbers out of range, parts that contradict each other, a worst case above
its cap."""

from collections.abc import Iterator
from dataclasses import replace
from itertools import pairwise

from domain.commissions.document import EARNERS, MAX_LEVELS, Plan
from domain.commissions.findings import Finding, error
from domain.commissions.rules import rule_for
from domain.shared.money import BPS
from domain.shared.records import record

MOST_FEN = 100_000_000
"""No single sum of a plan is above a million yuan: whoever writes more has mistaken yuan for fen."""

LONGEST_NAME = 40
MOST_RULES = 1_000
EVERY_ROLE = ("member", *EARNERS)


def errors_of(plan: Plan) -> list[Finding]:
    """Everything that keeps the plan from being published."""
    return [*_frame(plan), *_rules(plan), *_volume(plan), *_phases(plan), *_miles(plan), *_service(plan),
            *_withdrawal(plan), *_worst(plan)]


def _within(where: str, value: int, low: int, high: int) -> Iterator[Finding]:
    if not low <= value <= high:
        yield error("range", where, value=value, low=low, high=high)


def _name(where: str, value: str) -> Iterator[Finding]:
    if not 0 < len(value.strip()) <= LONGEST_NAME or not value.isprintable():
        yield error("name", where, most=LONGEST_NAME)


def _frame(plan: Plan) -> Iterator[Finding]:
    yield from _name("name", plan.name)
    yield from _within("levels", plan.levels, 1, MAX_LEVELS)
    yield from _within("cap_bps", plan.cap_bps, 1, BPS)
    yield from _within("binding.valid_days", plan.binding.valid_days, 0, 36_500)
    yield from _within("binding.protect_days", plan.binding.protect_days, 0, 36_500)
    yield from _within("release.hold_days", plan.release.hold_days, 0, 365)
    shipped, paid = plan.release.received_after_shipping_days, plan.release.received_after_payment_days
    yield from _within("release.received_after_shipping_days", shipped, 0, 365)
    yield from _within("release.received_after_payment_days", paid, 0, 365)


def _role(where: str, role: str) -> Iterator[Finding]:
    if role not in EVERY_ROLE:
        yield error("role_unknown", where, role=role)


def _rules(plan: Plan) -> Iterator[Finding]:
    seen: dict[tuple[int, str], int] = {}
    if len(plan.rules) > MOST_RULES:
        yield error("too_many_rules", "rules", most=MOST_RULES)
        return
    for n, rule in enumerate(plan.rules):
        where = f"rules[{n}]"
        yield from _within(f"{where}.rate_bps", rule.rate_bps, 0, BPS)
        yield from _within(f"{where}.level", rule.level, 1, max(min(plan.levels, MAX_LEVELS), 1))
        if rule.role:
            yield from _role(f"{where}.role", rule.role)
        if rule.sku and rule.category:
            yield error("product_and_category", where, sku=rule.sku, category=rule.category)
        if (rule.level, rule.key) in seen:
            yield error("rule_twice", where, other=f"rules[{seen[rule.level, rule.key]}]")
        seen.setdefault((rule.level, rule.key), n)


def _volume(plan: Plan) -> Iterator[Finding]:
    steps = plan.ladder.steps if plan.ladder else ()
    if plan.ladder and not steps:
        yield error("ladder_empty", "ladder.steps")
    for n, (earlier, later) in enumerate(pairwise(steps), 1):
        if later.from_fen <= earlier.from_fen:
            yield error("ladder_order", f"ladder.steps[{n}]", from_fen=later.from_fen, before_fen=earlier.from_fen)
    for n, step in enumerate(steps):
        yield from _within(f"ladder.steps[{n}].from_fen", step.from_fen, 0, 1_000 * MOST_FEN)
        yield from _within(f"ladder.steps[{n}].rate_bps", step.rate_bps, 0, BPS)
    if plan.team:
        yield from _within("team.rate_bps", plan.team.rate_bps, 0, BPS)
        if not plan.team.roles:
            yield error("team_nobody", "team.roles")
        for n, role in enumerate(plan.team.roles):
            yield from _role(f"team.roles[{n}]", role)


def _phases(plan: Plan) -> Iterator[Finding]:
    for n, phase in enumerate(plan.phases):
        yield from _name(f"phases[{n}].name", phase.name)
        yield from _within(f"phases[{n}].factor_bps", phase.factor_bps, 0, 10 * BPS)
        if phase.ends_before and phase.ends_before <= phase.starts_on:
            yield error("phase_ends", f"phases[{n}]", name=phase.name, starts_on=phase.starts_on.isoformat(),
                        ends_before=phase.ends_before.isoformat())
    ordered = sorted(plan.phases, key=lambda phase: phase.starts_on)
    for earlier, later in pairwise(ordered):
        if earlier.ends_before is None or later.starts_on < earlier.ends_before:
            yield error("phases_overlap", "phases", first=earlier.name, second=later.name,
                        day=later.starts_on.isoformat())
    yield from _within("boosts.max_bps", plan.boosts.max_bps, BPS, 10 * BPS)
    yield from _within("boosts.top_rate_bps", plan.boosts.top_rate_bps, 1, BPS)


def _miles(plan: Plan) -> Iterator[Finding]:
    if (miles := plan.milestones) is None:
        return
    for name in ("first_sale_fen", "streak_fen", "team_fen"):
        yield from _within(f"milestones.{name}", getattr(miles, name), 0, MOST_FEN)
    yield from _within("milestones.streak_days", miles.streak_days, 2, 31)
    yield from _within("milestones.team_size", miles.team_size, 1, 10_000)


def _service(plan: Plan) -> Iterator[Finding]:
    seen = set()
    for n, item in enumerate(plan.service):
        yield from _name(f"service[{n}].key", item.key)
        yield from _name(f"service[{n}].title", item.title)
        yield from _within(f"service[{n}].fen", item.fen, 1, MOST_FEN)
        yield from _within(f"service[{n}].per_month", item.per_month, 1, 1_000)
        if item.key in seen:
            yield error("service_twice", f"service[{n}].key", item=item.key)
        seen.add(item.key)


def _withdrawal(plan: Plan) -> Iterator[Finding]:
    out = plan.withdrawal
    yield from _within("withdrawal.bill_min_fen", out.bill_min_fen, 1, MOST_FEN)
    yield from _within("withdrawal.bill_max_fen", out.bill_max_fen, max(out.bill_min_fen, 1), MOST_FEN)
    yield from _within("withdrawal.per_day_fen", out.per_day_fen, max(out.bill_max_fen, 1), MOST_FEN)
    yield from _within("withdrawal.min_fen", out.min_fen, max(out.bill_min_fen, 1), MOST_FEN)
    yield from _within("withdrawal.name_from_fen", out.name_from_fen, 30, MOST_FEN)
    yield from _within("withdrawal.id_number_above_fen", out.id_number_above_fen, 0, MOST_FEN)
    yield from _within("withdrawal.second_person_above_fen", out.second_person_above_fen, 0, MOST_FEN)
    yield from _within("withdrawal.confirm_hours", out.confirm_hours, 1, 720)


def _worst(plan: Plan) -> Iterator[Finding]:
    if len(plan.rules) > MOST_RULES:
        return
    worst = worst_case(plan)
    if worst.total_bps > plan.cap_bps:
        yield error("cap_broken", "cap_bps", goods=worst.goods, base_bps=worst.base_bps, ladder_bps=worst.ladder_bps,
                    team_bps=worst.team_bps, total_bps=worst.total_bps, cap_bps=plan.cap_bps)


@record
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
    levels = range(1, min(plan.levels, MAX_LEVELS) + 1)
    base, worst = max((sum(_dearest(plan, level, *one) for level in levels), one) for one in goods)
    ladder = plan.ladder.top_bps if plan.ladder else 0
    team = plan.team.rate_bps if plan.team else 0
    return WorstCase(worst[0] or worst[1], base, ladder, team)


def _dearest(plan: Plan, level: int, sku: str, category: str) -> int:
    """The highest rate that anybody could have for these goods at this level. A product's category is not known here,
    so one without a plain rule of its own may fall back on any category's."""
    rules = [rule for rule in plan.rules if rule.level == level]
    if sku:
        own = [rule for rule in rules if rule.sku == sku]
        found = own if any(not rule.role for rule in own) else own + [rule for rule in rules if not rule.sku]
    else:
        some = replace(plan, rules=tuple(rule for rule in rules if rule.category in ("", category) and not rule.sku))
        roles = {"", *(rule.role for rule in some.rules)}
        found = [rule for role in roles if (rule := rule_for(some, level, "", category, role))]
    top = max((phase.factor_bps for phase in plan.phases), default=BPS)
    return max((plan.rate_with(rule.rate_bps, max(top, BPS), plan.boosts.max_bps) for rule in found), default=0)
