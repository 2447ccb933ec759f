"""Red packets: gifts go on into WeChat change, and their people are told what to tap or where the money is."""

from bot.kit.jobs import Claimed, Done, Ended, JobContext, Jobs, Refused
from bot.kit.links import Links
from bot.kit.pay import PayGateways
from domain.notices import service as notices
from domain.payouts import queries
from domain.payouts.queries import WithdrawalView
from domain.payouts.rules import PacketRules
from domain.workflows import giving, taking_back
from handlers.jobs.payouts import LINK_LASTS, said_of

jobs = Jobs()


@jobs.on("packet.send")
def send(ctx: JobContext, effect: Claimed) -> Ended:
    """payload: {gifts: [[ladder, journal key]]}. What cannot go on stays in the wallet, and the outcome says why."""
    assert effect.person_id is not None
    doors = ctx.tool(PayGateways).gift_doors()
    with ctx.begin() as session:
        done = giving.pass_on(session, effect.person_id, effect.key, effect.payload["gifts"], doors,
                              ctx.tool(PacketRules), lambda: ctx.copy.render("packet.remark", shop=ctx.shop.name),
                              ctx.now())
    return Refused(done) if isinstance(done, str) else Done({"withdrawal_id": done})


@jobs.on("packet.confirm")
def waits(ctx: JobContext, effect: Claimed) -> Ended:
    """It can be received now. Worth saying as long as it can."""
    found = _of(ctx, effect)
    if not found.confirmable_fen:
        return Refused("not_waiting")
    page = ctx.tool(Links).to("withdrawals", found.person_id, str(found.id), int(LINK_LASTS.total_seconds()))
    with ctx.begin() as session:
        notices.tell(session, notices.Notice(found.person_id, "money", effect.key, "packet.confirm",
                                             {"fen": found.confirmable_fen, "page": page},
                                             expires_at=effect.created_at + LINK_LASTS), ctx.now())
    return Done()


@jobs.on("packet.paid")
def received(ctx: JobContext, effect: Claimed) -> Ended:
    """WeChat itself tells them, under their thumb: a word of ours would be one too many."""
    with ctx.begin() as session:
        taking_back.go_on(session, _of(ctx, effect).person_id, ctx.now())
    return Done()


@jobs.on("packet.expired")
@jobs.on("packet.failed")
@jobs.on("packet.cancelled")
def back(ctx: JobContext, effect: Claimed) -> Ended:
    """It is in the wallet again, where two operators may wait for it: who hears of that need not hear of this. What
    went with it by chance leaves again by itself."""
    found = _of(ctx, effect)
    with ctx.begin() as session:
        taking_back.go_on(session, found.person_id, ctx.now())
        if taking_back.was_for(session, found.id):
            taking_back.send_rest(session, found.id, found.person_id, ctx.now())
            return Done()
        told = {"fen": found.gross_fen, "repaid_fen": queries.repaid(session, found.id),
                "reason": said_of(ctx.copy, found.reason)}
        notices.tell(session, notices.Notice(found.person_id, "money", effect.key, "packet.back", told), ctx.now())
    return Done()


@jobs.on("gift.taken")
def taken(ctx: JobContext, effect: Claimed) -> Ended:
    """payload: {title, fen, owed, rest}. It was given by mistake, and is taken back."""
    assert effect.person_id is not None
    facts = {name: effect.payload[name] for name in ("title", "fen", "owed", "rest")}
    with ctx.begin() as session:
        notices.tell(session, notices.Notice(effect.person_id, "money", effect.key, "packet.taken", facts), ctx.now())
    return Done()


def _of(ctx: JobContext, effect: Claimed) -> WithdrawalView:
    with ctx.begin() as session:
        found = queries.by_id(session, effect.payload["withdrawal_id"])
    assert found is not None
    return found
