"""The facts that booking puts into the outbox (queue ``fact``): kinds, keys and payloads in one place. What is earned
is none of them: booking leaves it as news (``domain.commissions.earned``)."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import or_, select
from sqlalchemy.orm import Session

from domain.ledger import queries as ledger
from domain.orders.models import CustomerOrder
from domain.orders.rules import OrderState
from domain.shared.outbox import Effect
from domain.shared.records import record
from domain.workflows.desk import Deal, Work


@record
class Taken:
    """What a refund took of one deal: ``parts`` says from where (pending, frozen, available, debt), in fen."""

    deal: Deal
    fen: int
    parts: dict[str, int]


def _about(work: Work) -> dict[str, Any]:
    order = work.order
    return {
        "order_id": order.id, "channel": order.channel, "order_no": order.order_no, "buyer_id": order.buyer_id,
        "title": order.lines[0].title, "lines": len(order.lines), "paid_fen": order.paid_fen,
    }


def clawed_back(work: Work, cause: str, taken: Sequence[Taken]) -> list[Effect]:
    """``commission.clawed_back``, one per refund (or closing) and beneficiary."""
    facts = []
    for beneficiary in sorted({one.deal.beneficiary_id for one in taken}):
        mine = [one for one in taken if one.deal.beneficiary_id == beneficiary]
        places = ("pending", "frozen", "available", "debt")
        parts = {kind: sum(one.parts.get(kind, 0) for one in mine) for kind in places}
        left = sum(deal.left_fen for deal in work.deals if deal.beneficiary_id == beneficiary)
        payload = _about(work) | {
            "beneficiary_id": beneficiary, "cause": cause, "amount_fen": sum(one.fen for one in mine),
            "left_fen": left, "from_pending_fen": parts["pending"], "from_frozen_fen": parts["frozen"],
            "from_available_fen": parts["available"], "to_debt_fen": parts["debt"],
        }
        key = f"commission.clawed_back:{work.order.id}:{cause}:{beneficiary}"
        facts.append(Effect("fact", "commission.clawed_back", key, beneficiary, payload))
    return facts


def say_what_is_under_way(session: Session, facts: Sequence[Effect]) -> None:
    """Of what became a debt, how much has not been paid out yet (``under_way_fen``): it lies in a withdrawal that is
    open now, and is called back for it."""
    if not facts:
        return
    debts = [fact for fact in facts if fact.kind == "commission.clawed_back" and fact.payload["to_debt_fen"]]
    found = ledger.under_way(session, [(fact.payload["beneficiary_id"], fact.payload["to_debt_fen"])
                                       for fact in debts])
    for fact, fen in zip(debts, found, strict=True):
        fact.payload["under_way_fen"] = fen


def released(work: Work, beneficiary: int, first_deal: int, amount_fen: int, repaid_fen: int) -> Effect:
    """``commission.released``, one per order and beneficiary."""
    payload = _about(work) | {
        "beneficiary_id": beneficiary, "amount_fen": amount_fen, "to_available_fen": amount_fen - repaid_fen,
        "debt_repaid_fen": repaid_fen,
    }
    key = f"commission.released:{work.order.id}:{beneficiary}:{first_deal}"
    return Effect("fact", "commission.released", key, beneficiary, payload)


def first_completed(session: Session, orders: Sequence[OrderState]) -> list[Effect]:
    """``order.first_completed``: for buyers of whom no earlier order of goods counts as received; ``orders`` hold some.
    The key makes it once ever."""
    buyers = {order.buyer_id for order in orders}
    now_done = {order.id for order in orders}
    before = set(session.scalars(
        select(CustomerOrder.buyer_id).where(
            CustomerOrder.buyer_id.in_(buyers), CustomerOrder.completed_at.is_not(None),
            CustomerOrder.id.not_in(now_done), or_(
                CustomerOrder.card_fen.is_(None),
                CustomerOrder.refunded_fen + CustomerOrder.card_fen < CustomerOrder.paid_fen),
        )
    ))
    return [
        Effect("fact", "order.first_completed", f"order.first_completed:{order.buyer_id}", order.buyer_id, {
            "order_id": order.id, "channel": order.channel, "order_no": order.order_no, "buyer_id": order.buyer_id,
            "title": order.goods[0].title, "sku": order.goods[0].sku, "category": order.goods[0].category,
            "paid_fen": order.paid_fen,
        })
        for order in sorted(orders, key=lambda order: (order.paid_at, order.id)) if order.buyer_id not in before
    ]
