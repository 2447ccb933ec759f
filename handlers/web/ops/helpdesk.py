"""People who asked for a human, through the API: the queue, the chat around a ticket, answering and closing."""

from datetime import datetime
from typing import Annotated, Literal

import msgspec
from msgspec import Meta, Struct

from domain.helpdesk import queries, service
from handlers.web.api.operations import Parameter
from handlers.web.api.shapes import PersonId
from handlers.web.ops.context import BIGGEST_ID, NO_SUCH, REFUSED, Asked, OpsOperation, shaped


class Ticket(Struct):
    """A talk with the shop's people. One is open for a person at a time."""

    id: int
    person_id: PersonId
    nickname: str
    question: Annotated[str, Meta(description="What it was opened with.")]
    state: Literal["open", "closed"]
    opened_at: datetime
    waits_for: Annotated[Literal["shop", "person"], Meta(description="Whose turn it is.")]
    waits_since: datetime
    taken_by: Annotated[str, Meta(description="The operator who looks after it; empty for nobody.")]
    answers: int
    closed_at: datetime | None
    closed_why: Literal["", "person", "shop", "silence", "left", "merged"]
    closed_by: str


class Tickets(Struct):
    """Those that wait for the shop first, the longest wait first; of one person or with all: the newest first."""

    tickets: list[Ticket]


class ChatLine(Struct):
    """Something that was said."""

    at: datetime
    by: Literal["person", "bot", "shop"]
    kind: Annotated[str, Meta(description="text, image, menu and so on.")]
    words: Annotated[str, Meta(description="Empty where it was private: that is kept nowhere.")]
    actor: Annotated[str, Meta(description="The operator who wrote it.")]
    delivery: Annotated[Literal["", "sent", "waits", "refused"],
                        Meta(description="Of the shop's words: waits means until the platform lets us write.")]
    why: str


class Talk(Struct):
    """A ticket with the chat around it, oldest line first."""

    ticket: Ticket
    lines: list[ChatLine]


class TicketWords(Struct):
    """What they read."""

    words: Annotated[str, Meta(min_length=1, max_length=service.MOST_WORDS)]


class TicketEnding(Struct):
    """What was done, for the log."""

    reason: Annotated[str, Meta(min_length=1, max_length=200)]


def index(asked: Asked) -> Tickets:
    person_id = asked.number("person", 0, BIGGEST_ID) or None
    which = asked.choice("which", ("open", "mine", "all"), "open")
    if which == "all" or person_id:
        return Tickets([_shape(one) for one in queries.listed(asked.session, person_id)])
    mine = asked.actor.name if which == "mine" else ""
    return Tickets([_shape(one) for one in queries.queue(asked.session, taken_by=mine)])


def show(asked: Asked) -> Talk:
    found = queries.one(asked.session, _number(asked))
    said = queries.lines(asked.session, found, asked.now, asked.number("lines", queries.MOST_LINES, 200))
    return Talk(_shape(found), [msgspec.convert(line, ChatLine, from_attributes=True) for line in said])


def take(asked: Asked) -> Ticket:
    return _shape(service.take(asked.session, _number(asked), asked.actor, asked.now))


def answer(asked: Asked) -> Ticket:
    return _shape(service.answer(asked.session, _number(asked), asked.body.words, asked.actor, asked.now))


def close(asked: Asked) -> Ticket:
    return _shape(service.close(asked.session, _number(asked), asked.body.reason, asked.actor, asked.now))


def _number(asked: Asked) -> int:
    return min(int(asked.path["number"]), BIGGEST_ID)


def _shape(view: queries.TicketView) -> Ticket:
    return msgspec.convert(view, Ticket, from_attributes=True)


_PLACES = (("number", "Its number."),)
_WRONG = (NO_SUCH, REFUSED)

OPERATIONS = (
    OpsOperation("GET", "/tickets", "listTickets", "Helpdesk", "Who waits for a human",
                 "People who asked for one in chat.", Tickets, index, query=(
                     Parameter("which", "open (default), mine (taken by me or by nobody) or all."),
                     Parameter("person", "All tickets of this person: their id."))),
    OpsOperation("GET", "/tickets/<int:number>", "getTicket", "Helpdesk", "One talk",
                 "With the chat from a day before it was opened: what is kept anyway, nothing more.", Talk, show,
                 places=_PLACES, refusals=(NO_SUCH,), query=(Parameter("lines", "1 to 200; 60 by default."),)),
    OpsOperation("POST", "/tickets/<int:number>/take", "takeTicket", "Helpdesk", "Look after it",
                 "Also what somebody else had taken.", Ticket, take, places=_PLACES, refusals=(NO_SUCH, REFUSED)),
    OpsOperation("POST", "/tickets/<int:number>/answer", "answerTicket", "Helpdesk", "Write to them",
                 "Leaves within the platform's rights to send; without one it waits until they write, 30 days at most.",
                 Ticket, answer, body=(TicketWords,), read_body=shaped(TicketWords), places=_PLACES, refusals=_WRONG),
    OpsOperation("POST", "/tickets/<int:number>/close", "closeTicket", "Helpdesk", "End it",
                 "They can open another at any time.", Ticket, close, body=(TicketEnding,),
                 read_body=shaped(TicketEnding), places=_PLACES, refusals=_WRONG),
)
