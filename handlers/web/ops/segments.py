"""Tags and segments through the API: how many, how current, of whom, and tags put on by hand."""

from datetime import datetime
from typing import Annotated

from msgspec import Meta, Struct

from domain.audit import service as audit
from domain.insight import queries, service
from domain.insight.rules import Segmentation
from handlers.web.api.problems import invalid
from handlers.web.api.shapes import Fault, Fen, PersonId
from handlers.web.ops.context import NO_SUCH, OPERATOR, Asked, OpsOperation, shaped
from handlers.web.ops.roles import known

Score = Annotated[int, Meta(description="1 to 5; 0 before somebody was judged.")]


class SegmentLine(Struct):
    """A segment with people in it."""

    key: str
    title: str
    people: int
    spent_fen: Fen


class TagLine(Struct):
    """A tag with people who wear it."""

    key: str
    title: str
    people: int


class Segments(Struct):
    """How everybody stands, and how current that is."""

    segments: list[SegmentLine]
    tags: list[TagLine]
    waiting: Annotated[int, Meta(description="People whose orders changed and who are not judged yet.")]
    waiting_since: datetime | None
    last_people: Annotated[int, Meta(description="How many the last piece of judging took …")]
    last_milliseconds: Annotated[int, Meta(description="… and for how long.")]


class PersonStanding(Struct):
    """Somebody's segment and tags, by key."""

    person_id: PersonId
    segment: str
    tags: list[str]
    r: Score
    f: Score
    m: Score


class TagAct(Struct):
    """The rules never take off what was put on by hand."""

    tag: Annotated[str, Meta(min_length=1, max_length=30)]
    remove: bool = False


class Tagged(Struct):
    """Whether anything changed."""

    person_id: PersonId
    tag: str
    changed: bool


def everybody(asked: Asked) -> Segments:
    titles, health = asked.tool(Segmentation).titles(), queries.health(asked.session)
    return Segments(
        [SegmentLine(one.key, titles.get(one.key, one.key), one.people, one.spent_fen)
         for one in queries.sizes(asked.session)],
        [TagLine(key, titles.get(key, key), people) for key, people in queries.tag_sizes(asked.session).items()],
        health.waiting, health.oldest, health.last_people, health.last_milliseconds)


def one(asked: Asked) -> PersonStanding:
    person = known(asked)
    found = queries.of(asked.session, person.id)
    return PersonStanding(person.id, found.segment, list(found.tags), found.r, found.f, found.m)


def tag(asked: Asked) -> Tagged:
    person, body = known(asked), asked.body
    change = service.untag if body.remove else service.tag
    done = change(asked.session, person.id, body.tag, "operator", asked.now)
    if done:
        act = "tag.remove" if body.remove else "tag.add"
        audit.record(asked.session, asked.actor, act, f"person:{person.id}", {"tag": body.tag}, asked.now)
    return Tagged(person.id, body.tag, done)


def named(content: dict[str, object]) -> TagAct:
    """Raises Refusal 422."""
    act = shaped(TagAct)(content)
    if not act.tag.isprintable() or act.tag != act.tag.strip():
        raise invalid([Fault("/tag", "must be printable, without spaces around it")])
    return act


_PLACES = (("person_id", "The person's id."),)

OPERATIONS = (
    OpsOperation("GET", "/segments", "listSegments", "Segments", "Tags and segments",
                 "With their people, how current they are, and how long judging took.", Segments, everybody),
    OpsOperation("GET", "/segments/people/<int:person_id>", "getPersonStanding", "Segments", "How somebody stands",
                 "Their segment, RFM scores and tags.", PersonStanding, one, places=_PLACES, refusals=(NO_SUCH,)),
    OpsOperation("POST", "/segments/people/<int:person_id>/tag", "tagPerson", "Segments", "Put a tag on or take it off",
                 "By hand; journeys hear of it.", Tagged, tag, roles=OPERATOR, places=_PLACES, body=(TagAct,),
                 read_body=named, refusals=(NO_SUCH,)),
)
