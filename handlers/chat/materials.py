"""素材 [商品]: words for sharing a product, and a customer's own picture of it as a poster with the sharer's code; and
视频 [商品]: its video."""

from bot.kit.context import Context
from bot.kit.conversation import Answer
from bot.kit.filters import Intent
from bot.kit.router import Router
from domain.catalog import queries as catalog
from domain.catalog.queries import ProductView
from domain.materials import service as materials
from domain.materials import videos
from domain.materials.kits import Kits
from domain.orders import queries as orders
from domain.platform import silence
from domain.shared.numerals import choice
from domain.shots import queries

router = Router(__name__)

NAMED = 5
"""Products named when there is nothing for the one that was asked for."""


@router.on(Intent("materials.show"))
def show_materials(ctx: Context) -> Answer:
    product = _product(ctx)
    if product is None:
        return _nothing(ctx, "materials.unknown")
    lines, _ = ctx.tool(Kits).of(product.sku, product.category, product.title)
    shot = queries.to_share(ctx.session, ctx.speaker.id, product.sku)
    if shot is None:
        return ctx.say("materials.words_only", title=product.title, lines=lines)
    ordered = materials.order_usage(ctx.session, ctx.speaker.id, ctx.message.account, ctx.message.sender, product.sku,
                                    shot.id, ctx.message.dedupe_key, ctx.now)
    late = ordered.put_off or bool(silence.of(ctx.session, ctx.shop.app_id))
    if not ordered.new:
        return ctx.say("materials.still_making", lines=lines, late=late)
    return ctx.say("materials.making", title=product.title, lines=lines, name=shot.credit, late=late)


@router.on(Intent("video.show"))
def show_video(ctx: Context) -> Answer:
    """The video of a share kit: of the product that was named, else of what ``_product`` finds."""
    product = _product(ctx)
    if product is None:
        return _nothing(ctx, "share.video_unknown")
    _, kit = ctx.tool(Kits).of(product.sku, product.category, product.title)
    url = videos.choose(ctx.session, product.sku, product.video_url, kit)
    if not url:
        return ctx.say("share.no_video", title=product.title)
    return ctx.say("share.video", title=product.title, url=url)


def _nothing(ctx: Context, key: str) -> Answer:
    """What can be had instead of what was asked for; that there is nothing, in a shop without products."""
    shelf = catalog.alike(ctx.session, ctx.argument, NAMED) or catalog.shelf(ctx.session, NAMED)
    return ctx.say(key, wanted=ctx.argument, products=shelf) if shelf else ctx.say("share.empty_shop")


def _product(ctx: Context) -> ProductView | None:
    """The one that was named; else what they shared or bought last, if there is a picture of it; else the product with
    the newest picture; else any of those."""
    if ctx.argument:
        number = choice(ctx.argument)
        return next(iter(catalog.search(ctx.session, ctx.argument if number is None else str(number), 1)), None)
    shown = queries.shown_skus(ctx.session, 50)
    bought = orders.last_product(ctx.session, ctx.speaker.id)
    own = [sku for sku in (materials.choice(ctx.session, ctx.speaker.id)[0], bought[0] if bought else "") if sku]
    for sku in (*(one for one in own if one in shown), *shown[:1], *own):
        if (product := catalog.product(ctx.session, sku)) is not None:
            return product
    return next(iter(catalog.shelf(ctx.session, 1)), None)
