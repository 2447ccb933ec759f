"""Commerce events in, money out: claims what is due, folds it into orders, and never lets one bad event block others.

The caller commits. Row locks and advisory locks on the subject are the lease: a worker that dies leaves nothing behind.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any

import msgspec
from sqlalchemy import text, update
from sqlalchemy.orm import Session

from domain.catalog import service as catalog
from domain.commissions.service import PlanBook, plan_book
from domain.ledger.service import try_again
from domain.orders.events import refs_of
from domain.orders.models import CommerceEventRow
from domain.orders.rules import Fact, OrderState, Verdict, fold
from domain.people import service as people
from domain.people.rules import SEEN_STEP
from domain.shared import trips
from domain.shared.trips import Closing
from domain.workflows.booking import Met, book, settle
from domain.workflows.desk import Deal, Work, order_from
from domain.workflows.merging import MOVERS
from domain.workflows.standing import standings_in

ATTEMPTS = 5
"""So often an event is tried; then it is dead, and says why."""
BACKOFF = timedelta(seconds=20)
"""Wait after the first failure; doubles with each."""

_TAKE = "select intake_take(%(now)s, %(limit)s, %(seen)s)"

Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Event:
    """An inbox row in hand. ``parked`` ones were waiting for their order and come along with its facts."""

    fact: Fact
    event_id: str
    subject: str
    attempts: int
    parked: bool


@dataclass(slots=True)
class Known:
    """What the database knows about the subjects of a batch, and ids for orders to come."""

    orders: dict[str, tuple[OrderState, list[Deal]]]
    plans: PlanBook
    ids: list[int]
    met: Met | None
    listens: frozenset[str] | None


def apply_batch(session: Session, now: datetime, limit: int, *, pepper: bytes) -> tuple[int, Closing | None]:
    """Apply up to ``limit`` due events together; returns how many were taken (0: nothing to do), and the statement that
    is still to be sent before the commit, or along with it (None: there is none).

    Raises what went wrong with any of them; the caller rolls back and turns to ``apply_singly``.
    """
    claimed = _claim(session, now, limit)
    if claimed is None:
        return 0, None
    events = [_event(row) for row in claimed["events"]]
    closing = _apply(session, events, _known(session, claimed), pepper, now)
    return sum(not event.parked for event in events), closing


def apply_singly(session: Session, now: datetime, limit: int, *, pepper: bytes) -> int:
    """As ``apply_batch``, but each subject in a savepoint of its own: what fails is put off, the others go through."""
    claimed = _claim(session, now, limit)
    if claimed is None:
        return 0
    events = [_event(row) for row in claimed["events"]]
    _one_by_one(session, events, pepper, now)
    return sum(not event.parked for event in events)


def _claim(session: Session, now: datetime, limit: int) -> Json | None:
    asked = {"now": now, "limit": limit, "seen": now - SEEN_STEP}
    claimed: str | None = trips.opening(session, _TAKE, asked)
    return None if claimed is None else msgspec.json.decode(claimed)


def _event(row: Json) -> Event:
    at = datetime.fromisoformat(row["occurred_at"])
    fact = Fact(row["id"], row["source"], row["type"], at, row["data"])
    return Event(fact, row["event_id"], row["subject"], row["attempts"], row["state"] == "parked")


def _known(session: Session, loaded: Json) -> Known:
    orders = {}
    for row in loaded["orders"]:
        order, deals = order_from(row)
        orders[f"order:{order.channel}/{order.order_no}"] = (order, deals)
    standings = standings_in(loaded)
    met = None if standings is None else Met(standings, set(loaded["regulars"]))
    listens = frozenset(loaded["listens"]) if "listens" in loaded else None
    return Known(orders, plans_in(session, loaded), list(loaded.get("ids", ())), met, listens)


def plans_in(session: Session, loaded: Json) -> PlanBook:
    """The plans named in what ``intake_load`` gave."""
    named = loaded.get("plans") or []
    return plan_book(session, [(p["version"], datetime.fromisoformat(p["live_from"]), p["digest"]) for p in named])


def _apply(
    session: Session, events: Sequence[Event], known: Known, pepper: bytes, now: datetime
) -> Closing | None:
    verdicts: list[Verdict] = []
    works = _fold(events, known, verdicts)
    verdicts += _other(session, events, pepper, now)
    # News of customers may just have made one person of two: whoever was recognised before is asked for again.
    met = None if any(event.fact.type == "customer.upserted" for event in events) else known.met
    return book(session, works, verdicts, known.plans, pepper, now, met, known.listens)


def _fold(events: Sequence[Event], known: Known, verdicts: list[Verdict]) -> list[Work]:
    """The orders that these events change; adds what became of each order event to ``verdicts``."""
    by_order: dict[str, list[Fact]] = {}
    for event in events:
        if event.fact.type.startswith("order."):
            by_order.setdefault(event.subject, []).append(event.fact)
    works = []
    for subject, facts in by_order.items():
        order, deals = known.orders.get(subject, (None, []))
        was_completed = order is not None and order.completed_at is not None
        was_returned = order is not None and order.returned
        was_shipped = order is not None and order.shipped_at is not None
        folded = fold(order, facts)
        verdicts += folded.verdicts
        if folded.order is None:
            continue
        if folded.is_new:
            folded.order.id = known.ids.pop()
        works.append(Work(folded, folded.order, deals, was_completed, was_returned, was_shipped))
    return works


def _other(session: Session, events: Sequence[Event], pepper: bytes, now: datetime) -> list[Verdict]:
    """Products and customers: the newest word about each counts."""
    products = [event for event in events if event.fact.type == "product.upserted"]
    customers = [event for event in events if event.fact.type == "customer.upserted"]
    if products:
        catalog.upsert(session, [
            catalog.Told(event.fact.occurred_at, f"{event.fact.source}/{event.event_id}", event.fact.data)
            for event in products
        ])
    if customers:
        ordered = sorted(customers, key=lambda event: (event.fact.occurred_at, event.fact.row_id))
        groups = [refs_of(event.fact.data["identities"]) for event in ordered]
        found = people.resolve_many(session, groups, now, pepper=pepper, movers=MOVERS)
        for event, person_id in zip(ordered, found, strict=True):
            _profile(session, person_id, event.fact)
    return [Verdict(event.fact.row_id, "done") for event in (*products, *customers)]


def _profile(session: Session, person_id: int, fact: Fact) -> None:
    data = fact.data
    people.set_profile(
        session, person_id, nickname=data.get("nickname"), avatar_url=data.get("avatar_url"),
        birthday=date.fromisoformat(data["birthday"]) if "birthday" in data else None,
        phone_verified_at=fact.occurred_at if data.get("phone_verified") else None,
    )


def _one_by_one(session: Session, events: Sequence[Event], pepper: bytes, now: datetime) -> None:
    """Each subject alone, then each event of a bad subject alone."""
    by_subject: dict[str, list[Event]] = {}
    for event in events:
        by_subject.setdefault(event.subject, []).append(event)
    for group in by_subject.values():
        if _alone(session, group, pepper, now) is None:
            continue
        for event in sorted(group, key=lambda e: (e.fact.type != "order.paid", e.fact.row_id)):
            fault = _alone(session, [event], pepper, now)
            if fault is not None and not event.parked:
                _fail(session, event, fault, now)


def _alone(session: Session, events: Sequence[Event], pepper: bytes, now: datetime) -> Exception | None:
    """Apply a few events in a savepoint of their own; returns the fault that undid them, if any."""
    try:
        with session.begin_nested():
            subjects = sorted({event.subject for event in events})
            loaded = session.execute(text("select intake_load(:subjects)"), {"subjects": subjects}).scalar_one()
            loaded["ids"] = [
                session.execute(text("select nextval('customer_order_id_seq')")).scalar_one() for _ in subjects
            ]
            if closing := _apply(session, events, _known(session, loaded), pepper, now):
                settle(session, closing)
    except Exception as fault:
        if try_again(fault):
            raise
        return fault
    return None


def _fail(session: Session, event: Event, fault: Exception, now: datetime) -> None:
    attempts = event.attempts + 1
    dead = attempts >= ATTEMPTS
    reason = f"{type(fault).__name__}: {str(fault).splitlines()[0] if str(fault) else ''}"[:300]
    session.execute(update(CommerceEventRow).where(CommerceEventRow.id == event.fact.row_id).values(
        attempts=attempts, reason=reason, state="dead" if dead else "new", ended_at=now if dead else None,
        due_at=now + BACKOFF * 2 ** (attempts - 1),
    ))




