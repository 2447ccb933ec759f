"""What a first order opens: the share kit, and both sides' coupon for a friend's order."""

from urllib.parse import urlencode

from bot.kit.jobs import Claimed, Done, Ended, JobContext, Jobs
from domain import welcome
from domain.catalog import queries as catalog
from domain.materials import service as materials
from domain.materials import videos
from domain.materials.kits import Kits
from domain.notices import service as notices
from domain.people import queries as people
from domain.rewards.programme import Programme
from domain.rewards.rules import Offers
from domain.workflows import standings

jobs = Jobs()


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
    _share_kit(ctx, effect, own)
    return Done()


def _share_kit(ctx: JobContext, effect: Claimed, coupon: dict[str, object] | None) -> None:
    """The prompt with lines to share, the person's own link and a video if there is one; their poster follows."""
    assert effect.person_id is not None
    sku, title = effect.payload.get("sku", ""), effect.payload["title"]
    lines, kit_video = ctx.tool(Kits).of(sku, effect.payload.get("category", ""), title)
    with ctx.begin() as session:
        person = people.person(session, effect.person_id)
        product = catalog.product(session, sku)
        video = videos.choose(session, sku, product.video_url if product else "", kit_video)
    link = f"{ctx.shop.public_url}/r/{person.referral_code}" if person is not None else ""
    if product is not None and link:
        link += f"?{urlencode({'p': sku})}"
    _tell(ctx, effect, "share.after_first_order",
          {"shop": ctx.shop.name, "product": title, "coupon": coupon, "offer": _offer(ctx, effect.person_id),
           "lines": list(lines), "video": video, "link": link, "poster": product is not None})
    account = next(iter(ctx.app_ids), "")
    if product is not None and account:
        with ctx.begin() as session:
            materials.give_poster(session, effect.person_id, account, sku, ctx.shop.styles[0][0], effect.key, ctx.now())


def _offer(ctx: JobContext, person_id: int) -> str:
    """What the next order gives, '' when the programme has no step for it, or they have bought again already."""
    with ctx.begin() as session:
        found = standings.counted(session, person_id, ctx.tool(Programme), ctx.now())
    step = found.next
    if step is None or step.order != 2 or step.within_days is None:
        return ""
    return ctx.copy.render("programme.offer", days=step.within_days, title=step.title)


def _tell(ctx: JobContext, effect: Claimed, key: str, facts: dict[str, object]) -> None:
    assert effect.person_id is not None
    with ctx.begin() as session:
        notices.tell(session, notices.Notice(effect.person_id, "service", effect.key, key, facts), ctx.now())
