"""Money facts become notices: earned, taken back, released. One notice a fact; the ledger has it all anyway."""

from typing import Any

from bot.kit.jobs import Claimed, Done, Ended, JobContext, Jobs
from domain.notices import service as notices
from domain.people import queries as people

jobs = Jobs()


@jobs.on("commission.accrued")
def earned(ctx: JobContext, effect: Claimed) -> Ended:
    """What was earned and why: by whose order, on which amount, at which rate."""
    fact = effect.payload
    with ctx.begin() as session:
        buyer = people.person(session, fact["buyer_id"])
        told = {
            "amount_fen": fact["amount_fen"], "level": fact["level"], "buyer": buyer.nickname if buyer else "",
            "title": fact["title"], "rate_bps": fact["rate_bps"], "order_no": fact["order_no"], **_of_lines(fact),
        }
        if fact.get("held"):
            kept = {name: told[name] for name in ("amount_fen", "buyer", "title", "lines", "order_no")}
            _tell(ctx, session, effect, "money.earned_held", kept)
        else:
            _tell(ctx, session, effect, "money.earned", told)
    return Done()


def _of_lines(fact: dict[str, Any]) -> dict[str, object]:
    """What is said of the lines that earned. Facts that were put before migration 0041 tell each of them."""
    parts = fact["parts"]
    if isinstance(parts, int):
        return {"lines": parts, **{name: fact[name] for name in ("base_fen", "phase", "phase_bps", "boost_bps")}}
    return {"lines": len(parts), "base_fen": sum(part["base_fen"] for part in parts),
            **{name: parts[0][name] for name in ("phase", "phase_bps", "boost_bps")}}


@jobs.on("commission.clawed_back")
def taken_back(ctx: JobContext, effect: Claimed) -> Ended:
    """What a refund took, what is left of the order, and what became a debt."""
    fact = effect.payload
    told = {name: fact[name] for name in ("amount_fen", "left_fen", "to_debt_fen", "title", "order_no")}
    told["under_way_fen"] = fact.get("under_way_fen", 0)
    with ctx.begin() as session:
        _tell(ctx, session, effect, "money.closed" if fact["cause"] == "closed" else "money.taken_back", told)
    return Done()


@jobs.on("commission.released")
def released(ctx: JobContext, effect: Claimed) -> Ended:
    """What can be withdrawn now."""
    fact = effect.payload
    told = {name: fact[name] for name in ("to_available_fen", "debt_repaid_fen", "title", "order_no")}
    with ctx.begin() as session:
        _tell(ctx, session, effect, "money.released", told)
    return Done()


def _tell(ctx: JobContext, session: Any, effect: Claimed, key: str, facts: dict[str, object]) -> None:
    assert effect.person_id is not None
    notices.tell(session, notices.Notice(effect.person_id, "money", effect.key, key, facts), ctx.now())
