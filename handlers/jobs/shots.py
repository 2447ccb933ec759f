"""Customers' own pictures: fetched and encoded anew, authors thanked once, posters made with them, old ones gone."""

import hashlib
from dataclasses import replace
from datetime import timedelta

from bot.kit.chores import Chores
from bot.kit.gateway import GatewayError, Outcome
from bot.kit.jobs import Claimed, Done, Ended, JobContext, Jobs, Later, Refused
from bot.pictures import avatar, incoming, qr
from bot.pictures.studio import PosterRequest, Studio
from domain.catalog import queries as catalog
from domain.notices import service as notices
from domain.people import queries as people
from domain.points import service as points
from domain.points.rules import PointRules
from domain.shared.seal import Seal
from domain.shots import queries
from domain.shots import service as shots
from domain.shots.rules import ShotRules
from handlers.jobs.pictures import missed, send_picture
from handlers.jobs.scenes import living_scene

jobs = Jobs()
chores = Chores()

LOST = "lost"
"""The platform does not have the picture (any more)."""
NOT_SENT = {shots.GONE: "shots.gone", shots.RENAMED: "shots.renamed"}
"""Why a poster that was asked for does not come, and what says so."""
CODED = "coded"
"""It shows a QR, so a poster with it could not be scanned for ours."""


@jobs.on("shot.fetch")
def fetch(ctx: JobContext, effect: Claimed) -> Ended:
    """payload: {shot, account, media_id}. Whoever waits in chat goes on talking; only what is wrong is said."""
    number = effect.payload["shot"]
    try:
        data = ctx.gateway(effect.payload["account"]).picture(effect.payload["media_id"])
    except GatewayError as refusal:
        if refusal.result.outcome is Outcome.BACK_OFF and refusal.result.retry_at:
            return Later(f"back_off:{refusal.result.errcode}", ctx.now() + (refusal.result.retry_at - ctx.real_now()))
        return _unfit(ctx, effect, LOST)
    try:
        found = incoming.taken(data)
    except incoming.Unfit as unfit:
        return _unfit(ctx, effect, unfit.reason)
    if qr.holds_code(found.jpeg):
        return _unfit(ctx, effect, CODED)
    digest = bytes.fromhex(ctx.tool(Seal)("shot", hashlib.sha256(data).hexdigest()))
    with ctx.begin() as session:
        what = shots.keep(session, number, found.jpeg, (found.width, found.height), digest, ctx.now())
        if what == "again":
            _say_unfit(ctx, session, effect, "repeated")
    return Done({"what": what, "bytes": len(found.jpeg)})


def _unfit(ctx: JobContext, effect: Claimed, reason: str) -> Ended:
    with ctx.begin() as session:
        if shots.unfit(session, effect.payload["shot"], reason, ctx.now()):
            _say_unfit(ctx, session, effect, reason)
    return Refused(reason)


def _say_unfit(ctx: JobContext, session: object, effect: Claimed, reason: str) -> None:
    assert effect.person_id is not None
    facts = {"number": effect.payload["shot"], "reason": reason}
    notice = notices.Notice(effect.person_id, "answer", f"shot.unfit:{effect.payload['shot']}", "shots.unfit", facts,
                            effect.payload["account"])
    notices.tell(session, notice, ctx.now())  # type: ignore[arg-type]


@jobs.on("shot.approved")
def approved(ctx: JobContext, effect: Claimed) -> Ended:
    """payload: {shot, mark, named}. Thanked by name and rewarded in one transaction, once for each picture: the same
    one, sent again after it was taken back, is thanked for only. ``named``: what was agreed to when it was approved."""
    now, given = ctx.now(), ctx.tool(ShotRules).points
    with ctx.begin() as session:
        found = shots.thank(session, effect.payload["shot"], now)
        if found is None:
            return Refused("thanked_before")
        cause = shots.cause(session, found, effect.payload.get("mark", ""))
        given = given if cause else 0
        if given:
            points.give(session, found.person_id, given, cause, ctx.tool(PointRules).life, now)
        facts = {"name": found.nickname, "number": found.id, "title": found.title, "points": given,
                 "named": effect.payload.get("named", False), "shown": found.state == "approved"}
        notices.tell(session, notices.Notice(found.person_id, "service", f"shot.approved:{found.id}", "shots.approved",
                                             facts, expires_at=now + shots.ANSWER_LIFE), now)
    return Done({"points": given})


@jobs.on("shot.poster")
def poster(ctx: JobContext, effect: Claimed) -> Ended:
    """payload: {account, openid, sku, shot}. Asked once more when it leaves whether the picture may still be shown."""
    with ctx.begin() as session:
        gone = shots.objection(session, effect.payload["shot"])
        credit = "" if gone else queries.one(session, effect.payload["shot"]).credit
    waited_for = replace(effect, payload=effect.payload | {"purpose": "answer", "named": bool(credit)})
    ended = Refused(gone) if gone else send_picture(ctx, waited_for, lambda: _draw(ctx, effect, credit), "shots.failed")
    if isinstance(ended, Done) and effect.person_id is not None:
        with ctx.begin() as session:
            shots.give(session, effect.payload["shot"], effect.person_id, ctx.now())
    if isinstance(ended, Refused) and ended.reason in NOT_SENT:
        missed(ctx, effect, NOT_SENT[ended.reason])
    return ended


@jobs.lapsed("shot.poster")
def poster_missed(ctx: JobContext, effect: Claimed) -> None:
    missed(ctx, effect, "materials.missed")


def _draw(ctx: JobContext, effect: Claimed, credit: str) -> bytes:
    """The poster, its code read back. Raises LookupError when picture, product or person are not there."""
    assert effect.person_id is not None
    told = effect.payload
    scene = living_scene(ctx, told["account"], effect.person_id, told["sku"], told["shot"])
    with ctx.begin() as session:
        shot, picture = queries.one(session, told["shot"]), queries.picture(session, told["shot"])
        product, sharer = catalog.product(session, told["sku"]), people.person(session, effect.person_id)
    if picture is None or product is None or sharer is None:
        raise LookupError(f"no picture {told['shot']}, product {told['sku']} or person {effect.person_id}")
    return ctx.tool(Studio).usage(PosterRequest(
        style="", shop_name=ctx.shop.name, title=product.title, price_fen=product.price_fen, list_price_fen=None,
        points=(), category=product.category, sku=product.sku, product_image=picture, sharer_name=sharer.nickname,
        avatar=avatar.fetch(sharer.avatar_url) if sharer.avatar_url else None, qr_url=scene.url,
        valid_until=ctx.copy.render("poster.valid_until", at=scene.expires_at),
        credit=ctx.copy.render("shots.credit", name=credit),
        words=ctx.copy.render("shots.quote", words=shot.words)))


@chores.every("shots.tidy", timedelta(hours=1))
def tidy(ctx: JobContext) -> bool:
    """What nobody allowed is deleted, and what nobody comes by is shown no more."""
    with ctx.begin() as session:
        shots.drop_unanswered(session, ctx.tool(ShotRules), ctx.now())
    with ctx.begin() as session:
        shots.retire_weak(session, ctx.tool(ShotRules), ctx.now())
    return False
