"""Business months through the API: what was closed, what it brought, closing by hand, and anybody's statement."""

from datetime import datetime
from typing import Annotated, Literal

import msgspec
from msgspec import Meta, Struct

from domain.people import queries as people
from domain.settlements import queries, service, statements
from domain.settlements.rules import Month
from domain.shared.errors import DomainError
from handlers.web.api.problems import missing
from handlers.web.api.shapes import Fen, PersonId
from handlers.web.ops.context import BIGGEST_ID, MONEY, NO_SUCH, REFUSED, Asked, OpsOperation

State = Literal["open", "closing", "closed"]


class Close(Struct):
    """A month that was or is being closed."""

    month: Annotated[str, Meta(description="As in 2026-10.")]
    state: State
    plan_version: Annotated[int, Meta(description="Whose ladder and team rules count: the plan live when it began.")]
    started_at: datetime
    closed_at: datetime | None
    actor: Annotated[str, Meta(description="Who closed it by hand; empty for the clock.")]
    people: int
    volume_fen: Fen
    ladder_fen: Fen
    team_fen: Fen
    adjusted_fen: Annotated[int, Meta(description="Fen booked later for facts that came late, signed.")]
    late: Annotated[int, Meta(description="Notes about late facts still to be looked at.")]


class Closes(Struct):
    """The newest first."""

    months: list[Close]


class Booking(Struct):
    """One booking of ladder or team money. ``change_fen`` is signed; ``target_fen`` is what it came to in all."""

    person_id: PersonId
    kind: Literal["ladder", "team"]
    cause: Literal["close", "adjustment"]
    volume_fen: Fen
    target_fen: Fen
    change_fen: int
    booked_at: datetime
    release_at: datetime | None
    released_at: datetime | None


class CloseDetail(Close):
    """With the newest thousand bookings at most."""

    bookings: list[Booking] = []


class Line(Struct):
    """One movement, signed fen."""

    at: datetime
    booked_at: datetime
    part: Literal["earned", "taken_back", "tax", "paid", "other"]
    reason: str
    fen: int
    order: Annotated[str, Meta(description="channel/order_id where an order caused it.")]
    label: Annotated[str, Meta(description="What caused it otherwise, as in 2026-10.")]
    late: Annotated[bool, Meta(description="It happened in an earlier month that was closed already.")]


class MonthStatement(Struct):
    """opening + earned - taken_back - tax - paid + other = closing."""

    month: str
    state: State
    opening_fen: int
    earned_fen: int
    taken_back_fen: int
    tax_fen: int
    paid_fen: int
    other_fen: int
    closing_fen: int
    lines: list[Line]


def index(asked: Asked) -> Closes:
    return Closes([msgspec.convert(one, Close, from_attributes=True) for one in queries.closes(asked.session)])


def show(asked: Asked) -> CloseDetail:
    month = _month(asked)
    found = queries.closes(asked.session, month)
    if not found:
        raise missing("month")
    detail = msgspec.convert(found[0], CloseDetail, from_attributes=True)
    detail.bookings = [msgspec.convert(one, Booking, from_attributes=True)
                       for one in queries.bookings(asked.session, month, limit=1_000)]
    return detail


def close(asked: Asked) -> Close:
    """Starts it; the clock does the rest piece by piece, so that nobody's order waits for it."""
    month = _month(asked)
    service.by_hand(asked.session, asked.actor, "month.close", f"month:{month}", asked.now)
    service.close_step(asked.session, month, asked.now, asked.actor.name)
    return msgspec.convert(queries.closes(asked.session, month)[0], Close, from_attributes=True)


def statement(asked: Asked) -> MonthStatement:
    person_id = asked.path["person_id"]
    person = people.person(asked.session, person_id) if person_id <= BIGGEST_ID else None
    if person is None:
        raise missing("person")
    found = statements.statement(asked.session, person.id, _month(asked))
    return msgspec.convert(found, MonthStatement, from_attributes=True)


def _month(asked: Asked) -> Month:
    try:
        return Month.parse(asked.path["month"])
    except DomainError:
        raise missing("month") from None


_PLACES = (("month", "A business month, as in 2026-10."), ("person_id", "A person's id."))

OPERATIONS = (
    OpsOperation("GET", "/months", "listMonths", "Months", "Closed months",
                 "Months that were or are being closed, with what they brought.", Closes, index),
    OpsOperation("GET", "/months/<month>", "getMonth", "Months", "A closed month",
                 "With its bookings of ladder and team money, adjustments included.", CloseDetail, show,
                 places=_PLACES[:1], refusals=(NO_SUCH,)),
    OpsOperation("POST", "/months/<month>/close", "closeMonth", "Months", "Close a month now",
                 "Instead of on the 1st at 02:00. Starts it (or goes on with it) and answers; the rest follows within "
                 "minutes. Closing a closed month does nothing.", Close, close, status=202, roles=MONEY,
                 places=_PLACES[:1], refusals=(NO_SUCH, REFUSED)),
    OpsOperation("GET", "/people/<int:person_id>/statements/<month>", "getMonthStatement", "Months",
                 "A person's month in money", "From postings alone; a closed month's never changes.", MonthStatement,
                 statement, roles=MONEY, places=_PLACES, refusals=(NO_SUCH,)),
)
