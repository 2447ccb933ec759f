"""海报 and 换风格: which product, which style, and is it being made already."""

from bot.kit.context import Context
from bot.kit.conversation import Answer, State
from bot.kit.filters import InState, Intent
from bot.kit.messages import image
from bot.kit.router import Router
from domain.catalog import queries as catalog
from domain.materials import service as materials
from domain.notices import service as notices
from domain.platform import silence
from domain.shared.numerals import choice

router = Router(__name__)

CHOOSE_PRODUCT = State("poster", "product")
CHOOSE_STYLE = State("poster", "style")
SHOWN = 8
"""Products offered at once: more than a phone screen shows is noise."""
SUGGESTED = 5
"""Products offered instead of one that we do not know."""


@router.on(Intent("poster.make"))
def make_poster(ctx: Context) -> Answer:
    """A named product, else the last one, else a choice. What is no product may be a word of ours (海报 佣金)."""
    if ctx.argument:
        number = choice(ctx.argument)
        found = catalog.search(ctx.session, ctx.argument if number is None else str(number), SHOWN)
        if len(found) == 1:
            return _order(ctx, found[0])
        if found:
            return _offer(ctx, "poster.which", found)
        return ctx.undecided() if ctx.candidates else _unknown(ctx)
    sku, _ = materials.choice(ctx.session, ctx.speaker.id)
    product = catalog.product(ctx.session, sku) if sku else None
    shelf = catalog.shelf(ctx.session, SHOWN)
    if product is None and not shelf:
        return ctx.say("poster.empty_shop")
    return _order(ctx, product or shelf[0])


@router.on(InState(CHOOSE_PRODUCT))
def choose_product(ctx: Context) -> Answer:
    """A number of the list that was shown, or another name; who asks for something else is answered."""
    sku = _picked(ctx, ctx.place.memory["skus"])
    product = catalog.product(ctx.session, sku) if sku else None
    if product is not None:
        return _order(ctx, product)
    said = ctx.message.text.strip()
    if (ctx.intent or ctx.candidates) and not catalog.search(ctx.session, said, 1):
        return ctx.afresh()
    return ctx.follow("poster.make", said)


@router.on(Intent("poster.style"))
def show_styles(ctx: Context) -> Answer:
    """All styles as numbered thumbnails in one picture; the number picks one."""
    sku, _ = materials.choice(ctx.session, ctx.speaker.id)
    product = catalog.product(ctx.session, sku) if sku else None
    if product is None:
        shelf = catalog.shelf(ctx.session, 1)
        if not shelf:
            return ctx.say("poster.empty_shop")
        product = shelf[0]
    if style := _numbered(ctx.argument, [key for key, _ in ctx.shop.styles]):
        return _order(ctx, product, style)
    materials.order_style_sheet(ctx.session, ctx.speaker.id, ctx.message.account, ctx.message.sender, product.sku,
                                ctx.message.dedupe_key, ctx.now)
    names = [name for _, name in ctx.shop.styles]
    return ctx.ask("poster.styles", CHOOSE_STYLE, {"sku": product.sku}, names=names,
                   late=bool(silence.of(ctx.session, ctx.shop.app_id)))


@router.on(InState(CHOOSE_STYLE))
def choose_style(ctx: Context) -> Answer:
    """The number under a thumbnail, or the style's name."""
    style = _picked(ctx, [key for key, _ in ctx.shop.styles])
    if not style:
        said = ctx.message.text.strip()
        style = next((key for key, name in ctx.shop.styles if said and said in name), "")
    if not style and (ctx.asks_else or ctx.intent == "no"):
        return ctx.afresh()
    product = catalog.product(ctx.session, ctx.place.memory["sku"])
    if not style or product is None:
        return ctx.ask("poster.style_again", CHOOSE_STYLE, ctx.place.memory, count=len(ctx.shop.styles))
    return _order(ctx, product, style)


def _order(ctx: Context, product: catalog.ProductView, style: str = "") -> Answer:
    wanted = style or materials.choice(ctx.session, ctx.speaker.id)[1] or ctx.shop.styles[0][0]
    if wanted not in dict(ctx.shop.styles):
        wanted = ctx.shop.styles[0][0]
    ordered = materials.order_poster(ctx.session, ctx.speaker.id, ctx.message.account, ctx.message.sender, product.sku,
                                     wanted, ctx.message.dedupe_key, ctx.now)
    if ordered.missed:
        notices.overtake(ctx.session, ctx.speaker.id, [materials.MISSED], ctx.now)
    if ordered.media_id:
        return Answer(image(ordered.media_id))
    held = silence.of(ctx.session, ctx.shop.app_id)
    if held or ordered.put_off:
        return ctx.say("poster.waits", title=product.title, direct=held == "sends")
    return ctx.say("poster.making" if ordered.new else "poster.still_making", title=product.title)


def _offer(ctx: Context, key: str, products: list[catalog.ProductView], **facts: object) -> Answer:
    if not products:
        return ctx.say("poster.empty_shop")
    remember = {"skus": [product.sku for product in products]}
    return ctx.ask(key, CHOOSE_PRODUCT, remember, products=products, **facts)


def _unknown(ctx: Context) -> Answer:
    """A product that we do not know: those that are called alike, else the first of the shelf."""
    alike = catalog.alike(ctx.session, ctx.argument, SUGGESTED)
    if alike:
        return _offer(ctx, "poster.alike", alike, wanted=ctx.argument)
    return _offer(ctx, "poster.unknown_product", catalog.shelf(ctx.session, SUGGESTED), wanted=ctx.argument)


def _picked(ctx: Context, options: list[str]) -> str:
    """The option whose number was typed, '' if none was."""
    return _numbered(ctx.message.text.strip(), options)


def _numbered(said: str, options: list[str]) -> str:
    number = choice(said) or 0
    return options[number - 1] if 1 <= number <= len(options) else ""
