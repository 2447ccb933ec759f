"""Posters: make the QR, draw, check, send. Everything slow that the word 海报 sets off."""

from collections.abc import Callable
from dataclasses import replace

from bot.kit.jobs import Claimed, Ended, JobContext, Jobs, Refused
from bot.pictures import avatar
from bot.pictures.photos import Photos
from bot.pictures.studio import PosterRequest, Studio
from domain.catalog import queries as catalog
from domain.catalog.suggestions import suggest
from domain.materials import service as materials
from domain.people import queries as people
from handlers.jobs.pictures import missed, send_picture
from handlers.jobs.scenes import living_scene

jobs = Jobs()

Draw = Callable[[PosterRequest], bytes]


@jobs.on("poster.make")
def make_poster(ctx: JobContext, effect: Claimed) -> Ended:
    """payload: {account, openid, sku, style, purpose?}. One picture in the chat of whoever asked, or is given it."""
    return _make(ctx, effect, lambda request: ctx.tool(Studio).poster(request))


@jobs.on("poster.sheet")
def make_style_sheet(ctx: JobContext, effect: Claimed) -> Ended:
    """payload: {account, openid, sku}. All styles as numbered thumbnails in one picture."""
    return _make(ctx, effect, lambda request: ctx.tool(Studio).contact_sheet(request))


@jobs.on("picture.poster")
def poster_of_a_journey(ctx: JobContext, effect: Claimed) -> Ended:
    """payload: {purpose, guard, event: {sku?}}. A journey gives somebody their poster: of the product that began it,
    else of the one they shared last, else of what suits their taste."""
    assert effect.person_id is not None
    sku = effect.payload["event"].get("sku", "")
    with ctx.begin() as session:
        sku = sku or materials.choice(session, effect.person_id)[0]
        sku = sku or next((one.sku for one in suggest(session, [effect.person_id], ctx.now(), 1)[effect.person_id]), "")
        follows = next((name for name, app_id in sorted(ctx.app_ids.items())
                        if people.openid_of(session, effect.person_id, app_id)), "")
        known = catalog.product(session, sku) is not None
    if not follows or not known:
        return Refused("unfollowed" if known else "no_product")
    return make_poster(ctx, replace(effect, payload=effect.payload | {
        "account": follows, "sku": sku, "style": ctx.tool(Studio).styles()[0].key}))


def _make(ctx: JobContext, effect: Claimed, draw: Draw) -> Ended:
    """An answer to whoever asked; what the shop gives unasked (``purpose``) waits for a good moment."""
    return send_picture(ctx, effect, lambda: draw(_request(ctx, effect)), "poster.failed")


@jobs.lapsed("poster.make")
def poster_missed(ctx: JobContext, effect: Claimed) -> None:
    with ctx.begin() as session:
        product = catalog.product(session, effect.payload["sku"])
    missed(ctx, effect, materials.MISSED, title=product.title if product else "")


@jobs.lapsed("poster.sheet")
def styles_missed(ctx: JobContext, effect: Claimed) -> None:
    missed(ctx, effect, "poster.styles_missed")


def _request(ctx: JobContext, effect: Claimed) -> PosterRequest:
    assert effect.person_id is not None
    payload = effect.payload
    scene = living_scene(ctx, payload["account"], effect.person_id, payload["sku"])
    with ctx.begin() as session:
        product = catalog.product(session, payload["sku"])
        sharer = people.person(session, effect.person_id)
    if product is None or sharer is None:
        raise LookupError(f"no product {payload['sku']} or no person {effect.person_id}")
    return PosterRequest(
        style=payload.get("style", ""), shop_name=ctx.shop.name, title=product.title, price_fen=product.price_fen,
        list_price_fen=None, points=(), category=product.category, sku=product.sku,
        product_image=ctx.tool(Photos).get(product.image_url),
        sharer_name=sharer.nickname, avatar=avatar.fetch(sharer.avatar_url) if sharer.avatar_url else None,
        qr_url=scene.url, valid_until=ctx.copy.render("poster.valid_until", at=scene.expires_at),
    )
