"""抽奖: what can be won at which odds, what a draw costs, and the draw itself; nothing is drawn before 抽一次."""

from bot.kit.context import Context
from bot.kit.conversation import Answer, State
from bot.kit.filters import InState, Intent
from bot.kit.links import Links
from bot.kit.router import Router
from domain.draws import queries, service
from domain.draws.queries import CampaignView
from domain.draws.rules import Seeds
from domain.points import queries as points
from domain.points.rules import PointRules
from domain.rewards.rules import Offers
from domain.shared.errors import DomainError
from domain.workflows import drawing

router = Router(__name__)

READY = State("draw", "ready")
SHOWN = 8
"""Prizes that fit one message; the page has all."""


@router.on(InState(READY))
def said_at_the_draw(ctx: Context) -> Answer:
    """Only the very words draw: a yes to something else costs no points."""
    if ctx.message.text.strip() in ctx.copy.render("draw.words").split():
        return _draw(ctx, ctx.place.memory["campaign"])
    return ctx.afresh() if ctx.asks_else else ctx.say("draw.not_drawn")


@router.on(Intent("draw.show"))
def show_draw(ctx: Context) -> Answer:
    """The published terms, what the person may still do, and the day's promise."""
    campaign, _ = drawing.ready(ctx.session, ctx.tool(Seeds), ctx.now)
    return _show(ctx, campaign) if campaign else ctx.say("draw.none")


@router.on(Intent("draw.once"))
def draw_once(ctx: Context) -> Answer:
    """Outside the dialogue a draw that costs nothing happens at once, and so does the refusal of one that cannot be;
    one that costs points is shown first."""
    campaign, promised = drawing.ready(ctx.session, ctx.tool(Seeds), ctx.now)
    if campaign is None:
        return ctx.say("draw.none")
    paid_by = queries.allowance(ctx.session, campaign, ctx.speaker.id, ctx.now).payment(campaign.points)
    affordable = points.of(ctx.session, ctx.speaker.id, ctx.now).active >= campaign.points
    if promised and (ctx.place.state == str(READY) or paid_by != "points" or not affordable):
        return _draw(ctx, campaign.id)
    return _show(ctx, campaign)


def _show(ctx: Context, campaign: CampaignView) -> Answer:
    allowed = queries.allowance(ctx.session, campaign, ctx.speaker.id, ctx.now)
    have = points.of(ctx.session, ctx.speaker.id, ctx.now).active
    promise = next(iter(queries.promises(ctx.session, campaign.id, ctx.now, 1)), None)
    return ctx.ask("draw.show", READY, {"campaign": campaign.id}, campaign=campaign, prizes=campaign.prizes[:SHOWN],
                   allowed=allowed, paid_by=allowed.payment(campaign.points), points=have,
                   promise=promise.commitment if promise else "", page=ctx.tool(Links).to("draw", ctx.speaker.id))


def _draw(ctx: Context, campaign_id: int) -> Answer:
    key = f"{ctx.message.account}:{ctx.message.dedupe_key}"
    try:
        made = drawing.draw(ctx.session, ctx.speaker.id, campaign_id, key, ctx.tool(Seeds), ctx.tool(Offers),
                            ctx.tool(PointRules).life, ctx.now)
    except DomainError as refusal:
        return ctx.say(f"draw.refused.{refusal.code}", **_facts(refusal))
    if made.state == "won":
        service.order_picture(ctx.session, made, ctx.message.account, ctx.now)
    campaign = queries.current(ctx.session, ctx.now)
    assert campaign is not None
    allowed = queries.allowance(ctx.session, campaign, ctx.speaker.id, ctx.now)
    return ctx.ask(f"draw.{made.state}", READY, {"campaign": campaign_id}, draw=made, allowed=allowed,
                   paid_by=allowed.payment(campaign.points), cost=campaign.points,
                   points=points.of(ctx.session, ctx.speaker.id, ctx.now).active)


def _facts(refusal: DomainError) -> dict[str, object]:
    return {name: refusal.facts[name] for name in ("most", "have", "wanted") if name in refusal.facts}
