"""What happens to a role is told once, and time's part in roles: what becomes final, and the monthly assessment."""

from datetime import time, timedelta
from typing import Any

from bot.kit.chores import Chores
from bot.kit.jobs import Claimed, Done, Ended, JobContext, Jobs, Refused
from domain.notices import service as notices
from domain.rewards import service as rewards
from domain.rewards.rules import FIRST_ORDER_SHARE, Offers
from domain.roles import assessment, certificates, honours, invitations, queries, repurchase, rulebooks
from domain.roles.queries import roles_of
from domain.roles.rules import Titles
from domain.workflows import seeding

jobs = Jobs()
chores = Chores()

CONFIRMED_AT_ONCE, JUDGED_AT_ONCE, INVITED_AT_ONCE = 200, 500, 200

_LOST = {"repurchase": "role.fell_back", "assessment": "role.demoted", "operator": "role.taken"}
"""Text by what had given the role; a confirmed one for coming back is taken by the assessment or an operator."""


@jobs.on("role.granted")
def granted(ctx: JobContext, effect: Claimed) -> Ended:
    """The new title, said once for each grant."""
    role = effect.payload["role"]
    facts: dict[str, Any] = {"title": ctx.tool(Titles).of(role)}
    if role == "gold":
        facts["provisional"] = bool(effect.payload.get("provisional"))
    _tell(ctx, effect, f"role.granted.{role}", facts)
    if not facts.get("provisional"):
        _certify(ctx, effect)
    return Done()


@jobs.on("role.confirmed")
def confirmed(ctx: JobContext, effect: Claimed) -> Ended:
    """No return can undo it any more."""
    _tell(ctx, effect, "role.confirmed", {"title": ctx.tool(Titles).of(effect.payload["role"])})
    _certify(ctx, effect)
    return Done()


@jobs.on("role.revoked")
def revoked(ctx: JobContext, effect: Claimed) -> Ended:
    """What is lost and why, and what remains; coupons that a returned first order had opened go with it."""
    assert effect.person_id is not None
    payload, titles = effect.payload, ctx.tool(Titles)
    if payload["role"] == "promoter":
        with ctx.begin() as session:
            rewards.take_back_first_order(session, effect.person_id, ctx.tool(Offers).of(FIRST_ORDER_SHARE), ctx.now())
    facts: dict[str, Any] = {"title": titles.of(payload["role"])}
    key = _lost_text(payload)
    if key != "role.revoked":
        with ctx.begin() as session:
            facts["now_title"] = titles.of(queries.roles_of(session, [effect.person_id])[effect.person_id])
    if key == "role.demoted":
        facts["role"] = payload["role"]
    _tell(ctx, effect, key, facts)
    return Done()


def _lost_text(payload: dict[str, Any]) -> str:
    if payload.get("reason") in ("below_target", "too_few_repurchases"):
        return "role.demoted"
    if payload.get("reason") == "operator":
        return "role.taken"
    if payload.get("cause_kind") == "repurchase" and not payload.get("provisional", True):
        return "role.all_returned"
    return _LOST.get(payload["cause_kind"], "role.revoked")


@jobs.on("role.warned")
def warned(ctx: JobContext, effect: Claimed) -> Ended:
    """What is in danger, what keeps it, until when."""
    payload, titles = effect.payload, ctx.tool(Titles)
    _tell(ctx, effect, "role.warned", {
        "role": payload["role"], "title": titles.of(payload["role"]), "falls_title": titles.of(payload["falls_to"]),
        "until": payload["until"], "target_fen": payload["target_fen"], "missing_orders": payload["missing_orders"]})
    return Done()


@jobs.on("role.calmed")
def calmed(ctx: JobContext, effect: Claimed) -> Ended:
    _tell(ctx, effect, "role.calmed", {"title": ctx.tool(Titles).of(effect.payload["role"])})
    return Done()


@jobs.on("badge.awarded")
def honoured(ctx: JobContext, effect: Claimed) -> Ended:
    """The thanks; a badge that the shop has dropped meanwhile is passed over in silence."""
    with ctx.begin() as session:
        badge = rulebooks.live(session, ctx.now()).badge(effect.payload["key"])
    if badge is None:
        return Done()
    _tell(ctx, effect, "badge.awarded", {"title": badge.title, "period": effect.payload["period"]})
    with ctx.begin() as session:
        assert effect.person_id is not None
        view = certificates.of_badge(session, effect.person_id, badge.key, effect.payload["period"], badge.title,
                                     ctx.now())
        certificates.order(session, view, effect.key, ctx.now())
    return Done()


@jobs.on("invitation.asked")
def invited(ctx: JobContext, effect: Claimed) -> Ended:
    """The question, with everything that a yes means."""
    assert effect.person_id is not None
    with ctx.begin() as session:
        found = invitations.waiting(session, effect.person_id, ctx.now())
        role = roles_of(session, [effect.person_id])[effect.person_id]
    if found is None:
        return Refused("expired")
    has = role != "member"
    if has and not found.evidence["boost_bps"]:
        return Refused("nothing_to_offer")
    _tell(ctx, effect, "invitation.asked", {
        "shop": ctx.shop.name, "title": ctx.tool(Titles).of(role if has else "promoter"), "has": has,
        "until": found.expires_at.isoformat(),
        **{name: found.evidence[name] for name in ("days", "orders", "months", "boost_bps")}})
    return Done()


def _tell(ctx: JobContext, effect: Claimed, key: str, facts: dict[str, Any]) -> None:
    assert effect.person_id is not None
    with ctx.begin() as session:
        notices.tell(session, notices.Notice(effect.person_id, "service", effect.key, key, facts), ctx.now())


def _certify(ctx: JobContext, effect: Claimed) -> None:
    """The certificate of the role that this fact is about, unless a higher one or none is held by now."""
    assert effect.person_id is not None
    with ctx.begin() as session:
        view = certificates.of_role(session, effect.person_id, ctx.tool(Titles).by_role, ctx.now())
        if view is not None and view.subject == effect.payload["role"]:
            certificates.order(session, view, effect.key, ctx.now())


@chores.every("roles.confirm", timedelta(hours=1))
def confirm(ctx: JobContext) -> bool:
    """Provisional roles whose orders can no longer be returned become final."""
    with ctx.begin() as session:
        return repurchase.confirm_due(session, ctx.now(), CONFIRMED_AT_ONCE) == CONFIRMED_AT_ONCE


@chores.every("roles.assess", timedelta(hours=1))
def assess(ctx: JobContext) -> bool:
    """Judge the last month once it is over, a piece at a time; at the end the month's honours."""
    now = ctx.now()
    with ctx.begin() as session:
        month = assessment.due_month(session, now)
        if month is None:
            return False
        progress = assessment.assess(session, month, now, JUDGED_AT_ONCE)
        if progress.ended:
            honours.award(session, rulebooks.live(session, now), month, now)
    return not progress.ended


@chores.daily("roles.invite", time(10))
def invite(ctx: JobContext) -> bool:
    """Who buys often and well is invited once, at an hour at which nobody minds."""
    with ctx.begin() as session:
        return seeding.invite_due(session, ctx.now(), INVITED_AT_ONCE) == INVITED_AT_ONCE
