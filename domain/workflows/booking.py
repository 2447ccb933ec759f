"""From facts to money: strikes the deals of new orders, claws back for refunds, and stores a batch in one call."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from operator import attrgetter
from typing import Any

import msgspec
from msgspec.structs import astuple
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session

from domain.commissions.holds import mark_held
from domain.commissions.plans import Plan
from domain.commissions.rules import sold_by, strike, taken_back
from domain.commissions.service import PlanBook
from domain.ledger import service as ledger
from domain.ledger.rules import EXPENSE_BY_LEVEL, Entry, Move, Purse, Side, person, platform, written
from domain.orders.events import refs_of
from domain.orders.rules import OrderState, Return, Verdict
from domain.people import service as people
from domain.people.queries import survivors
from domain.referrals import service as referrals
from domain.referrals.rules import Touch
from domain.roles import repurchase
from domain.roles import service as roles
from domain.shared.clock import business_date
from domain.shared.errors import Conflict
from domain.shared.outbox import Effect, put
from domain.shared.records import record
from domain.shared.rows import maybe
from domain.shared.trips import Closing
from domain.workflows import notes
from domain.workflows.desk import (
    DEALS,
    FACTS,
    LINES,
    ORDERS,
    VERDICTS,
    Deal,
    Work,
    changed_row,
    deal_change,
    deal_row,
    line_row,
    order_row,
)
from domain.workflows.heard import told_journeys
from domain.workflows.merging import MOVERS
from domain.workflows.standing import Standing, standing_at

LEADER_LEVEL = 2
"""So far up people are looked for whatever the plan pays: who brought the seller is frozen with the order."""

_EXPENSE = {level: platform(kind) for level, kind in EXPENSE_BY_LEVEL.items()}

_APPLY = """
    select money_apply(%(at)s, %(orders)s::new_order[], %(lines)s::new_line[], %(deals)s::new_deal[],
                       %(journals)s::new_journal[], %(postings)s::new_posting[], %(facts)s::new_fact[],
                       %(payloads)s::jsonb, %(verdicts)s::new_verdict[], %(changes)s::jsonb)
