"""Rewards for coming back: counted within seconds of an order, final when nothing can be returned, told once."""

from datetime import time, timedelta
from typing import Any

from bot.kit.chores import Chores
from bot.kit.jobs import Claimed, Done, Ended, JobContext, Jobs, Refused
from domain.memberships.rules import Cards
from domain.notices import service as notices
from domain.people import queries as people
from domain.points.rules import PointRules
from domain.rewards import queries
from domain.rewards import service as rewards
from domain.rewards.programme import Programme
from domain.rewards.rules import Offers
from domain.workflows import programme

jobs = Jobs()
chores = Chores()

STALE, DUE, BORN = 300, 300, 500
WORTH_SAYING = timedelta(days=3)


@chores.every("programme.refresh", timedelta(seconds=3))
def refresh(ctx: JobContext) -> bool:
    """Whose orders changed."""
    with ctx.begin() as session:
        return programme.refresh(session, ctx.tool(Programme), ctx.tool(Offers), ctx.tool(PointRules).life,
                                 ctx.tool(Cards), ctx.now(), STALE) == STALE


@chores.every("programme.turn", timedelta(minutes=5))
def turn(ctx: JobContext) -> bool:
    """Return windows end."""
    with ctx.begin() as session:
        return programme.turn(session, ctx.tool(Programme), ctx.tool(Offers), ctx.tool(PointRules).life, ctx.now(),
                              DUE) == DUE


@chores.daily("programme.birthdays", at=time(9, 30))
def birthdays(ctx: JobContext) -> bool:
    """Members' birthdays, at an hour at which one likes to hear of it."""
    with ctx.begin() as session:
        return programme.birthdays(session, ctx.tool(Offers), ctx.now(), BORN) == BORN


@chores.every("coupons.expire", timedelta(hours=1))
def expire(ctx: JobContext) -> bool:
    """Coupons whose time is over are written down as such."""
    with ctx.begin() as session:
        rewards.expire(session, ctx.now())
    return False


@jobs.on("reward.unlocked")
def unlocked(ctx: JobContext, effect: Claimed) -> Ended:
    return _tell(ctx, effect, "programme.unlocked", ("items", "until"))


@jobs.on("reward.final")
def final(ctx: JobContext, effect: Claimed) -> Ended:
    return _tell(ctx, effect, "programme.final", ("items",))


@jobs.on("reward.revoked")
def revoked(ctx: JobContext, effect: Claimed) -> Ended:
    return _tell(ctx, effect, "programme.revoked", ("items",))


@jobs.on("reward.birthday")
def birthday(ctx: JobContext, effect: Claimed) -> Ended:
    return _tell(ctx, effect, "programme.birthday", ("title", "code", "until"), {"shop": ctx.shop.name})


@jobs.on("coupon.merged")
def one_of_two(ctx: JobContext, effect: Claimed) -> Ended:
    """payload: {stays}. Somebody had two of a coupon that is given once; what they keep, as it is now."""
    assert effect.person_id is not None
    with ctx.begin() as session:
        stays = queries.coupon(session, effect.payload["stays"], ctx.now())
        if stays is None:
            return Refused("gone")
        facts = {"title": stays.title, "code": stays.code if stays.state == "issued" else "",
                 "until": stays.valid_until.isoformat(), "used": stays.state == "used"}
        notices.tell(session, notices.Notice(effect.person_id, "service", effect.key, "programme.one_of_two", facts,
                                             expires_at=effect.created_at + WORTH_SAYING), ctx.now())
    return Done()


def _tell(
    ctx: JobContext, effect: Claimed, key: str, names: tuple[str, ...], more: dict[str, object] | None = None
) -> Ended:
    assert effect.person_id is not None
    facts = {name: effect.payload[name] for name in names} | (more or {})
    with ctx.begin() as session:
        if "items" in facts:
            facts["items"] = [_item(session, effect.person_id, one) for one in facts["items"]]
        notices.tell(session, notices.Notice(effect.person_id, "service", effect.key, key, facts), ctx.now())
    return Done()


def _item(session: Any, person_id: int, told: dict[str, Any]) -> dict[str, Any]:
    """A reward as it is listed: what a friend's orders opened names the friend, as two of them may open the same.
    Facts that were put before this was told name nobody."""
    item = {name: value for name, value in told.items() if name != "buyer_id"}
    buyer_id = told.get("buyer_id", person_id)
    buyer = people.person(session, buyer_id) if buyer_id != person_id else None
    return item | {"friend": buyer.nickname} if buyer and buyer.nickname else item
