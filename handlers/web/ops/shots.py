"""Customers' own pictures, through the API: look at them, show them around or not, and stop."""

from datetime import datetime
from typing import Annotated, Literal

import msgspec
from msgspec import Meta, Struct

from domain.shared.wording import Wording
from domain.shots import queries, service
from domain.shots.rules import Reason
from handlers.web.api.operations import Parameter
from handlers.web.api.shapes import PersonId
from handlers.web.ops.context import BIGGEST_ID, NO_SUCH, OPERATOR, REFUSED, Asked, Download, OpsOperation, shaped

_STATES = (*queries.STATES, "all")


class Shot(Struct):
    """One picture that a customer sent in."""

    id: int
    person_id: PersonId
    nickname: str
    sku: Annotated[str, Meta(description="What it is about, as its author said; empty for none of ours.")]
    title: str
    words: Annotated[str, Meta(description="What its author says about it.")]
    state: Annotated[Literal["draft", "waiting", "approved", "declined", "withdrawn", "retired"], Meta(
        description="draft: its author has not said yet what may be done with it; waiting: for you.")]
    consent: Annotated[Literal["", "named", "anonymous"], Meta(description="What its author allows.")]
    has_picture: bool
    width: int
    height: int
    sent_at: datetime
    reviewed_at: datetime | None
    reviewed_by: str
    thanked_at: Annotated[datetime | None, Meta(description="When its author was thanked and rewarded; once.")]
    ended_at: datetime | None
    why: Annotated[str, Meta(description="What ended it.")]
    said: Annotated[str, Meta(description="What was added for its author when it was declined.")]
    given: Annotated[int, Meta(description="How many people were given it to share.")]
    clicks: Annotated[int, Meta(description="How many others came by it.")]
    orders: Annotated[int, Meta(description="How many of those bought within 30 days.")]


class Shots(Struct):
    """The newest first; 200 at most."""

    shots: list[Shot]


class ShotWord(Struct):
    """A word of the author on it."""

    word: Literal["named", "anonymous", "no", "revoked"]
    wording: Annotated[str, Meta(description="What they were asked, with a mark in place of their name.")]
    at: datetime


class ShotStory(Struct):
    """One picture and every word of consent."""

    shot: Shot
    consents: list[ShotWord]


class ShotApproval(Struct):
    """``sku``: which product it is about, when its author did not say or was mistaken."""

    sku: Annotated[str, Meta(max_length=64)] = ""
    with_words: Annotated[bool, Meta(description="Show what its author says, too.")] = True


class ShotRefusal(Struct):
    """``words`` are added for the author; for ``other`` they are needed."""

    reason: Reason
    words: Annotated[str, Meta(max_length=service.MOST_WORDS)] = ""


class ShotEnding(Struct):
    """Why; for the log."""

    reason: Annotated[str, Meta(min_length=1, max_length=200)]


def index(asked: Asked) -> Shots:
    state = asked.choice("state", _STATES, "waiting")
    person_id = asked.number("person", 0, BIGGEST_ID) or None
    found = queries.listed(asked.session, "" if state == "all" else state, person_id, 200)
    return Shots([_shape(one) for one in found])


def show(asked: Asked) -> ShotStory:
    number = _number(asked)
    found = queries.one(asked.session, number)
    said = [msgspec.convert(word, ShotWord, from_attributes=True) for word in queries.words(asked.session, number)]
    return ShotStory(_shape(found), said)


def picture(asked: Asked) -> Download:
    number = _number(asked)
    found = service.look(asked.session, number, asked.actor, asked.now)
    return Download(f"shot-{number}.jpg", "image/jpeg", iter((found,)))


def approve(asked: Asked) -> Shot:
    given: ShotApproval = asked.body
    return _shape(service.approve(asked.session, _number(asked), given.sku, given.with_words, asked.tool(Wording),
                                  asked.actor, asked.now))


def decline(asked: Asked) -> Shot:
    given: ShotRefusal = asked.body
    return _shape(service.decline(asked.session, _number(asked), given.reason, given.words, asked.actor, asked.now))


def retire(asked: Asked) -> Shot:
    return _shape(service.retire(asked.session, _number(asked), asked.body.reason, asked.actor, asked.now))


def _number(asked: Asked) -> int:
    return min(int(asked.path["number"]), BIGGEST_ID)


def _shape(view: queries.ShotView) -> Shot:
    return msgspec.convert(view, Shot, from_attributes=True)


_PLACES = (("number", "Its number."),)
_WRONG = (NO_SUCH, REFUSED)

OPERATIONS = (
    OpsOperation("GET", "/shots", "listShots", "Customers' pictures", "Pictures that customers sent in",
                 "Those that wait to be looked at, or others.", Shots, index, query=(
                     Parameter("state", "draft, waiting (default), approved, declined, withdrawn, retired or all."),
                     Parameter("person", "Only this person's: their id."))),
    OpsOperation("GET", "/shots/<int:number>", "getShot", "Customers' pictures", "One of them",
                 "With every word of its author on what may be done with it.", ShotStory, show, places=_PLACES,
                 refusals=(NO_SUCH,)),
    OpsOperation("GET", "/shots/<int:number>/picture", "getShotPicture", "Customers' pictures", "The picture itself",
                 "A JPEG without metadata. Gone once it was declined, taken back or retired. Noted in the log.",
                 str, picture, places=_PLACES, refusals=(NO_SUCH,), media="image/jpeg"),
    OpsOperation("POST", "/shots/<int:number>/approve", "approveShot", "Customers' pictures", "Show it around",
                 "From now on sharers are given it; its author is thanked by name and rewarded, once.", Shot, approve,
                 body=(ShotApproval,), read_body=shaped(ShotApproval), places=_PLACES, refusals=_WRONG,
                 roles=OPERATOR),
    OpsOperation("POST", "/shots/<int:number>/decline", "declineShot", "Customers' pictures", "Do not show it",
                 "Its author is told why, kindly, and it is deleted.", Shot, decline, body=(ShotRefusal,),
                 read_body=shaped(ShotRefusal), places=_PLACES, refusals=_WRONG,
                 roles=OPERATOR),
    OpsOperation("POST", "/shots/<int:number>/retire", "retireShot", "Customers' pictures", "Show it no more",
                 "Nobody is given it from now on, and it is deleted. Its author keeps what they got.", Shot, retire,
                 body=(ShotEnding,), read_body=shaped(ShotEnding), places=_PLACES, refusals=_WRONG,
                 roles=OPERATOR),
)
