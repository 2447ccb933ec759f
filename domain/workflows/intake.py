"""Commerce events in, money out: claims what is due, folds it into orders, and never lets one bad event block others.

The caller commits. Row locks and advisory locks on the subject are the lease: a worker that dies leaves nothing behind.
"""

from collections.abc import Iterable, Sequence
from datetime import date, datetime, timedelta
from typing import Any

import msgspec
from sqlalchemy import text
from sqlalchemy.orm import Session

from domain.catalog import service as catalog
from domain.commissions.service import PlanBook, plan_book, plans_told
from domain.ledger.service import try_again
from domain.orders.events import refs_of
from domain.orders.models import OpenEvent
from domain.orders.rules import Fact, OrderState, Verdict, fold
from domain.people import service as people
from domain.people.rules import SEEN_STEP
from domain.shared import trips
from domain.shared.trips import Closing
from domain.workflows.booking import Met, book, settle
from domain.workflows.desk import Deal, Work, order_from
from domain.workflows.merging import MOVERS
from domain.workflows.standing import Standing

ATTEMPTS = 5
"""So often an event is tried; then it is dead, and says why."""
BACKOFF = timedelta(seconds=20)
"""Wait after the first failure; doubles with each."""

_TAKE = "select intake_take(%(now)s, %(limit)s, %(seen)s)"

Json = dict[str, Any]


class Event(Fact, frozen=True, gc=False):
    """An inbox row in hand. ``parked`` ones were waiting for their order and come along with its facts."""

    event_id: str
    subject: str
    attempts: int = 0
    state: str = "new"
    reason: str = ""

    @property
    def parked(self) -> bool:
        return self.state == "parked"


class Claimed(msgspec.Struct):
    """What ``intake_take`` gives; it says there what is what."""

    events: list[Event]
    orders: list[Json]
    ids: list[int]
    plans: msgspec.Raw
    listens: frozenset[str]
    standings: list[Standing] | None = None
    regulars: set[int] = set()


_claimed = msgspec.json.Decoder(Claimed).decode


class Known(msgspec.Struct):
    """What the database knows about the subjects of a batch, and ids for orders to come."""

    orders: dict[str, tuple[OrderState, list[Deal]]]
    plans: PlanBook
    ids: list[int]
    met: Met | None = None
    listens: frozenset[str] | None = None


def apply_batch(session: Session, now: datetime, limit: int, *, pepper: bytes) -> tuple[int, Closing | None]:
    """Apply up to ``limit`` due events together; returns how many were taken (0: nothing to do), and the statement that
    is still to be sent before the commit, or along with it (None: there is none).

    Raises what went wrong with any of them; the caller rolls back and turns to ``apply_singly``.
    """
    claimed = _claim(session, now, limit)
    if claimed is None:
        return 0, None
    met = None if claimed.standings is None else Met(
        {standing.subject: standing for standing in claimed.standings}, claimed.regulars)
    plans = plans_told(session, bytes(claimed.plans))
    known = Known(_orders(claimed.orders), plans, claimed.ids, met, claimed.listens)
    closing = _apply(session, claimed.events, known, pepper, now)
    return sum(not event.parked for event in claimed.events), closing


def apply_singly(session: Session, now: datetime, limit: int, *, pepper: bytes) -> int:
    """As ``apply_batch``, but each subject in a savepoint of its own: what fails is put off, the others go through."""
    claimed = _claim(session, now, limit)
    if claimed is None:
        return 0
    _one_by_one(session, claimed.events, pepper, now)
    return sum(not event.parked for event in claimed.events)


def _claim(session: Session, now: datetime, limit: int) -> Claimed | None:
    asked = {"now": now, "limit": limit, "seen": now - SEEN_STEP}
    claimed = trips.document(session, _TAKE, asked)
    return None if claimed is None else _claimed(claimed)


def _orders(rows: Iterable[Json]) -> dict[str, tuple[OrderState, list[Deal]]]:
    return {f"order:{row['channel']}/{row['order_no']}": order_from(row) for row in rows}


def plans_in(session: Session, loaded: Json) -> PlanBook:
    """The plans named in what ``intake_load`` gave."""
    named = loaded.get("plans") or []
    return plan_book(session, [(p["version"], datetime.fromisoformat(p["live_from"]), p["digest"]) for p in named])


