"""为什么 [金额、订单号或月份]: where each movement of one's money comes from, by which rule, from whose orders."""

import re

from bot.kit.context import Context
from bot.kit.conversation import Answer, State
from bot.kit.filters import InState, Intent
from bot.kit.router import Router
from domain.payouts.queries import WithdrawalView
from domain.payouts.rules import RED_PACKET
from domain.roles.rules import Titles
from domain.settlements.why import MilestoneWhy, MonthWhy, ServiceWhy
from domain.workflows import explaining
from domain.workflows.explaining import Explained, GiftWhy, MergeWhy, Part, RewardWhy

router = Router(__name__)

WHICH = State("wallet", "why")

TEXTS: dict[type, str] = {
    MilestoneWhy: "why.milestone", ServiceWhy: "why.service", RewardWhy: "why.reward", GiftWhy: "why.gift",
    WithdrawalView: "why.withdrawal", MergeWhy: "why.merge",
}
"""What says each kind of explanation; a month's has one text for the ladder and one for the team."""


@router.on(Intent("wallet.why"))
def explain(ctx: Context) -> Answer:
    """What was asked for explains itself; a bare 为什么 explains the newest money."""
    found = explaining.explain(ctx.session, ctx.speaker.id, ctx.argument, ctx.now)
    if found:
        return ctx.say("why.all", parts=_texts(ctx, found), month=found.month)
    if found.month:
        return ctx.say("why.month_empty", month=found.month)
    if ctx.argument:
        return ctx.ask("wallet.why_unknown", WHICH, wanted=ctx.argument)
    return ctx.say("wallet.why_nothing")


def of_a_bare_reference(ctx: Context) -> Answer | None:
    """What an order's number (A1001) or an amount with its sign (7.92, ¥50) explains that is all somebody typed; None
    for anything else, and where nothing of theirs fits."""
    said = ctx.message.text.strip()
    if not re.fullmatch(ctx.copy.render("wallet.bare_reference"), said):
        return None
    found = explaining.explain(ctx.session, ctx.speaker.id, said, ctx.now)
    return ctx.say("why.all", parts=_texts(ctx, found), month=found.month) if found else None


@router.on(InState(WHICH))
def explain_again(ctx: Context) -> Answer:
    """Another amount, number or month; anything else is heard afresh, and nobody is kept in the question."""
    said = ctx.message.text.strip()
    if ctx.intent or ctx.candidates or not re.search(ctx.copy.render("wallet.like_a_reference"), said):
        return ctx.afresh()
    return ctx.follow("wallet.why", said)


def _texts(ctx: Context, found: Explained) -> list[str]:
    texts = [ctx.copy.render(_key(part), one=part) for part in found.parts]
    if not found.lines:
        return texts
    doubts = {line: {"number": doubt.case_id, "reason": ctx.copy.render(f"risk.reason.{doubt.rule}")}
              for line, doubt in found.doubts.items()}
    rules = {line.rule: _rule(ctx, line.rule) for line in found.lines}
    return [ctx.copy.render("wallet.why", lines=found.lines, rules=rules, doubts=doubts), *texts]


def _key(part: Part) -> str:
    if isinstance(part, WithdrawalView) and part.kind == RED_PACKET:
        return "why.packet"
    return f"why.{part.kind}" if isinstance(part, MonthWhy) else TEXTS[type(part)]


def _rule(ctx: Context, rule: str) -> str:
    """A plan rule's key (``default``, ``category:fmcg``, ``role:gold``, ``product+role:SKU+gold``) in plain words."""
    kind, _, value = rule.partition(":")
    goods, _, role = value.rpartition("+") if kind.endswith("+role") else (value, "", value)
    match kind:
        case "default" | "product":
            return ctx.copy.render(f"rule.{kind}")
        case "category":
            return ctx.copy.render("rule.category", category=_category(ctx, goods))
        case "role":
            return ctx.copy.render("rule.role", title=_title(ctx, role))
        case "category+role":
            return ctx.copy.render("rule.category_role", category=_category(ctx, goods), title=_title(ctx, role))
        case _:
            return ctx.copy.render("rule.product_role", title=_title(ctx, role))


def _category(ctx: Context, category: str) -> str:
    key = f"category.{category}"
    return ctx.copy.render(key) if ctx.copy.has(key) else category


def _title(ctx: Context, role: str) -> str:
    return ctx.tool(Titles).by_role.get(role, role)
