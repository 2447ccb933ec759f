"""Month closes and what follows from them: recurring work, and the notices about ladder and team money."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

from bot.kit.chores import Chores
from bot.kit.jobs import Claimed, Done, Ended, JobContext, Jobs
from domain.notices import service as notices
from domain.settlements import adjusting, milestones, service, service_acts
from domain.settlements import queries as settlements
from domain.settlements.rules import Month

AT_ONCE = 500

chores = Chores()
jobs = Jobs()


@chores.every("month.close", timedelta(minutes=10))
def close_month(ctx: JobContext) -> bool:
    """On the 1st from 02:00 on the month before, and whatever month was left open or half closed, the oldest first."""
    now = ctx.now()
    with ctx.begin() as session:
        month = service.due_by_itself(session, now)
    if month is None:
        return False
    service.close_some(lambda work: _in_a_transaction(ctx, work), month, now)
    return True


def _in_a_transaction(ctx: JobContext, work: Callable[[Any], int]) -> int:
    with ctx.begin() as session:
        return work(session)


@chores.every("month.late", timedelta(minutes=5))
def adjust_late(ctx: JobContext) -> bool:
    """What came after a close."""
    with ctx.begin() as session:
        return adjusting.adjust_late(session, ctx.now(), AT_ONCE) == AT_ONCE


@chores.every("month.release", timedelta(minutes=10))
def release(ctx: JobContext) -> bool:
    """Ladder, team and service money whose hold is over."""
    with ctx.begin() as session:
        many = service.release_due(session, ctx.now(), AT_ONCE) == AT_ONCE
    with ctx.begin() as session:
        return service_acts.release_due(session, ctx.now(), AT_ONCE) == AT_ONCE or many


@chores.every("month.tell", timedelta(minutes=1))
def tell_month(ctx: JobContext) -> bool:
    """How much a closed month brought, and from what; to some people at a time."""
    with ctx.begin() as session:
        some = settlements.untold(session, AT_ONCE)
        for one in some:
            parts = settlements.brackets_of(session, one.plan_version, one.direct_fen)
            told = {"month": one.month, "direct_fen": one.direct_fen, "ladder_fen": one.ladder_fen,
                    "team_volume_fen": one.team_volume_fen, "team_fen": one.team_fen,
                    "brackets": [{"rate_bps": part.rate_bps, "volume_fen": part.volume_fen,
                                  "amount_fen": part.amount_fen} for part in parts if part.volume_fen]}
            key = f"month.closed:{one.month}:{one.person_id}"
            notices.tell(session, notices.Notice(one.person_id, "money", key, "money.month_closed", told), ctx.now())
        if some:
            service.told(session, Month.parse(some[-1].month), some[-1].person_id)
        else:
            service.all_told(session)
    return bool(some)


@chores.every("milestones.tend", timedelta(minutes=1))
def tend_milestones(ctx: JobContext) -> bool:
    """What sales reach, what returns revoke, what is final."""
    with ctx.begin() as session:
        return milestones.tend(session, ctx.now(), AT_ONCE) >= AT_ONCE


@jobs.on("month.adjusted")
def adjusted(ctx: JobContext, effect: Claimed) -> Ended:
    """What a late fact changed about a closed month."""
    fact = effect.payload
    told = {name: fact[name] for name in ("month", "kind", "amount_fen", "target_fen", "to_debt_fen")}
    told["under_way_fen"] = fact.get("under_way_fen", 0)
    return _tell(ctx, effect, "money.month_adjusted", told)


@jobs.on("settlement.released")
def released(ctx: JobContext, effect: Claimed) -> Ended:
    """What can be withdrawn now."""
    fact = effect.payload
    return _tell(ctx, effect, "money.month_released",
                 {name: fact[name] for name in ("month", "kind", "to_available_fen", "debt_repaid_fen")})


@jobs.on("milestone.reached")
def milestone_reached(ctx: JobContext, effect: Claimed) -> Ended:
    return _tell(ctx, effect, "money.milestone_reached", effect.payload)


@jobs.on("milestone.final")
def milestone_final(ctx: JobContext, effect: Claimed) -> Ended:
    return _tell(ctx, effect, "money.milestone_final", effect.payload)


@jobs.on("milestone.revoked")
def milestone_revoked(ctx: JobContext, effect: Claimed) -> Ended:
    return _tell(ctx, effect, "money.milestone_revoked", effect.payload)


@jobs.on("service.earned")
def service_earned(ctx: JobContext, effect: Claimed) -> Ended:
    return _tell(ctx, effect, "money.service_earned", effect.payload)


def _tell(ctx: JobContext, effect: Claimed, key: str, facts: dict[str, object]) -> Ended:
    assert effect.person_id is not None
    with ctx.begin() as session:
        notices.tell(session, notices.Notice(effect.person_id, "money", effect.key, key, facts), ctx.now())
    return Done()
