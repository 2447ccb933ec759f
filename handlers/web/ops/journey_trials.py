"""Journeys tried out through the API, before anybody hears of them: on one person, and on what really happened."""

from datetime import datetime
from typing import Annotated, Any

import msgspec
from msgspec import Meta, Struct

from domain.journeys import preview as previews
from domain.journeys import queries, simulation
from domain.journeys.checking import Vocabulary, faults_of
from domain.journeys.document import Journey
from domain.journeys.reading import JourneyFaults, read
from domain.journeys.ways import Platform
from domain.notices.rules import Policy
from domain.people import queries as people
from domain.shared.errors import NotFound
from handlers.web.api.shapes import Fen, PersonId
from handlers.web.ops.context import BIGGEST_ID, NO_SUCH, Asked, OpsOperation, shaped
from handlers.web.ops.journeys import Counts, Document

Values = dict[str, bool | int | str]
MOST_PEOPLE, MOST_DAYS = 1_000, 120
"""A request must end while somebody waits; more is for the terminal."""


class PersonTrial(Struct):
    """Give the ``key`` of a journey that is known here, or a ``document``."""

    person_id: Annotated[int, Meta(ge=1, le=BIGGEST_ID)]
    key: str | None = None
    document: Document | None = None
    event: Annotated[Values, Meta(description="Fields of the entering event.")] = {}
    assume: Annotated[Values, Meta(description="Other values for facts, by name.")] = {}
    happens: Annotated[list[str], Meta(description="wait_for steps whose event comes; the others run out.")] = []


class PreviewLine(Struct):
    """One thing that would happen, and why."""

    at: datetime
    step: str
    outcome: str
    reason: str
    said: Annotated[str, Meta(description="The message in full, when one would be sent.")]
    verdict: Annotated[str, Meta(description="What the notice policy would say at that time.")]
    made_up: Annotated[list[str], Meta(description="Fields of the event that the text needs and that were not given; "
                                                   "examples stand for them.")]


class Previewed(Struct):
    """The way of one person to the end."""

    person_id: PersonId
    enters: bool
    why: str
    holdout: Annotated[bool, Meta(description="In truth they would only be watched.")]
    lines: list[PreviewLine]
    end: str


class PastTrial(Struct):
    """Give the ``key`` of a journey that is known here, or a ``document``."""

    key: str | None = None
    document: Document | None = None
    people: Annotated[int, Meta(ge=1, le=MOST_PEOPLE)] = 400
    days: Annotated[int, Meta(ge=1, le=MOST_DAYS)] = 60


class Simulated(Struct):
    """What it would have done; nothing was."""

    key: str
    days: int
    sampled: int
    made_up: Annotated[bool, Meta(description="The entering event has no history: everybody got one.")]
    events: int
    entered: int
    holdout: int
    ends: Counts
    visits: Annotated[dict[str, Counts], Meta(description="By step, by outcome.")]
    planned: Annotated[int, Meta(description="Messages.")]
    sent: Annotated[Counts, Meta(description="By day.")]
    ways: Annotated[Counts, Meta(description="Of the sent ones, by the way they would have left.")]
    held: Annotated[int, Meta(description="Of the sent ones, held back for the night.")]
    refused: Annotated[Counts, Meta(description="By reason.")]
    grants: Counts
    cost_fen: Fen
    most_in_a_day: Annotated[int, Meta(description="Messages to one person.")]
    most_in_a_week: int
    busiest_share_bps: Annotated[int | None, Meta(description="Of what marketing may use of an interface on the "
                                                              "busiest day, if it were everybody; null when there is "
                                                              "no budget.")]
    unreached: Annotated[list[str], Meta(description="Steps at which nobody came by.")]


def one(asked: Asked) -> Previewed:
    body, journey = asked.body, _journey(asked)
    if people.person(asked.session, body.person_id) is None:
        raise NotFound("person_unknown", id=body.person_id)
    if faults := previews.unusable(journey, body.event, body.assume, body.happens):
        raise JourneyFaults(faults)
    seen = previews.preview(asked.session, journey, body.person_id, body.event, asked.now, asked.tool(Policy),
                            assumed=body.assume, happens=body.happens)
    lines = [PreviewLine(line.at, line.step, line.outcome, line.reason,
                         asked.copy.render(line.text, **line.facts) if line.text else "", line.verdict,
                         list(line.made_up))
             for line in seen.lines]
    return Previewed(body.person_id, seen.enters, seen.why, seen.holdout, lines, seen.end)


def past(asked: Asked) -> Simulated:
    report = simulation.simulate(asked.session, _journey(asked), asked.body.people, asked.body.days, asked.now,
                                 asked.tool(Policy), asked.tool(Platform))
    return msgspec.convert(report.plain(), Simulated)


def _journey(asked: Asked) -> Journey:
    """The known one, or the document that was sent, checked. Raises NotFound, JourneyFaults."""
    body: Any = asked.body
    if (body.key is None) == (body.document is None):
        raise JourneyFaults(["give either key or document"])
    if body.key is not None:
        return queries.current(asked.session, body.key)
    journey = read(body.document)
    if faults := faults_of(journey, asked.tool(Vocabulary)):
        raise JourneyFaults(faults)
    return journey


OPERATIONS = (
    OpsOperation("POST", "/journey-trials/person", "previewJourney", "Journeys", "Try it on one person",
                 "Step by step with every reason, by the facts of today or as assumed. Nothing is "
                 "changed or sent.", Previewed, one, body=(PersonTrial,), read_body=shaped(PersonTrial),
                 refusals=(NO_SUCH,)),
    OpsOperation("POST", "/journey-trials/past", "simulateJourney", "Journeys", "Try it on the past",
                 "What it would have done to many people in the last days: messages a day, refusals, cost, steps that "
                 "nobody reaches. Changes nothing.", Simulated, past, body=(PastTrial,), read_body=shaped(PastTrial),
                 refusals=(NO_SUCH,)),
)
