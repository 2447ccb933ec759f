"""The picture of 晒单: drawn, scanned, sent."""

from dataclasses import replace
from urllib.parse import urlencode

from bot.kit.jobs import Claimed, Ended, JobContext, Jobs, Refused
from bot.pictures.cards import CardMaker, ShareRequest
from domain.people import queries as people
from handlers.jobs.pictures import missed, send_picture

jobs = Jobs()


@jobs.on("share.picture")
def picture(ctx: JobContext, effect: Claimed) -> Ended:
    """payload: {account, openid, deed, reward, words, sku}. Its QR is the person's own link to the product."""
    assert effect.person_id is not None
    with ctx.begin() as session:
        person = people.person(session, effect.person_id)
    if person is None:
        return Refused("nobody")
    told = effect.payload
    maker = ctx.tool(CardMaker)
    tones = maker.share_tones()
    request = ShareRequest(
        tone=tones[effect.person_id % len(tones)], shop=ctx.shop.name, name=person.nickname,
        heading=ctx.copy.render("share.heading"), deed=told["deed"], reward=told["reward"], words=told["words"],
        hint=ctx.copy.render("share.hint"),
        url=f"{ctx.shop.public_url}/r/{person.referral_code}?{urlencode({'p': told['sku']})}")
    waited_for = replace(effect, payload=told | {"purpose": "answer"})
    return send_picture(ctx, waited_for, lambda: maker.share(request), "share.failed")


@jobs.lapsed("share.picture")
def picture_missed(ctx: JobContext, effect: Claimed) -> None:
    missed(ctx, effect, "share.missed")
