"""Money facts become notices: earned, taken back, released. One notice a fact; the ledger has it all anyway."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

import structlog

from bot.kit.jobs import Claimed, Done, Ended, JobContext, Jobs, Taken
from domain.commissions import earned as earnings
from domain.commissions.earned import KIND as EARNED
from domain.commissions.earned import Earned
from domain.journeys import service as journeys
from domain.notices import service as notices
from domain.people import queries as people
from domain.shared import outbox

TOGETHER = 500
"""News of so many orders are told in one transaction."""

jobs = Jobs()
log = structlog.get_logger(__name__)


@jobs.on_news(EARNED)
def tell_news(ctx: JobContext) -> Taken:
    """What was earned becomes notices and what journeys hear, all that is taken or nothing. If that fails it is done
    one by one: what fails alone is a fact of its own then, tried again and given up like any other."""
    try:
        with ctx.begin() as session:
            news = earnings.take(session, TOGETHER)
            _hand_on(session, news.earned, ctx.now(), news.heard)
    except Exception:  # the edge: whatever it was, it must not hold up the others
        log.exception("earned.not_told_together")
        with ctx.begin() as session:
            news = earnings.take(session, TOGETHER)
            for one in news.earned:
                _hand_on_alone(session, one, ctx.now(), news.heard)
    return Taken(news.orders, len(news.earned))


def _hand_on(session: Any, earned: Sequence[Earned], now: datetime, heard: bool) -> None:
    notices.tell_all(session, [_notice(one.person_id, one.key, one.payload, one.buyer) for one in earned], now)
    if heard:
        journeys.happened(session, [journeys.fact_event(EARNED, one.key, one.person_id, one.payload, one.at)
                                    for one in earned], now)


def _hand_on_alone(session: Any, one: Earned, now: datetime, heard: bool) -> None:
    try:
        with session.begin_nested():
            _hand_on(session, [one], now, heard)
    except Exception:  # the edge
        log.exception("earned.not_told", key=one.key)
        outbox.put(session, [outbox.Effect("fact", EARNED, one.key, one.person_id, one.payload)], now)


@jobs.on(EARNED)
def earned(ctx: JobContext, effect: Claimed) -> Ended:
    """As a fact of the outbox, if it could not be told with the news, or was put before there were news."""
    assert effect.person_id is not None
    with ctx.begin() as session:
        buyer = people.person(session, effect.payload["buyer_id"])
        told = _notice(effect.person_id, effect.key, effect.payload, buyer.nickname if buyer else "")
        notices.tell(session, told, ctx.now())
    return Done()


def _notice(person_id: int, key: str, fact: dict[str, Any], buyer: str) -> notices.Notice:
    """What was earned and why: by whose order, on which amount, at which rate."""
    told = {name: fact[name] for name in ("amount_fen", "title", "order_no")} | {"buyer": buyer} | _of_lines(fact)
    if fact.get("held"):
        kept = {name: told[name] for name in ("amount_fen", "buyer", "title", "lines", "order_no")}
        return notices.Notice(person_id, "money", key, "money.earned_held", kept)
    told |= {"level": fact["level"], "rate_bps": fact["rate_bps"]}
    return notices.Notice(person_id, "money", key, "money.earned", told)


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