"""


@dataclass(slots=True)
class Ledgered:
    """What a batch will book and tell."""

    entries: list[Entry] = field(default_factory=list)
    facts: list[Effect] = field(default_factory=list)


@record
class Met:
    """What is known of people before an order is struck: by subject who stood above its buyer, and which buyers come
    back so often that a role hangs on it (their roles are held until the transaction ends)."""

    standings: dict[str, Standing]
    regulars: set[int]


def book(
    session: Session, works: Sequence[Work], verdicts: Sequence[Verdict], plans: PlanBook, pepper: bytes, now: datetime,
    met: Met | None = None, listens: Collection[str] | None = None
) -> Closing | None:
    """Everything that the folded facts of a batch mean. What is left to do is one statement, which may travel with the
    commit; None when all is written already. ``met`` saves asking for people, ``listens`` telling
    journeys what none of them cares about. Raises what the database refuses."""
    fresh = [work for work in works if work.folded.is_new]
    if met is not None:
        regulars = met.regulars
        _recognise(session, fresh, met.standings, plans, now)
    else:
        _resolve(session, fresh, plans, pepper, now)
        regulars = repurchase.lock_coming(session, {work.order.buyer_id for work in works if not work.folded.is_new},
                                          [work.order.buyer_id for work in fresh])
        _meet(session, fresh, plans, now)
    for work in works:
        schedule(work, plans.at(work.order.paid_at))
    out = Ledgered()
    for work in fresh:
        accrue(work, out)
    back = [work for work in works if work.folded.returns or work.folded.closed_now]
    purses = _lock(session, sorted(_clawed_people(works, back)))
    for work in back:
        claw_back(work, purses, out)
    notes.say_what_is_under_way(session, out.facts)
    closing = store(works, verdicts, out, now, listens)
    if not (regulars or any(work.order.completed_at or work.was_completed for work in works)
            or any(deal.held_at for work in works for deal in work.deals)):
        return closing
    settle(session, closing)
    mark_held(session, [
        (work.order.id, deal.beneficiary_id, deal.held_at) for work in works for deal in work.deals
        if deal.held_at and not deal.id
    ])
    tell_roles(session, works, regulars, now)
    return None


def _resolve(session: Session, fresh: Sequence[Work], plans: PlanBook, pepper: bytes, now: datetime) -> None:
    """Who bought, made known if need be; sharers whose code an order carries become referrers."""
    if not fresh:
        return
    groups = [refs_of(work.order.buyer) for work in fresh]
    buyers = people.resolve_many(session, groups, now, pepper=pepper, movers=MOVERS)
    for work, buyer in zip(fresh, buyers, strict=True):
        work.order.buyer_id = buyer
    touches = [
        Touch(w.order.buyer_id, w.order.paid_at, "order", referral_code=w.order.share_code)
        for w in fresh if w.order.share_code
    ]
    if touches:
        referrals.bind_many(session, touches, plans.at(now).binding, now)


def _meet(session: Session, fresh: Sequence[Work], plans: PlanBook, now: datetime) -> None:
    """Who brought the buyers of new orders, and what those earn."""
    if not fresh:
        return
    live = [plans.at(work.order.paid_at) for work in fresh]
    asked = [(work.order.buyer_id, work.order.paid_at) for work in fresh]
    standings = standing_at(session, asked, max(LEADER_LEVEL, *(plan.levels for plan in live)))
    _strike(session, fresh, standings, plans, now)


def _recognise(
    session: Session, fresh: Sequence[Work], standings: dict[str, Standing], plans: PlanBook, now: datetime
) -> None:
    """As ``_resolve`` and ``_meet``, for buyers whom the claim has recognised."""
    found = [standings[work.subject] for work in fresh]
    for work, standing in zip(fresh, found, strict=True):
        work.order.buyer_id = standing.buyer_id
    _strike(session, fresh, found, plans, now)


def _strike(
    session: Session, works: Sequence[Work], standings: Sequence[Standing], plans: PlanBook, now: datetime
) -> None:
    """Sets sellers and deals; a purchase makes the buyer's own binding last longer."""
    for work, standing in zip(works, standings, strict=True):
        order, plan = work.order, plans.at(work.order.paid_at)
        above = standing.above()
        order.seller_id, order.leader_id = sold_by(order.buyer_id, above, plan)
        work.deals = [
            Deal(*astuple(part), plan_version=plan.version, accrued_at=order.paid_at,
                 held_at=order.paid_at if part.beneficiary_id in standing.frozen else None)
            for part in strike(order.buyer_id, order.lines, above, plan, business_date(order.paid_at))
        ]
    renewing = [(work.order.buyer_id, work.order.paid_at) for work, standing in zip(works, standings, strict=True)
                if standing.renews and len(standing.people) > 1]
    if renewing:
        referrals.renew_many(session, renewing, plans.at(now).binding)


def schedule(work: Work, plan: Plan) -> None:
    """When the order counts as received, and when its commissions are let go. From facts alone, so order never
    matters; what was already let go stays."""
    order, release = work.order, plan.release
    if order.received_at is not None:
        order.completed_at = order.received_at
    if order.completed_at is not None or order.closed_at is not None:
        order.receive_due_at = None
    elif order.shipped_at is not None:
        order.receive_due_at = order.shipped_at + timedelta(days=release.received_after_shipping_days)
    else:
        order.receive_due_at = order.paid_at + timedelta(days=release.received_after_payment_days)
    due = None if order.completed_at is None else order.completed_at + release.hold
    for deal in work.deals:
        wanted = due if due and deal.left_fen else None
        if deal.released_at is None and deal.release_at != wanted:
            deal.release_at, deal.touched = wanted, True


