"""红包: what waits to be received, each with the page that opens it; what was not received in time is sent again. With
none: where to see what is still to come, and the word for coupons, which some mean by it."""

from bot.kit.context import Context
from bot.kit.conversation import Answer
from bot.kit.filters import Intent
from bot.kit.links import Links
from bot.kit.pay import PayGateways
from bot.kit.router import Router
from domain.payouts import queries
from domain.payouts.rules import PacketRules
from domain.workflows import giving

router = Router(__name__)

SHOWN = 5
FOR_NOW = frozenset({"stopped", "under_review", "large", "small", "debt"})
"""Why a gift stays in the wallet although its person asks for it, and is worth saying."""


@router.on(Intent("packets.show"))
def show_packets(ctx: Context) -> Answer:
    found = queries.packets_of(ctx.session, ctx.speaker.id, SHOWN)
    if not found:
        return _again(ctx)
    links = ctx.tool(Links)
    return ctx.say("packet.waiting", packets=[
        {"fen": one.net_fen, "page": links.to("withdrawals", ctx.speaker.id, str(one.id)) if one.waiting_fen else ""}
        for one in found])


def _again(ctx: Context) -> Answer:
    """Gifts that came back into the wallet need no minimum: whoever asks gets them on their way once more."""
    fen, stays = giving.send_again(ctx.session, ctx.speaker.id, ctx.tool(PayGateways).gift_doors(),
                                   ctx.tool(PacketRules),
                                   lambda: ctx.copy.render("packet.remark", shop=ctx.shop.name), ctx.now)
    if not stays:
        return ctx.say("packet.again", fen=fen)
    return ctx.say("packet.kept", fen=fen) if stays in FOR_NOW else ctx.say("packet.none")
