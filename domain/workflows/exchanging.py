"""兑换: points for a coupon, a free draw or goods, in one transaction; and back when an operator calls it off. Never
commits.

Facts for subscribers (queue ``fact``): ``mall.cancelled`` {title, points, reason}.
"""

from datetime import datetime

from sqlalchemy import text
from sqlalchemy.orm import Session

from domain.audit import service as audit
from domain.audit.rules import Actor
from domain.draws import service as draws
from domain.fulfilment import service as fulfilment
from domain.fulfilment.service import FulfilmentView
from domain.ledger.queries import frozen_among
from domain.mall import service as mall
from domain.mall.service import Taken
from domain.points import service as points
from domain.points.rules import Life
from domain.rewards import service as rewards
from domain.rewards.rules import Offers
from domain.shared.errors import DomainError
from domain.shared.outbox import Effect, put

CALLED_OFF = "exchange_cancelled"
"""Reason of a coupon that was revoked with its exchange."""


def exchange(
    session: Session, person_id: int, item_key: str, cost: int, key: str, offers: Offers, now: datetime
) -> Taken:
    """One item for ``cost`` points, the price that was shown, for the request ``key``; the same request again is the
    same exchange. All or nothing.

    Raises NotFound("person_unknown"), DomainError("mall_points" | "mall_frozen") and what ``mall.service.take`` raises.
    """
    alive = draws.living(session, person_id)
    with session.begin_nested():
        have = points.hold(session, alive, now)
        if (earlier := mall.known(session, key)) is not None:
            return earlier
        if frozen_among(session, {alive}):
            raise DomainError("mall_frozen")
        if have < cost:
            raise DomainError("mall_points", have=have, wanted=cost)
        taken = mall.take(session, alive, item_key, cost, key, now)
        points.spend(session, alive, cost, f"{'coupon' if taken.kind == 'coupon' else 'goods'}:{item_key}",
                     _cause(taken.id), now)
        _give(session, taken, offers, now)
    return taken


def _cause(exchange_id: int) -> str:
    return f"mall:{exchange_id}"


def _give(session: Session, taken: Taken, offers: Offers, now: datetime) -> None:
    cause = _cause(taken.id)
    if taken.kind == "coupon":
        rewards.issue(session, taken.person_id, offers.of(taken.detail), cause, now)
    elif taken.kind == "ticket":
        for n in range(1, taken.amount + 1):
            draws.give_ticket(session, taken.person_id, taken.detail, f"{cause}:{n}", now)
    else:
        fulfilment.ask(session, taken.person_id, cause, taken.title, taken.worth_fen, now)


def cancel(session: Session, exchange_id: int, reason: str, life: Life, actor: Actor, now: datetime) -> Taken:
    """Give the points of an exchange back, where they came from, and take what it gave: as long as that is unused.

    Raises what ``mall.service.cancel`` raises, DomainError("exchange_used") when the coupon or a draw was used,
    DomainError("fulfilment_ended") when the goods have left.
    """
    with session.begin_nested():
        points.hold(session, mall.owner(session, exchange_id), now)
        taken = mall.cancel(session, exchange_id, reason, now)
        _take_back(session, taken, reason, actor, now)
        points.undo(session, _cause(taken.id), taken.points, f"{_cause(taken.id)}:cancelled", life, now)
    audit.record(session, actor, "mall.cancel", f"person:{taken.person_id}",
                 {"exchange": exchange_id, "item": taken.item, "points": taken.points, "reason": reason}, now)
    put(session, [Effect("fact", "mall.cancelled", f"mall.cancelled:{exchange_id}", taken.person_id,
                         {"title": taken.title, "points": taken.points, "reason": reason.strip()})], now)
    return taken


def _take_back(session: Session, taken: Taken, reason: str, actor: Actor, now: datetime) -> None:
    cause = _cause(taken.id)
    if taken.kind == "coupon":
        if not rewards.revoke(session, cause, CALLED_OFF, now):
            raise DomainError("exchange_used", id=taken.id)
    elif taken.kind == "ticket":
        if not draws.take_tickets(session, f"{cause}:"):
            raise DomainError("exchange_used", id=taken.id)
    else:
        waiting = fulfilment.of(session, [cause])[cause]
        fulfilment.call_off(session, waiting.id, reason, actor, now)


def call_off(
    session: Session, fulfilment_id: int, reason: str, life: Life, actor: Actor, now: datetime
) -> FulfilmentView:
    """Something that waits will not be sent: what was given for it goes back; the draw of a prize costs nothing then.

    Raises what ``cancel`` and ``fulfilment.service.call_off`` raise.
    """
    found = fulfilment.one(session, fulfilment_id)
    kind, _, number = found.cause.partition(":")
    if kind == "mall":
        cancel(session, int(number), reason, life, actor, now)
        return fulfilment.one(session, fulfilment_id)
    with session.begin_nested():
        points.hold(session, found.person_id, now)
        done = fulfilment.call_off(session, fulfilment_id, reason, actor, now)
        cost = session.execute(text("select amount from point_spending where idem = :idem"),
                               {"idem": found.cause}).scalar() or 0
        points.undo(session, found.cause, cost, f"{found.cause}:cancelled", life, now)
        put(session, [Effect("fact", "mall.cancelled", f"draw.cancelled:{number}", found.person_id,
                             {"title": found.title, "points": cost, "reason": reason.strip()})], now)
    return done