def accrue(work: Work, out: Ledgered) -> None:
    """The journal of a new deal: the platform's expense becomes pending money (of frozen people: frozen), one pair a
    line. Who earned is told of by what stands in the deals (``earned.take``)."""
    if not work.deals:
        return
    moves = tuple([Move(_EXPENSE[deal.level], _waiting(deal), deal.amount_fen) for deal in work.deals])
    out.entries.append(_entry(work, "accrued", "commission.accrued", work.order.paid_at, moves))


def _waiting(deal: Deal) -> Side:
    """Where the money of a deal is until it is let go."""
    return person(deal.beneficiary_id, "frozen" if deal.held_at else "pending")


def _entry(work: Work, key: str, kind: str, at: datetime, moves: tuple[Move, ...]) -> Entry:
    return Entry(f"order:{work.order.id}:{key}", kind, at, "order", work.order.id, work.label, moves)


def _lock(session: Session, owners: Sequence[int]) -> dict[int, Purse]:
    """Purses of people who are still themselves: what a merge took away meanwhile would be a debt of nobody. Raises
    Conflict("identity.busy"), and then the batch is done again with people as they are."""
    purses = ledger.lock(session, owners)
    if owners and any(one != living for one, living in survivors(session, owners).items()):
        raise Conflict("identity.busy")
    return purses


def _clawed_people(works: Sequence[Work], back: Sequence[Work]) -> set[int]:
    """Everybody of the batch, if released money of an order in ``back`` may have to come back: balances are locked
    first then, and all of them at once, since the rest would be locked out of order."""
    if not any(deal.released_at for work in back for deal in work.deals):
        return set()
    return {deal.beneficiary_id for work in works for deal in work.deals}


def claw_back(work: Work, purses: dict[int, Purse], out: Ledgered) -> None:
    """One journal for each refund, and one for closing: what they take of every deal, by cumulative target."""
    order = work.order
    back = {line.n: line.refunded_fen for line in order.lines}
    for refund in work.folded.returns:
        for n, fen in refund.fen.items():
            back[n] -= fen
    for refund in work.folded.returns:
        for n, fen in refund.fen.items():
            back[n] += fen
        _claw(work, back, purses, out, refund)
    if work.folded.closed_now:
        _claw(work, back, purses, out, None)


def _claw(
    work: Work, back: dict[int, int], purses: dict[int, Purse], out: Ledgered, refund: Return | None
) -> None:
    order = work.order
    paid = {line.n: line.paid_fen for line in order.lines}
    moves: list[Move] = []
    shares: list[notes.Taken] = []
    closed = refund is None or (order.closed_at is not None and not work.folded.closed_now)
    for deal in work.deals:
        target = taken_back(deal.amount_fen, back[deal.n], paid[deal.n], closed=closed)
        delta = target - deal.clawed_fen
        if delta <= 0:
            continue
        deal.clawed_fen, deal.touched = target, True
        expense = _EXPENSE[deal.level]
        if deal.released_at is None:
            taken = [Move(_waiting(deal), expense, delta)]
        else:
            taken = purses[deal.beneficiary_id].take_back(delta, expense)
        moves += taken
        shares.append(notes.Taken(deal, delta, {move.debit.kind: move.amount for move in taken}))
        if not deal.left_fen:
            deal.release_at = None
    if moves:
        key = "closed" if refund is None else f"refund:{refund.refund_no}"
        at = refund.refunded_at if refund else order.closed_at
        assert at is not None
        out.entries.append(_entry(work, key, "commission.clawed_back", at, tuple(moves)))
        out.facts += notes.clawed_back(work, key, shares)


