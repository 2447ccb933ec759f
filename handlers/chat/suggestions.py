"""猜你喜欢: what is due again, and what people with the same taste buy; 购买链接: where a product is bought."""

from typing import Any

from bot.kit.context import Context
from bot.kit.conversation import Answer
from bot.kit.filters import Intent
from bot.kit.router import Router
from domain.catalog import queries as catalog
from domain.catalog import suggestions
from domain.catalog.queries import ProductView
from domain.orders import queries as orders
from domain.shared.numerals import choice

router = Router(__name__)

SHOWN = 5
ROOM = 2_000
"""Bytes of UTF-8 that leave a message whole: one cut within a link would be unreadable."""


@router.on(Intent("suggest.show"))
def suggest(ctx: Context) -> Answer:
    """A handful, each with its reason, and the way to it where there is one."""
    found = suggestions.suggest(ctx.session, [ctx.speaker.id], ctx.now, SHOWN)[ctx.speaker.id]
    products = catalog.products(ctx.session, [sku for one in found for sku in (one.sku, one.because) if sku])
    shown = [{"no": products[one.sku].no, "title": products[one.sku].title, "price_fen": products[one.sku].price_fen,
              "url": products[one.sku].url, "why": one.why,
              "because": products[one.because].title if one.because else ""} for one in found]
    return _listed(ctx, "suggest.show", shown) if shown else ctx.say("suggest.nothing")


@router.on(Intent("buy.show"))
def where_to_buy(ctx: Context) -> Answer:
    """The product that was named; else what they bought last, and the first of the shelf."""
    wanted = ctx.argument.strip()
    found = _named(ctx, wanted) if wanted else []
    last = orders.last_product(ctx.session, ctx.speaker.id)
    own = catalog.product(ctx.session, last[0]) if last and not wanted else None
    near = found or catalog.alike(ctx.session, wanted, SHOWN) or catalog.shelf(ctx.session, SHOWN)
    several = [own, *(one for one in near if one.sku != own.sku)][:SHOWN] if own else near
    shown = [{"no": one.no, "title": one.title, "price_fen": one.price_fen, "url": one.url} for one in several]
    return _listed(ctx, "buy.show", shown, wanted="" if found else wanted) if shown else ctx.say("buy.nothing")


def _named(ctx: Context, wanted: str) -> list[ProductView]:
    number = choice(wanted)
    return catalog.search(ctx.session, wanted if number is None else str(number), SHOWN)


def _listed(ctx: Context, key: str, shown: list[dict[str, Any]], **facts: object) -> Answer:
    """With links, or without any when they would not fit."""
    answer = ctx.say(key, products=shown, links=any(one["url"] for one in shown), **facts)
    if len(answer.reply.text.encode()) > ROOM:
        answer = ctx.say(key, products=[one | {"url": ""} for one in shown], links=False, **facts)
    return answer
