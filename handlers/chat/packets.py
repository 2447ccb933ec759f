"""红包: what waits to be received, each with the page that opens it. With none: where to see what is still to come, and
the word for coupons, which some mean by it."""

from bot.kit.context import Context
from bot.kit.conversation import Answer
from bot.kit.filters import Intent
from bot.kit.links import Links
from bot.kit.router import Router
from domain.payouts import queries

router = Router(__name__)

SHOWN = 5


@router.on(Intent("packets.show"))
def show_packets(ctx: Context) -> Answer:
    found = queries.packets_of(ctx.session, ctx.speaker.id, SHOWN)
    if not found:
        return ctx.say("packet.none")
    links = ctx.tool(Links)
    return ctx.say("packet.waiting", packets=[
        {"fen": one.net_fen, "page": links.to("withdrawals", ctx.speaker.id, str(one.id)) if one.waiting_fen else ""}
        for one in found])
