"""Recurring looks at what was bought, and the words about it to the people whose money waits."""

from datetime import timedelta

from bot.kit.chores import Chores
from bot.kit.jobs import Claimed, Done, Ended, JobContext, Jobs
from domain.notices import service as notices
from domain.risk import holding, watch
from domain.risk.rules import FREEZE, Rules
from domain.shared.seal import Seal

ORDERS_AT_ONCE = 200
NOTES_AT_ONCE = 200

chores = Chores()
jobs = Jobs()


@chores.every("risk.scan", timedelta(seconds=20))
def scan(ctx: JobContext) -> bool:
    """Look at new orders; a hold follows within seconds of the payment, and days before anything is let go."""
    with ctx.begin() as session:
        return watch.scan(session, ctx.tool(Rules), ctx.tool(Seal), ctx.now(), ORDERS_AT_ONCE) == ORDERS_AT_ONCE


@chores.every("risk.sweep", timedelta(minutes=10))
def sweep(ctx: JobContext) -> bool:
    """Look at the whole recent business of everybody whose customers did something."""
    with ctx.begin() as session:
        return watch.sweep(session, ctx.tool(Rules), ctx.now(), NOTES_AT_ONCE) > 0


@chores.every("risk.settle", timedelta(minutes=5))
def settle(ctx: JobContext) -> bool:
    """Hold, lift and take back what was too much for the transaction of its case."""
    with ctx.begin() as session:
        return holding.settle(session, ctx.now()) > 0


@jobs.on("risk.held")
def held(ctx: JobContext, effect: Claimed) -> Ended:
    """What waits, why, and how to object."""
    fact = effect.payload
    told = {"number": fact["case"], "hours": ctx.tool(Rules).answer_hours}
    if fact["rule"] == FREEZE:
        return _tell(ctx, effect, "risk.frozen", told)
    told |= {"amount_fen": fact["amount_fen"], "reason": ctx.copy.render(f"risk.reason.{fact['rule']}")}
    return _tell(ctx, effect, "risk.held", told)


@jobs.on("risk.decided")
def decided(ctx: JobContext, effect: Claimed) -> Ended:
    """How it ended: everybody who was told of a hold is told of its end."""
    fact = effect.payload
    told: dict[str, object] = {"number": fact["case"]}
    if fact["outcome"] == "confiscated":
        told["reason"] = ctx.copy.render(f"risk.reason.{fact['rule']}")
    return _tell(ctx, effect, f"risk.{fact['outcome']}", told)


def _tell(ctx: JobContext, effect: Claimed, key: str, facts: dict[str, object]) -> Ended:
    assert effect.person_id is not None
    with ctx.begin() as session:
        notices.tell(session, notices.Notice(effect.person_id, "money", effect.key, key, facts), ctx.now())
    return Done()
