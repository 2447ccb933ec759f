"""Journeys through the API: checked, tried on one person and on the past, published, paused, measured, let go on."""

from datetime import datetime, timedelta
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta, Struct

from domain.audit import service as audit
from domain.journeys import queries, service
from domain.journeys.checking import Vocabulary, faults_of
from domain.journeys.events import EVENTS
from domain.journeys.facts import FACTS
from domain.journeys.reading import JourneyFaults, read
from domain.journeys.writing import dump
from handlers.web.api.operations import Parameter
from handlers.web.api.shapes import PersonId
from handlers.web.ops.context import BIGGEST_ID, NO_SUCH, OPERATOR, REFUSED, Asked, OpsOperation, shaped

Document = Annotated[dict[str, Any], Meta(description="A journey in the form of its file, as JSON: key, title, on, "
                                                      "step and so on. See listJourneyWords for what it may speak of.")]
Counts = dict[str, int]
MOST_AT_ONCE = 1_000


class JourneyLine(Struct):
    """A journey and how many people are where."""

    key: str
    title: str
    state: Literal["draft", "live", "paused", "draining", "archived"]
    version: Annotated[int | None, Meta(description="The edition that new runs take; null for a draft.")]
    open: int
    held: Annotated[int, Meta(description="Held out: watched, never treated.")]
    parked: int
    ended: int
    changed_at: datetime
    changed_by: str


class Journeys(Struct):
    """All of them, by key."""

    journeys: list[JourneyLine]


class EventWord(Struct):
    """Something that may happen to a person."""

    event: str
    about: str
    fields: Annotated[dict[str, str], Meta(description="Name to type: int, text or bool.")]


class FactWord(Struct):
    """Something that can be asked of a person."""

    fact: str
    type: Literal["int", "text", "bool"]
    about: str
    needs: Annotated[str, Meta(description="The field of the entering event that it is about; empty for none.")]


class Words(Struct):
    """What journeys may speak of."""

    events: list[EventWord]
    facts: list[FactWord]
    grants: list[str]
    pictures: list[str]


class Edition(Struct):
    """The edition that new runs take."""

    key: str
    document: Document


class JourneyDraft(Struct):
    """A document to be checked."""

    document: Document


class Faults(Struct):
    """Every fault at once, as sentences; none: it may be published."""

    faults: list[str]


class Publishing(Struct):
    """``moves``: step of an older edition → step of this one, or ``end``, or ``stay``."""

    document: Document
    moves: dict[str, str] = {}
    draft: Annotated[bool, Meta(description="A journey that is new here does not run yet.")] = False
    dry_run: Annotated[bool, Meta(description="Say what would change, and change nothing.")] = False


class PublishedEdition(Struct):
    """What came of it."""

    key: str
    version: int
    changed: Annotated[bool, Meta(description="false: this very document was the current edition already.")]
    moving: Annotated[int, Meta(description="People who change to it at their next step.")]
    dry_run: bool


class JourneyReason(Struct):
    """Why, for whoever asks later; it is audited."""

    why: Annotated[str, Meta(min_length=1, max_length=1000)]


class JourneyState(Struct):
    """How it stands now."""

    key: str
    state: str


class StepFunnel(Struct):
    """One step of one edition."""

    version: int
    step: str
    waiting: int
    visits: int
    outcomes: Annotated[Counts, Meta(description="Visits by outcome, with the reason after a colon.")]
    sent: int
    refused: Annotated[Counts, Meta(description="Messages that were refused, by reason.")]
    lag_p50: Annotated[int, Meta(description="Seconds between planned and done, in the middle.")]
    lag_p95: int


class HoldoutUplift(Struct):
    """Treated against held out, in basis points; the interval is of 95 %, null while one side has nobody."""

    treated: int
    treated_converted: int
    held: int
    held_converted: int
    difference_bps: int | None
    low_bps: int | None
    high_bps: int | None


class Funnel(Struct):
    """What became of everybody who entered, step by step."""

    key: str
    entered: int
    ends: Counts
    steps: list[StepFunnel]
    uplift: HoldoutUplift


class ParkedRun(Struct):
    """A run that failed five times and waits for somebody."""

    id: int
    key: str
    version: int
    person_id: PersonId
    step: str
    fault: str
    due_at: datetime


class ParkedRuns(Struct):
    """The oldest first, 1000 at most."""

    parked: list[ParkedRun]


class Release(Struct):
    """Which runs try again."""

    run_ids: Annotated[list[Annotated[int, Meta(ge=1, le=BIGGEST_ID)]], Meta(min_length=1, max_length=MOST_AT_ONCE)]


class Released(Struct):
    """How many of them were parked."""

    retried: int


def every(asked: Asked) -> Journeys:
    return Journeys([msgspec.convert(one, JourneyLine, from_attributes=True) for one in queries.every(asked.session)])


def words(asked: Asked) -> Words:
    known = asked.tool(Vocabulary)
    return Words([EventWord(one.name, one.about, dict(one.fields)) for one in EVENTS.values()],
                 [FactWord(one.name, one.type, one.about, one.subject) for one in FACTS.values()],
                 sorted(known.grants or ()), sorted(known.pictures or ()))


