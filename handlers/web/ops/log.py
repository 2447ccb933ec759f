"""The log of operators' acts through the API: what was done, and whether the log is whole."""

from datetime import datetime
from typing import Annotated, Any

import msgspec
from msgspec import Meta, Struct

from domain.audit import queries, seals
from domain.audit.rules import SealKey
from handlers.web.api.operations import Parameter
from handlers.web.ops.context import BIGGEST_ID, MONEY, Asked, OpsOperation

PAGE, MOST = 50, 500


class Event(Struct):
    """One act."""

    id: int
    at: Annotated[datetime, Meta(description="Business time.")]
    written_at: Annotated[datetime, Meta(description="The database's own time.")]
    operator: str
    role: str
    act: str
    subject: str
    detail: dict[str, Any]


class Events(Struct):
    """A page, newest first."""

    events: list[Event]
    next_before: Annotated[int | None, Meta(description="Send as ?before= for the next page; null at the end.")]


class SealFault(Struct):
    """What is wrong with one row; event_id is 0 where there is no row to name."""

    event_id: int
    what: str


class Head(Struct):
    """The newest seal. Noted elsewhere, it shows later whether the end of the log was cut off."""

    event_id: int
    digest: str


class SealReport(Struct):
    """The chain, computed again."""

    sound: bool
    sealed: int
    unsealed: Annotated[int, Meta(description="Rows that wait for the next sealing, a minute at most.")]
    open_since: datetime | None
    head: Head
    faults: Annotated[list[SealFault], Meta(description="The first broken row first.")]


def some(asked: Asked) -> Events:
    before, limit = asked.number("before", BIGGEST_ID, BIGGEST_ID), asked.number("limit", PAGE, MOST)
    found = queries.events(
        asked.session, before, limit, subject=asked.query.get("subject", ""), operator=asked.query.get("operator", ""),
        act=asked.query.get("act", ""),
    )
    events = [msgspec.convert(one, Event, from_attributes=True) for one in found]
    return Events(events, events[-1].id if len(events) == limit else None)


def verify(asked: Asked) -> SealReport:
    report = seals.verify(asked.session, asked.tool(SealKey))
    return msgspec.convert(report, SealReport, from_attributes=True)


OPERATIONS = (
    OpsOperation("GET", "/audit", "listAudit", "Audit", "What operators did", "Newest first.", Events, some,
                 query=(Parameter("subject", "Only what was done to this, as in person:17."),
                        Parameter("operator", "Only what this operator did."),
                        Parameter("act", "Only this act; with a full stop at the end all that start so."),
                        Parameter("before", "next_before of the page before."),
                        Parameter("limit", f"How many on a page, {MOST} at most; {PAGE} if not given."))),
    OpsOperation("GET", "/audit/verify", "verifyAudit", "Audit", "Check the log",
                 "Computes the whole hash chain again and names the first row that does not fit.", SealReport, verify,
                 roles=MONEY),
)
