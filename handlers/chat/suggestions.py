"""猜你喜欢: what is due again, and what people with the same taste buy."""

from bot.kit.context import Context
from bot.kit.conversation import Answer
from bot.kit.filters import Intent
from bot.kit.router import Router
from domain.catalog import queries as catalog
from domain.catalog import suggestions

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
    if not shown:
        return ctx.say("suggest.nothing")
    answer = ctx.say("suggest.show", products=shown, links=any(one["url"] for one in shown))
    if len(answer.reply.text.encode()) > ROOM:
        answer = ctx.say("suggest.show", products=[one | {"url": ""} for one in shown], links=False)
    return answer
