"""Points through the API: what somebody got, and taking back what was given by mistake."""

from datetime import datetime
from typing import Annotated, Literal

import msgspec
from msgspec import Meta, Struct

from domain.audit import queries as audit
from domain.points import queries
from domain.workflows import taking_back
from handlers.web.api.shapes import PersonId
from handlers.web.ops.approvals import Approval
from handlers.web.ops.context import BIGGEST_ID, NO_SUCH, REFUSED, Asked, OpsOperation, shaped
from handlers.web.ops.roles import known

PAGE = 200


class Lot(Struct):
    """Points that somebody got together."""

    id: int
    cause: Annotated[str, Meta(description="The business fact they were given for.")]
    amount: int
    remaining: Annotated[int, Meta(description="Still there to be spent; 0 while they wait for a return window.")]
    back: Annotated[int, Meta(description="Taken back so far, by returns and by operators.")]
    expired: Annotated[int, Meta(description="Ran out unused.")]
    takeable: Annotated[int, Meta(description="What can still be taken back, spent or not.")]
    state: Literal["pending", "active", "closed"]
    earned_at: datetime
    expires_at: datetime


class PersonPoints(Struct):
    """What somebody has. ``coming`` waits for return windows; ``debt`` is repaid by later points."""

    person_id: PersonId
    active: int
    coming: int
    debt: int
    lots: Annotated[list[Lot], Meta(description=f"The newest {PAGE} first.")]


class TakePoints(Struct):
    """How many (all that can be, if not given), and why: kept in the log, not shown to the customer."""

    reason: Annotated[str, Meta(min_length=1, max_length=1000)]
    points: Annotated[int, Meta(ge=1, le=BIGGEST_ID)] | None = None


def one(asked: Asked) -> PersonPoints:
    person = known(asked)
    now = queries.of(asked.session, person.id, asked.now)
    lots = queries.lots_of(asked.session, person.id, PAGE)
    return PersonPoints(person.id, now.active, now.coming, now.debt,
                        [msgspec.convert(lot, Lot, from_attributes=True) for lot in lots])


def take_back(asked: Asked) -> Approval:
    wanted: TakePoints = asked.body
    approval = taking_back.ask_points(asked.session, min(asked.path["lot_id"], BIGGEST_ID), wanted.points,
                                      wanted.reason, asked.actor, asked.now)
    return msgspec.convert(audit.approval_view(approval, asked.now), Approval, from_attributes=True)


OPERATIONS = (
    OpsOperation("GET", "/points/people/<int:person_id>", "getPersonPoints", "Points", "What somebody got",
                 "Their points now, and lot by lot what became of what they were given.", PersonPoints, one,
                 places=(("person_id", "The person's id."),), refusals=(NO_SUCH,)),
    OpsOperation("POST", "/points/lots/<int:lot_id>/take-back", "askToTakePointsBack", "Points",
                 "Ask to take points back",
                 "Given by mistake. Those that were spent become a debt that later points repay; nobody falls below 0. "
                 "A second person approves (points.take_back), then the customer is told once.", Approval, take_back,
                 status=201, body=(TakePoints,), read_body=shaped(TakePoints), places=(("lot_id", "The lot's id."),),
                 refusals=(NO_SUCH, REFUSED)),
)
