"""Posters: make the QR, draw, check, send. Everything slow that the word 海报 sets off."""

from collections.abc import Callable
from dataclasses import replace

from bot.kit.gateway import GatewayError, Outcome
from bot.kit.jobs import LAST_ATTEMPT, Claimed, Ended, JobContext, Jobs, Later, Refused
from bot.pictures import avatar
from bot.pictures.photos import Photos
from bot.pictures.studio import PosterRequest, Studio
from domain.catalog import queries as catalog
from domain.catalog.suggestions import suggest
from domain.materials import service as materials
from domain.notices import service as notices
from domain.notices.rules import Purpose
from domain.people import queries as people
from handlers.jobs.delivery import deliver
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
    account = effect.payload["account"]
    try:
        jpeg = draw(_request(ctx, effect))
        # Before the attempt to send is on record: a worker killed in this long call has sent nothing, so repeat it.
        ctx.gateway(account).upload_image(jpeg)
    except GatewayError as refusal:
        if refusal.result.outcome is Outcome.BACK_OFF and refusal.result.retry_at:
            return Later(f"back_off:{refusal.result.errcode}", ctx.now() + (refusal.result.retry_at - ctx.real_now()))
        _apologise(ctx, effect)
        return Refused(f"{refusal.result.outcome.value}:{refusal.result.errcode}")
    except Exception:
        if effect.attempts >= LAST_ATTEMPT:
            _apologise(ctx, effect)
        raise
    return deliver(ctx, effect, _purpose(effect), account, lambda gateway, openid: gateway.send_image(openid, jpeg))


def _purpose(effect: Claimed) -> Purpose:
    """An answer to whoever asked; what the shop gives unasked waits for a good moment."""
    purpose: Purpose = effect.payload.get("purpose", "answer")
    return purpose


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


def _apologise(ctx: JobContext, effect: Claimed) -> None:
    if _purpose(effect) != "answer":
        return
    assert effect.person_id is not None
    with ctx.begin() as session:
        notices.tell(session, notices.Notice(effect.person_id, "answer", f"poster-failed:{effect.id}",
                                             "poster.failed", {}, effect.payload["account"]), ctx.now())
