"""What a journey gives leaves it as an effect ``grant.<what>``; here it becomes a coupon, points, money or a tag.

Payload: person_id, what (``coupon:<offer>``, ``points``, ``red_packet``, ``ticket:<draw>``, ``tag:<name>``), amount,
cause. A cause gives once, however often its effect is carried out.
"""

from bot.kit.jobs import Claimed, Done, Ended, JobContext, Jobs, Refused
from domain.draws import service as draws
from domain.insight import service as insight
from domain.points import service as points
from domain.points.rules import PointRules
from domain.rewards import cash
from domain.rewards import service as rewards
from domain.rewards.rules import Offers
from domain.shared.errors import NotFound

jobs = Jobs()

MOST_FEN = 20_000
"""More than 200 yuan at once is no present but a mistake in a document."""


@jobs.on("grant.coupon")
def give_coupon(ctx: JobContext, effect: Claimed) -> Ended:
    """One coupon of the offer for each of ``amount``."""
    assert effect.person_id is not None
    kind = _detail(effect)
    offer = ctx.tool(Offers).by_kind.get(kind)
    if offer is None:
        return Refused(f"no offer {kind}")
    with ctx.begin() as session:
        codes = [rewards.issue(session, effect.person_id, offer, f"{effect.payload['cause']}:{n}", ctx.now()).code
                 for n in range(1, effect.payload["amount"] + 1)]
    return Done({"codes": codes})


@jobs.on("grant.points")
def give_points(ctx: JobContext, effect: Claimed) -> Ended:
    """``amount`` points, to be spent at once."""
    assert effect.person_id is not None
    amount = effect.payload["amount"]
    with ctx.begin() as session:
        fresh = points.give(session, effect.person_id, amount, effect.payload["cause"], ctx.tool(PointRules).life,
                            ctx.now())
    return Done({"points": amount if fresh else 0})


@jobs.on("grant.red_packet")
def give_money(ctx: JobContext, effect: Claimed) -> Ended:
    """``amount`` fen into the wallet, to be withdrawn like any income; a debt is repaid first. docs/adr/0020."""
    assert effect.person_id is not None
    fen = effect.payload["amount"]
    if fen > MOST_FEN:
        return Refused(f"{fen} fen are more than a present may be")
    with ctx.begin() as session:
        fresh = cash.give(session, effect.person_id, fen, effect.payload["cause"], effect.id, ctx.now(),
                          effect.payload.get("title", ""))
    return Done({"fen": fen if fresh else 0})


@jobs.on("grant.ticket")
def give_tickets(ctx: JobContext, effect: Claimed) -> Ended:
    """``amount`` free draws of the campaign ``ticket:<key>``; none when it is over."""
    assert effect.person_id is not None
    try:
        with ctx.begin() as session:
            fresh = [draws.give_ticket(session, effect.person_id, _detail(effect), f"{effect.payload['cause']}:{n}",
                                       ctx.now()) for n in range(1, effect.payload["amount"] + 1)]
    except NotFound:
        return Refused(f"no open draw {_detail(effect)}")
    return Done({"tickets": sum(fresh)})


@jobs.on("grant.tag")
def give_tag(ctx: JobContext, effect: Claimed) -> Ended:
    return _tag(ctx, effect, _detail(effect))


@jobs.on("tag.add")
def add_tag(ctx: JobContext, effect: Claimed) -> Ended:
    return _tag(ctx, effect, effect.payload["tag"])


@jobs.on("tag.remove")
def remove_tag(ctx: JobContext, effect: Claimed) -> Ended:
    assert effect.person_id is not None
    with ctx.begin() as session:
        gone = insight.untag(session, effect.person_id, effect.payload["tag"], "journey", ctx.now())
    return Done({"removed": gone})


def _tag(ctx: JobContext, effect: Claimed, name: str) -> Ended:
    assert effect.person_id is not None
    if not name:
        return Refused("a tag needs a name")
    with ctx.begin() as session:
        fresh = insight.tag(session, effect.person_id, name, "journey", ctx.now())
    return Done({"added": fresh})


def _detail(effect: Claimed) -> str:
    return str(effect.payload["what"]).partition(":")[2]
