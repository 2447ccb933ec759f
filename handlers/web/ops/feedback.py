"""What customers told the shop, through the API: read, adopt, answer."""

from datetime import datetime
from typing import Annotated, Literal

import msgspec
from msgspec import Meta, Struct

from domain.feedback import queries, service
from domain.feedback.rules import FeedbackRules
from handlers.web.api.operations import Parameter
from handlers.web.api.shapes import PersonId
from handlers.web.ops.context import BIGGEST_ID, NO_SUCH, REFUSED, Asked, OpsOperation, shaped

_STATES = (*queries.STATES, "all")
Words = Annotated[str, Meta(min_length=1, max_length=service.MOST_WORDS)]


class Feedback(Struct):
    """One feedback, under the number that its author was told."""

    id: int
    person_id: PersonId
    nickname: str
    words: str
    photos: Annotated[list[dict[str, str]], Meta(description="media_id and pic_url as the platform gave them; it keeps "
                                                             "pictures for three days.")]
    filed_at: datetime
    state: Literal["new", "read", "adopted"]
    read_at: datetime | None
    adopted_at: datetime | None
    adopted_by: str
    outcome: Annotated[str, Meta(description="What came of it; the author reads it.")]
    thanked_at: Annotated[datetime | None, Meta(description="When its author was thanked; once for each feedback.")]
    answers: Annotated[int, Meta(description="How many answers were sent.")]
    answered_at: datetime | None
    answered_by: str
    answer: Annotated[str, Meta(description="The latest.")]


class Feedbacks(Struct):
    """The newest first; 200 at most."""

    feedback: list[Feedback]


class Adoption(Struct):
    """What came of it, for the author; may be left out."""

    outcome: Annotated[str, Meta(max_length=service.MOST_WORDS)] = ""


class FeedbackTakeBack(Struct):
    """Why; kept in the log, the author does not read it."""

    reason: Words


class FeedbackWords(Struct):
    """What the author reads."""

    words: Words


def index(asked: Asked) -> Feedbacks:
    state = asked.choice("state", _STATES, "all")
    person_id = asked.number("person", 0, BIGGEST_ID) or None
    found = queries.listed(asked.session, "" if state == "all" else state, person_id, 200)
    return Feedbacks([_shape(one) for one in found])


def show(asked: Asked) -> Feedback:
    return _shape(queries.one(asked.session, asked.path["number"]))


def read(asked: Asked) -> Feedback:
    return _shape(service.read(asked.session, _number(asked), asked.actor, asked.now))


def adopt(asked: Asked) -> Feedback:
    rules = asked.tool(FeedbackRules)
    return _shape(service.adopt(asked.session, _number(asked), asked.body.outcome, rules, asked.actor, asked.now))


def withdraw(asked: Asked) -> Feedback:
    return _shape(service.withdraw(asked.session, _number(asked), asked.body.reason, asked.actor, asked.now))


def answer(asked: Asked) -> Feedback:
    return _shape(service.answer(asked.session, _number(asked), asked.body.words, asked.actor, asked.now))


def _number(asked: Asked) -> int:
    return min(int(asked.path["number"]), BIGGEST_ID)


def _shape(view: queries.FeedbackView) -> Feedback:
    return msgspec.convert(view, Feedback, from_attributes=True)


_PLACES = (("number", "Its number."),)
_WRONG = (NO_SUCH, REFUSED)

OPERATIONS = (
    OpsOperation("GET", "/feedback", "listFeedback", "Feedback", "What customers said",
                 "What they filed in chat.", Feedbacks, index, query=(
                     Parameter("state", "new, read, adopted or all (default)."),
                     Parameter("person", "Only this person's: their id."))),
    OpsOperation("GET", "/feedback/<int:number>", "getFeedback", "Feedback", "One of them", "Changes nothing.",
                 Feedback, show, places=_PLACES, refusals=(NO_SUCH,)),
    OpsOperation("POST", "/feedback/<int:number>/read", "readFeedback", "Feedback", "It was read",
                 "Only a new one changes.", Feedback, read, places=_PLACES, refusals=(NO_SUCH,)),
    OpsOperation("POST", "/feedback/<int:number>/adopt", "adoptFeedback", "Feedback", "The shop does it",
                 "Its author is thanked by name a little later, once for each feedback.", Feedback, adopt,
                 body=(Adoption,), read_body=shaped(Adoption), places=_PLACES, refusals=_WRONG),
    OpsOperation("POST", "/feedback/<int:number>/withdraw", "withdrawFeedback", "Feedback", "It is not done after all",
                 "An author who was not thanked yet hears nothing; what was given stays theirs.", Feedback, withdraw,
                 body=(FeedbackTakeBack,), read_body=shaped(FeedbackTakeBack), places=_PLACES, refusals=_WRONG),
    OpsOperation("POST", "/feedback/<int:number>/answer", "answerFeedback", "Feedback", "Write to its author",
                 "It leaves when the platform lets us write to them, within 30 days.", Feedback, answer,
                 body=(FeedbackWords,), read_body=shaped(FeedbackWords), places=_PLACES, refusals=_WRONG),
)