def store(
    works: Sequence[Work], verdicts: Sequence[Verdict], out: Ledgered, now: datetime,
    listens: Collection[str] | None = None
) -> Closing:
    """The one SQL call for orders, deals, money, verdicts and facts."""
    fresh = [work for work in works if work.folded.is_new]
    journals, postings = written(out.entries)
    told = [*out.facts, *ledger.owed(out.entries)]
    facts = sorted({fact.key: fact for fact in told}.values(), key=attrgetter("key")) if told else []
    changes = _changes(works, now)
    if heard := told_journeys(works, listens):
        changes["events"] = heard
    return Closing(_APPLY, {
        "at": now,
        "orders": ORDERS.array([order_row(work.order) for work in fresh]),
        "lines": LINES.array([line_row(work.order.id, line) for work in fresh for line in work.order.lines]),
        "deals": DEALS.array([
            deal_row(work.order.id, deal) for work in works for deal in work.deals if not deal.id]),
        "journals": journals, "postings": postings,
        "facts": FACTS.array([(fact.kind, fact.key, maybe(fact.person_id)) for fact in facts]),
        "payloads": msgspec.json.encode([fact.payload for fact in facts]).decode() if facts else None,
        "verdicts": VERDICTS.array([(v.row_id, v.state, v.reason) for v in verdicts]),
        "changes": msgspec.json.encode(changes).decode() if changes else None,
    })


def settle(session: Session, closing: Closing) -> None:
    """Do now what ``book`` left to do. Raises what the ledger's ``post`` raises."""
    try:
        session.connection().exec_driver_sql(closing.sql, dict(closing.values))
    except DBAPIError as fault:
        raise ledger.refusal(fault) from fault


def _changes(works: Sequence[Work], now: datetime) -> dict[str, Any]:
    """What became of orders that were known, and what came back of any; see ``orders_change`` (0041)."""
    known = [work for work in works if not work.folded.is_new]
    returns = [(work, refund) for work in works for refund in work.folded.returns]
    if not known and not returns:
        return {}
    doc: dict[str, Any] = {
        "changed": [changed_row(work.order) for work in known],
        "refunded": [_refunded_row(work.order, n) for work in known for n in sorted(_returned_lines(work))],
        "refunds": [_refund_row(work.order.id, refund, now) for work, refund in returns],
        "refund_lines": [
            {"order_id": work.order.id, "refund_no": refund.refund_no, "n": n, "refund_fen": fen,
             "quantity": refund.pieces[n]}
            for work, refund in returns for n, fen in refund.fen.items()
        ],
        "commissions_changed": [deal_change(deal) for work in works for deal in work.deals if deal.id and deal.touched],
    }
    return {name: value for name, value in doc.items() if value}


def _returned_lines(work: Work) -> set[int]:
    return {n for refund in work.folded.returns for n in refund.fen}


def _refunded_row(order: OrderState, n: int) -> dict[str, Any]:
    line = order.lines[n - 1]
    return {"order_id": order.id, "n": n, "refunded_fen": line.refunded_fen,
            "refunded_quantity": line.refunded_quantity}


def _refund_row(order_id: int, refund: Return, now: datetime) -> dict[str, Any]:
    return {
        "order_id": order_id, "refund_no": refund.refund_no, "digest": refund.digest,
        "amount_fen": sum(refund.fen.values()), "refunded_at": refund.refunded_at, "booked_at": now,
    }


def tell_roles(session: Session, works: Sequence[Work], regulars: set[int], now: datetime) -> None:
    """Completed orders give roles, returned ones take them back; an order that came and went tells nothing. Buyers who
    come back (``regulars``) are recounted."""
    completed = [
        work.order for work in works
        if work.order.completed_at and work.order.goods and not work.order.returned
        and not (work.was_completed and not work.was_returned)
    ]
    revoked = [
        (work.order.buyer_id, work.order.id, _returned_at(work, now)) for work in works
        if work.was_completed and work.order.returned and not work.was_returned
    ]
    if completed:
        done = [(o.buyer_id, o.id, o.completed_at) for o in completed if o.completed_at]
        roles.order_completed_many(session, done, now)
        put(session, notes.first_completed(session, completed), now)
    if revoked:
        roles.order_revoked_many(session, revoked, now)
    if regulars:
        repurchase.recount(session, regulars, now)


def _returned_at(work: Work, now: datetime) -> datetime:
    """When the last of the order went back."""
    return work.order.closed_at or max((one.refunded_at for one in work.folded.returns), default=now)