def document(asked: Asked) -> Edition:
    return Edition(asked.path["key"], dump(queries.current(asked.session, asked.path["key"])))


def validate(asked: Asked) -> Faults:
    try:
        return Faults(faults_of(read(asked.body.document), asked.tool(Vocabulary)))
    except JourneyFaults as bad:
        return Faults(bad.faults)


def publish(asked: Asked) -> PublishedEdition:
    """A dry run does the same and takes it back."""
    body, journey = asked.body, read(asked.body.document)
    trial = asked.session.begin_nested()
    done = service.publish(asked.session, journey, asked.tool(Vocabulary), asked.actor.name, asked.now,
                           moves=body.moves, live=not body.draft)
    if body.dry_run:
        trial.rollback()
    else:
        detail = {"edition": done.version, "moves": body.moves, "draft": body.draft}
        audit.record(asked.session, asked.actor, "journey.publish", f"journey:{done.key}", detail, asked.now)
    return PublishedEdition(done.key, done.version, done.changed, done.moving, body.dry_run)


def change(asked: Asked) -> JourneyState:
    key, act = asked.path["key"], asked.path["act"]
    state = service.change_state(asked.session, key, act, asked.actor.name, asked.now)
    audit.record(asked.session, asked.actor, f"journey.{act}", f"journey:{key}", {"why": asked.body.why}, asked.now)
    asked.context.ring(frozenset({"fact"}))
    return JourneyState(key, state)


def stats(asked: Asked) -> Funnel:
    since = asked.now - timedelta(days=asked.number("days", 90, 3_660))
    return msgspec.convert(queries.stats(asked.session, asked.path["key"], since), Funnel, from_attributes=True)


def parked(asked: Asked) -> ParkedRuns:
    found = queries.parked(asked.session, asked.query.get("key") or None, MOST_AT_ONCE)
    return ParkedRuns([msgspec.convert(one, ParkedRun, from_attributes=True) for one in found])


def retry(asked: Asked) -> Released:
    done = service.retry(asked.session, asked.body.run_ids, asked.now)
    if done:
        audit.record(asked.session, asked.actor, "journey.retry", "journey:runs", {"runs": asked.body.run_ids},
                     asked.now)
    return Released(done)


KEY = (("key", "The journey's key."),)
_WRONG = (NO_SUCH, REFUSED)
_ACTS = {"pause": "Nobody enters or moves, waiting messages wait. Goals and exits are still heard.",
         "resume": "Go on, spread over 40 minutes and without what has expired meanwhile.",
         "drain": "Nobody enters any more; who is inside walks to the end, then it archives itself.",
         "archive": "End it for good, also for everybody who is inside."}


def _acting(act: str) -> OpsOperation:
    def done(asked: Asked) -> JourneyState:
        asked.path["act"] = act
        return change(asked)

    return OpsOperation("POST", f"/journeys/<key>/{act}", f"{act}Journey", "Journeys", f"{act.capitalize()} a journey",
                        _ACTS[act], JourneyState, done, roles=OPERATOR, body=(JourneyReason,),
                        read_body=shaped(JourneyReason), places=KEY, refusals=_WRONG)


OPERATIONS = (
    OpsOperation("GET", "/journeys", "listJourneys", "Journeys", "All journeys", "With the people inside.", Journeys,
                 every),
    OpsOperation("GET", "/journey-words", "listJourneyWords", "Journeys", "What journeys may speak of",
                 "Events with their fields, facts, pictures, and what can be given.", Words, words),
    OpsOperation("GET", "/journeys/<key>", "getJourney", "Journeys", "A journey's document",
                 "The edition that new runs take.", Edition, document, places=KEY, refusals=(NO_SUCH,)),
    OpsOperation("GET", "/journeys/<key>/stats", "getJourneyStats", "Journeys", "The funnel",
                 "What became of everybody at each step, of their messages, and what the journey changed against those "
                 "who were held out.", Funnel, stats, places=KEY, refusals=(NO_SUCH,),
                 query=(Parameter("days", "Whoever entered in the last so many days; 90 if not given."),)),
    OpsOperation("POST", "/journey-drafts/validate", "validateJourney", "Journeys", "Check a document",
                 "Form, ways, events, facts, texts with their placeholders.", Faults, validate, body=(JourneyDraft,),
                 read_body=shaped(JourneyDraft)),
    OpsOperation("POST", "/journeys", "publishJourney", "Journeys", "Publish an edition",
                 "New runs take it; people inside finish on theirs unless their step is mapped. A step that is gone "
                 "while people stand at it must be.", PublishedEdition, publish, roles=OPERATOR, body=(Publishing,),
                 read_body=shaped(Publishing), refusals=(REFUSED,)),
    *(_acting(act) for act in _ACTS),
    OpsOperation("GET", "/journey-runs/parked", "listParkedRuns", "Journeys", "Runs that wait for somebody",
                 "They failed five times; nobody else is kept waiting by them.", ParkedRuns, parked,
                 query=(Parameter("key", "Only of this journey."),)),
    OpsOperation("POST", "/journey-runs/retry", "retryParkedRuns", "Journeys", "Let parked runs try again",
                 "After the cause was mended.", Released, retry, roles=OPERATOR, body=(Release,),
                 read_body=shaped(Release)),
)