def _apply(
    session: Session, events: Sequence[Event], known: Known, pepper: bytes, now: datetime
) -> Closing | None:
    verdicts: list[Verdict] = []
    works = _fold(events, known, verdicts)
    upserted = {event.type for event in events if event.type.endswith(".upserted")}
    if upserted:
        verdicts += _other(session, events, pepper, now)
    if len(verdicts) != len(events):
        raise RuntimeError("an event that was taken has no verdict")
    # What is simply done is off the list already, and nothing is written for it.
    phones = {event.row_id for event in events if _names_phone(event)}
    verdicts = [one for one in verdicts if one.state != "done" or one.reason or one.row_id in phones]
    # News of customers may just have made one person of two: whoever was recognised before is asked for again.
    met = None if "customer.upserted" in upserted else known.met
    return book(session, works, verdicts, known.plans, pepper, now, met, known.listens)


def _names_phone(event: Event) -> bool:
    """An event that was looked at keeps no phone."""
    return "phone" in (event.data.get("buyer") or event.data.get("identities") or ())


def _fold(events: Sequence[Event], known: Known, verdicts: list[Verdict]) -> list[Work]:
    """The orders that these events change; adds what became of each order event to ``verdicts``."""
    by_order: dict[str, list[Event]] = {}
    for event in events:
        if event.type.startswith("order."):
            by_order.setdefault(event.subject, []).append(event)
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
            folded.order.id = known.ids.pop(0)  # as they grow: rows are added at the end of their indexes
        works.append(Work(folded, folded.order, deals, was_completed, was_returned, was_shipped))
    return works


def _other(session: Session, events: Sequence[Event], pepper: bytes, now: datetime) -> list[Verdict]:
    """Products and customers: the newest word about each counts."""
    products = [event for event in events if event.type == "product.upserted"]
    customers = [event for event in events if event.type == "customer.upserted"]
    if products:
        catalog.upsert(session, [
            catalog.Told(event.occurred_at, f"{event.source}/{event.event_id}", event.data)
            for event in products
        ])
    if customers:
        ordered = sorted(customers, key=lambda event: (event.occurred_at, event.row_id))
        groups = [refs_of(event.data["identities"]) for event in ordered]
        found = people.resolve_many(session, groups, now, pepper=pepper, movers=MOVERS)
        for event, person_id in zip(ordered, found, strict=True):
            _profile(session, person_id, event)
    return [Verdict(event.row_id, "done") for event in (*products, *customers)]


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
        for event in sorted(group, key=lambda e: (e.type != "order.paid", e.row_id)):
            fault = _alone(session, [event], pepper, now)
            if fault is not None:
                _put_back(session, event, fault, now)


def _alone(session: Session, events: Sequence[Event], pepper: bytes, now: datetime) -> Exception | None:
    """Apply a few events in a savepoint of their own; returns the fault that undid them, if any."""
    try:
        with session.begin_nested():
            subjects = sorted({event.subject for event in events})
            loaded = session.execute(text("select intake_load(:subjects)"), {"subjects": subjects}).scalar_one()
            ids = [session.execute(text("select nextval('customer_order_id_seq')")).scalar_one() for _ in subjects]
            known = Known(_orders(loaded["orders"]), plans_in(session, loaded), ids)
            if closing := _apply(session, events, known, pepper, now):
                settle(session, closing)
    except Exception as fault:
        if try_again(fault):
            raise
        return fault
    return None


def _put_back(session: Session, event: Event, fault: Exception, now: datetime) -> None:
    """On the list again: what was waiting waits on, anything else is tried again later, or is dead."""
    attempts = event.attempts if event.parked else event.attempts + 1
    left = OpenEvent(id=event.row_id, due_at=now, attempts=attempts, state=event.state, type=event.type,
                     subject=event.subject, reason=event.reason)
    if not event.parked:
        left.reason = f"{type(fault).__name__}: {str(fault).splitlines()[0] if str(fault) else ''}"[:300]
        left.due_at = now + BACKOFF * 2 ** (attempts - 1)
        left.state = "dead" if attempts >= ATTEMPTS else "new"
    session.add(left)
    session.flush()
