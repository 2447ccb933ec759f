"""What an operator should know before a plan goes live: rules that never count or overrule each other, dangerous
words, and what the law says about levels and team pay (reference: Regulations on the Prohibition of Pyramid Selling,
art. 7)."""

from collections.abc import Iterator, Mapping
from itertools import pairwise
from typing import Any

from domain.commissions.document import EARNERS, MAX_LEVELS, Plan, Rule
from domain.commissions.findings import Finding, warning
from domain.commissions.plan_checks import EVERY_ROLE, MOST_RULES
from domain.commissions.rules import rule_for
from domain.shared.money import BPS
from domain.shared.wording import Wording, texts_of

RETURN_DAYS = 7
"""Goods bought online may be sent back without a reason for so long (Consumer Protection Law art. 25)."""

HIGH_CAP_BPS = 5_000


def warnings_of(plan: Plan) -> list[Finding]:
    """What to know about a plan whose shape is right."""
    if len(plan.rules) > MOST_RULES:
        return []
    return [*_law(plan), *_unreachable(plan), *_overruled(plan), *_uncovered(plan), *_ladder(plan), *_phases(plan),
            *_limits(plan)]


def wording_of(document: Mapping[str, Any], wording: Wording) -> list[Finding]:
    """Dangerous words in names and titles, wherever they stand."""
    return [
        Finding(hit.group.severity, "wording", where, {
            "word": hit.word, "title": hit.group.title, "why": hit.group.why})
        for where, text in texts_of(document).items() for hit in wording.find(text)
    ]


def _law(plan: Plan) -> Iterator[Finding]:
    if plan.levels > 1:
        yield warning("law_levels", "levels", levels=plan.levels)
    if plan.levels > 2:
        yield warning("law_three_levels", "levels")
    if plan.team and plan.team.rate_bps:
        yield warning("law_team", "team", rate_bps=plan.team.rate_bps)
    if plan.milestones and plan.milestones.team_fen:
        yield warning("law_team_milestone", "milestones.team_fen", size=plan.milestones.team_size)
    if plan.tax.method == "none":
        yield warning("law_no_tax", "tax.method")
    if plan.release.hold_days < RETURN_DAYS:
        yield warning("hold_short", "release.hold_days", days=plan.release.hold_days, least=RETURN_DAYS)


def _earning_roles(plan: Plan) -> tuple[str, ...]:
    return EVERY_ROLE if plan.earners == "everyone" else EARNERS


def _unreachable(plan: Plan) -> Iterator[Finding]:
    """A rule that nobody can come under: its role does not earn, or every role has a more specific one."""
    for n, rule in enumerate(plan.rules):
        roles = [role for role in _earning_roles(plan) if rule.role in ("", role)]
        if not any(rule_for(plan, rule.level, rule.sku, rule.category, role) == rule for role in roles):
            yield warning("rule_unreachable", f"rules[{n}]", rule=rule.key, level=rule.level)
    if plan.team and plan.earners == "promoters" and not set(plan.team.roles) & set(EARNERS):
        yield warning("team_unreachable", "team.roles")


def _overruled(plan: Plan) -> Iterator[Finding]:
    """A category's plain rule goes before a role's plain rule: where they differ, someone will be surprised."""
    for n, rule in enumerate(plan.rules):
        if rule.category and not rule.role:
            for other in _plain_roles(plan, rule.level):
                actual = rule_for(plan, rule.level, "", rule.category, other.role)
                if actual == rule and rule.rate_bps != other.rate_bps:
                    yield warning("role_overruled", f"rules[{n}]", category=rule.category, role=other.role,
                                  rate_bps=rule.rate_bps, role_bps=other.rate_bps, level=rule.level)


def _plain_roles(plan: Plan, level: int) -> list[Rule]:
    return [rule for rule in plan.rules if rule.level == level and rule.role and not rule.sku and not rule.category]


def _uncovered(plan: Plan) -> Iterator[Finding]:
    for level in range(1, min(plan.levels, MAX_LEVELS) + 1):
        if not any(rule.level == level for rule in plan.rules):
            yield warning("level_without_rule", "rules", level=level)


def _ladder(plan: Plan) -> Iterator[Finding]:
    if plan.ladder is None:
        return
    for n, (earlier, later) in enumerate(pairwise(plan.ladder.steps), 1):
        if later.rate_bps < earlier.rate_bps:
            yield warning("ladder_falls", f"ladder.steps[{n}]", rate_bps=later.rate_bps, before_bps=earlier.rate_bps)
        elif plan.ladder.mode == "whole" and later.rate_bps > earlier.rate_bps:
            jump = later.from_fen * (later.rate_bps - earlier.rate_bps) // BPS
            yield warning("ladder_jumps", f"ladder.steps[{n}]", from_fen=later.from_fen, jump_fen=jump)


def _phases(plan: Plan) -> Iterator[Finding]:
    for n, phase in enumerate(plan.phases):
        if phase.factor_bps < BPS:
            yield warning("phase_lowers", f"phases[{n}]", name=phase.name, factor_bps=phase.factor_bps)
        if any(plan.rate_with(rule.rate_bps, phase.factor_bps) * BPS < rule.rate_bps * phase.factor_bps - BPS
               for rule in plan.rules):
            yield warning("phase_limited", f"phases[{n}]", name=phase.name, top_bps=plan.boosts.top_rate_bps)


def _limits(plan: Plan) -> Iterator[Finding]:
    if plan.cap_bps > HIGH_CAP_BPS:
        yield warning("cap_high", "cap_bps", cap_bps=plan.cap_bps, usual_bps=HIGH_CAP_BPS)
    if plan.withdrawal.min_fen > plan.withdrawal.per_day_fen:
        yield warning("withdrawal_days", "withdrawal.min_fen", min_fen=plan.withdrawal.min_fen,
                      per_day_fen=plan.withdrawal.per_day_fen)
