"""Pay for service through the API: record an act, list them, take one back."""

from datetime import datetime
from typing import Annotated

import msgspec
from msgspec import Meta, Struct

from domain.settlements import service_acts
from handlers.web.api.operations import Parameter
from handlers.web.api.shapes import Fen, PersonId
from handlers.web.ops.context import BIGGEST_ID, MONEY, NO_SUCH, REFUSED, Asked, OpsOperation, shaped


class ServiceAct(Struct):
    """Service that somebody was paid for."""

    id: int
    person_id: PersonId
    item: Annotated[str, Meta(description="A key of the plan's service list.")]
    reference: Annotated[str, Meta(description="The shop's own: a ticket, an activity. Each counts once.")]
    happened_at: datetime
    amount_fen: Fen
    operator: str
    recorded_at: datetime
    released_at: datetime | None
    revoked_at: datetime | None
    revoke_reason: str


class ServiceActs(Struct):
    """The newest first."""

    acts: list[ServiceAct]


class NewServiceAct(Struct):
    """``happened_at``: now if not given; the plan of that day says what the act is worth."""

    person_id: Annotated[int, Meta(ge=1, le=BIGGEST_ID)]
    item: Annotated[str, Meta(min_length=1, max_length=64)]
    reference: Annotated[str, Meta(min_length=1, max_length=128)]
    happened_at: Annotated[datetime, Meta(tz=True)] | None = None


class Revocation(Struct):
    """Why it is taken back."""

    reason: Annotated[str, Meta(min_length=1, max_length=500)]


def index(asked: Asked) -> ServiceActs:
    person_id = asked.number("person", 0, BIGGEST_ID) or None
    return ServiceActs([_shape(one) for one in service_acts.acts(asked.session, person_id)])


def record(asked: Asked) -> ServiceAct:
    new: NewServiceAct = asked.body
    return _shape(service_acts.record(asked.session, new.person_id, new.item, new.reference,
                                      new.happened_at or asked.now, asked.actor, asked.now))


def revoke(asked: Asked) -> ServiceAct:
    act_id = min(asked.path["act_id"], BIGGEST_ID)
    return _shape(service_acts.revoke(asked.session, act_id, asked.body.reason, asked.actor, asked.now))


def _shape(view: service_acts.ServiceView) -> ServiceAct:
    return msgspec.convert(view, ServiceAct, from_attributes=True)


OPERATIONS = (
    OpsOperation("GET", "/service-acts", "listServiceActs", "Service", "Paid service",
                 "The newest 100.", ServiceActs, index,
                 query=(Parameter("person", "Only this person's: their id."),)),
    OpsOperation("POST", "/service-acts", "recordServiceAct", "Service", "Pay for an act of service",
                 "By the plan of the day it happened, pending for the plan's hold, at most so often a month as the "
                 "plan says. The same reference again gets the same answer.", ServiceAct, record, status=201,
                 body=(NewServiceAct,), read_body=shaped(NewServiceAct), refusals=(NO_SUCH, REFUSED)),
    OpsOperation("POST", "/service-acts/<int:act_id>/revoke", "revokeServiceAct", "Service", "Take one back",
                 "From pending, or from what is available and then as a debt.", ServiceAct, revoke, roles=MONEY,
                 body=(Revocation,), read_body=shaped(Revocation), places=(("act_id", "The act's id."),),
                 refusals=(NO_SUCH, REFUSED)),
)
