"""What a first order opens: promoter rights, the prompt to share, and both sides' coupon for a friend's order."""

from bot.kit.jobs import Claimed, Done, Ended, JobContext, Jobs
from domain import welcome
from domain.notices import service as notices
from domain.rewards import service as rewards
from domain.rewards.rules import FIRST_ORDER_SHARE, Offers
from domain.roles.rules import Titles

jobs = Jobs()


@jobs.on("role.granted")
def promoted(ctx: JobContext, effect: Claimed) -> Ended:
    """The new title, said once for each grant."""
    _tell(ctx, effect, f"role.granted.{effect.payload['role']}",
          {"title": ctx.tool(Titles).of(effect.payload["role"])})
    return Done()


@jobs.on("role.revoked")
def demoted(ctx: JobContext, effect: Claimed) -> Ended:
    """Rights and coupons that a returned order had opened close again, with the reason."""
    assert effect.person_id is not None
    if effect.payload["role"] == "promoter":
        with ctx.begin() as session:
            rewards.take_back_first_order(session, effect.person_id, ctx.tool(Offers).of(FIRST_ORDER_SHARE), ctx.now())
    _tell(ctx, effect, "role.revoked", {"title": ctx.tool(Titles).of(effect.payload["role"])})
    return Done()


@jobs.on("order.first_completed")
def first_order(ctx: JobContext, effect: Claimed) -> Ended:
    """The prompt after the first order, and the coupon for both sides if a friend had brought the buyer."""
    assert effect.person_id is not None
    own: dict[str, object] | None = None
    with ctx.begin() as session:
        for coupon in welcome.reward_first_order(session, effect.person_id, ctx.tool(Offers), ctx.now()):
            facts: dict[str, object] = {"title": coupon.title, "code": coupon.code,
                                        "until": coupon.valid_until.isoformat()}
            if coupon.person_id == effect.person_id:
                own = facts
            else:
                notices.tell(session, notices.Notice(coupon.person_id, "service", f"coupon:{coupon.code}",
                                                     "coupon.first_order_sharer", facts), ctx.now())
    _tell(ctx, effect, "share.after_first_order",
          {"shop": ctx.shop.name, "product": effect.payload["title"], "coupon": own})
    return Done()


def _tell(ctx: JobContext, effect: Claimed, key: str, facts: dict[str, object]) -> None:
    assert effect.person_id is not None
    with ctx.begin() as session:
        notices.tell(session, notices.Notice(effect.person_id, "service", effect.key, key, facts), ctx.now())
