"""The points mall and what waits to be sent, through the API."""

from datetime import datetime
from typing import Annotated, Literal

import msgspec
from msgspec import Meta, Struct

from domain.fulfilment import service as fulfilment
from domain.mall import queries as mall
from domain.points.rules import PointRules
from domain.workflows import exchanging
from handlers.web.api.operations import Parameter
from handlers.web.api.shapes import Fen, PersonId
from handlers.web.ops.context import BIGGEST_ID, NO_SUCH, REFUSED, Asked, OpsOperation, shaped

_STATES = ("waiting", "sent", "cancelled", "all")


class Fulfilment(Struct):
    """A prize or goods for points that somebody has coming."""

    id: int
    person_id: PersonId
    nickname: str
    cause: Annotated[str, Meta(description="draw:<id> or mall:<id>.")]
    title: str
    worth_fen: Fen
    asked_at: datetime
    state: Literal["waiting", "sent", "cancelled"]
    ended_at: datetime | None
    note: Annotated[str, Meta(description="Carrier and number, or why it was called off.")]
    actor: str
    last_order: Annotated[str, Meta(description="channel/order_id of their newest order, which knows the address.")]


class Fulfilments(Struct):
    """The newest 200 first."""

    fulfilments: list[Fulfilment]


class Exchange(Struct):
    """Points that were given for something."""

    id: int
    person_id: PersonId
    item: str
    title: str
    kind: Literal["coupon", "product", "ticket"]
    points: int
    at: datetime
    state: Literal["done", "waiting", "sent", "cancelled"]
    note: str


class Exchanges(Struct):
    """The newest 100 first."""

    exchanges: list[Exchange]


class Cancelled(Struct):
    """What went back."""

    id: int
    person_id: PersonId
    title: str
    points: int


class Sent(Struct):
    """How it left: carrier and number; the customer reads it."""

    note: Annotated[str, Meta(max_length=500)] = ""


class CallOff(Struct):
    """Why; the customer reads it."""

    reason: Annotated[str, Meta(min_length=1, max_length=500)]


def index(asked: Asked) -> Fulfilments:
    state = asked.choice("state", _STATES, "waiting")
    rows = fulfilment.listed(asked.session, None if state == "all" else state)
    return Fulfilments([_shape(row) for row in rows])


def send(asked: Asked) -> Fulfilment:
    return _shape(fulfilment.send(asked.session, _number(asked), asked.body.note, asked.actor, asked.now))


def call_off(asked: Asked) -> Fulfilment:
    return _shape(exchanging.call_off(asked.session, _number(asked), asked.body.reason, asked.tool(PointRules).life,
                                      asked.actor, asked.now))


def exchanges(asked: Asked) -> Exchanges:
    person_id = asked.number("person", 0, BIGGEST_ID) or None
    return Exchanges([msgspec.convert(row, Exchange, from_attributes=True)
                      for row in mall.exchanges(asked.session, person_id)])


def cancel(asked: Asked) -> Cancelled:
    done = exchanging.cancel(asked.session, _number(asked), asked.body.reason, asked.tool(PointRules).life,
                             asked.actor, asked.now)
    return Cancelled(done.id, done.person_id, done.title, done.points)


def _number(asked: Asked) -> int:
    return min(int(asked.path["number"]), BIGGEST_ID)


def _shape(view: fulfilment.FulfilmentView) -> Fulfilment:
    return msgspec.convert(view, Fulfilment, from_attributes=True)


_PLACES = (("number", "Its id."),)
_WRONG = (NO_SUCH, REFUSED)

OPERATIONS = (
    OpsOperation("GET", "/fulfilments", "listFulfilments", "Mall", "What waits to be sent",
                 "Prizes of draws and goods for points.", Fulfilments, index,
                 query=(Parameter("state", "waiting (default), sent, cancelled or all."),)),
    OpsOperation("POST", "/fulfilments/<int:number>/send", "sendFulfilment", "Mall", "It has left",
                 "The customer is told.", Fulfilment, send, body=(Sent,), read_body=shaped(Sent), places=_PLACES,
                 refusals=_WRONG),
    OpsOperation("POST", "/fulfilments/<int:number>/cancel", "cancelFulfilment", "Mall", "It will not be sent",
                 "The points that were given for it go back, and the customer is told why.", Fulfilment, call_off,
                 body=(CallOff,), read_body=shaped(CallOff), places=_PLACES, refusals=_WRONG),
    OpsOperation("GET", "/exchanges", "listExchanges", "Mall", "What points bought",
                 "The newest 100.", Exchanges, exchanges,
                 query=(Parameter("person", "Only this person's: their id."),)),
    OpsOperation("POST", "/exchanges/<int:number>/cancel", "cancelExchange", "Mall", "Call an exchange off",
                 "Points go back into the lots they came from, unless what they bought was used or sent.", Cancelled,
                 cancel, body=(CallOff,), read_body=shaped(CallOff), places=_PLACES, refusals=_WRONG),
)
