"""晒单: a picture about having come back, with words in which one may say it."""

from bot.kit.context import Context
from bot.kit.conversation import Answer
from bot.kit.filters import Intent
from bot.kit.router import Router
from domain.materials import service as materials
from domain.materials.kits import Kits
from domain.orders import queries as orders
from domain.platform import silence
from domain.points import queries as points
from domain.rewards import queries as rewards
from domain.rewards.programme import Programme
from domain.workflows import standings
from handlers.chat import shots

router = Router(__name__)


@router.on(Intent("share.show"))
def show_around(ctx: Context) -> Answer:
    """Only what is theirs for good is named: what a return may still take back is not shown around."""
    person = ctx.speaker.id
    count = standings.counted(ctx.session, person, ctx.tool(Programme), ctx.now).repurchases
    product = orders.last_product(ctx.session, person)
    if not count or product is None:
        return ctx.say("share.not_yet")
    fen = sum(one.amount for one in rewards.rewards_of(ctx.session, person)
              if one.what == "red_packet" and one.state == "final")
    lines, _ = ctx.tool(Kits).of(*product)
    say = ctx.copy.render
    facts = {"deed": say("share.deed", n=count), "words": lines[0], "sku": product[0],
             "reward": say("share.reward", fen=fen, points=points.of(ctx.session, person, ctx.now).active)}
    materials.order_share(ctx.session, person, ctx.message.account, ctx.message.sender, facts, ctx.message.dedupe_key,
                          ctx.now)
    late = bool(silence.of(ctx.session, ctx.shop.app_id))
    return ctx.ask("share.making", shots.SHOWN, lines=lines, late=late)
