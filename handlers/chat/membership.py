"""会员: the paid card, until when, what it gives and has saved; or what one would give."""

from collections.abc import Sequence

from bot.kit.context import Context
from bot.kit.conversation import Answer
from bot.kit.filters import Intent
from bot.kit.router import Router
from domain.catalog import queries as catalog
from domain.memberships import queries, service
from domain.memberships.rules import Cards, fold
from domain.platform import silence

router = Router(__name__)


@router.on(Intent("membership.show"))
def show_membership(ctx: Context) -> Answer:
    """Counted afresh, so that a card of a second ago is in it. The picture of the card follows."""
    cards = ctx.tool(Cards)
    service.recount(ctx.session, [ctx.speaker.id], cards, ctx.now)
    card = queries.of(ctx.session, ctx.speaker.id, ctx.now)
    saved = queries.saved_by(ctx.session, ctx.speaker.id, cards)
    if card is None:
        return ctx.say("membership.none", ended=queries.ended(ctx.session, ctx.speaker.id, ctx.now), saved=saved,
                       offers=_offers(ctx, cards))
    service.order_picture(ctx.session, ctx.speaker.id, ctx.message.account,
                          f"{ctx.message.account}:{ctx.message.dedupe_key}", ctx.now)
    return ctx.say("membership.show", card=card, saved=saved, benefits=_named(ctx, card.benefits),
                   offers=_offers(ctx, cards), late=bool(silence.of(ctx.session, ctx.shop.app_id)))


def _offers(ctx: Context, cards: Cards) -> list[dict[str, object]]:
    """The cards that the mall sells now."""
    products = catalog.products(ctx.session, cards.skus)
    return [{"title": products[one.sku].title, "price_fen": products[one.sku].price_fen, "days": one.days,
             "benefits": _named(ctx, one.benefits)} for one in cards.card if one.sku in products]


def _named(ctx: Context, benefits: Sequence[str]) -> list[str]:
    return [ctx.copy.render("membership.benefit", code=code, fold=fold(code)) for code in benefits]
