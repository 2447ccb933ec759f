"""``POST /api/v1/events/<source>``: signed commerce events in, stored before they are answered.

Order of work: size, signature over the raw bytes, JSON, every event, one transaction, the bell. docs/adr/0011.
"""

import secrets
import time
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

from flask import Request
from sqlalchemy import Engine

from domain.orders import service as orders
from domain.orders.events import AHEAD, CommerceEvent, parse_event
from domain.orders.quick import Row, is_one_list, plain_payments
from domain.shared.late import PooledLateSessions
from domain.shared.seal import Seal
from handlers.web.api import bodies, signature
from handlers.web.api.context import ApiContext
from handlers.web.api.problems import Refusal, invalid, unsigned
from handlers.web.api.shapes import Accepted, Fault

FAULT = "huitou.events.fault"
"""Where a request's environment has the fault that a quicker way met; Flask's view raises it again."""
MAX_EVENTS = 500
MAX_FAULTS = 1000
"""Faults told in one answer: enough to mend any honest batch, and no small body makes a large answer."""


class EventDoor:
    """Takes batches of one request each. ``real_now`` is unix time: signatures are never judged by business time."""

    def __init__(self, context: ApiContext, real_now: Callable[[], float] = time.time) -> None:
        self._context = context
        self._engine: Engine = context.sessions.kw["bind"]
        self._seal = Seal(context.pepper)
        self._real_now = real_now
        self._keys: Mapping[str, tuple[bytes, ...]] = {
            name: tuple(signature.decode_secret(secret) for secret in source.webhook_secrets)
            for name, source in context.sources.items()
        }
        self._nobody = (secrets.token_bytes(32),)

    def take(self, request: Request, source: str) -> Accepted:
        """Store the request's events. Raises Refusal 401, 409, 413, 422; nothing is stored then."""
        headers = request.headers
        return self._counted(source, lambda: self._take(
            bodies.read(request, bodies.MAX_EVENT_BODY), source, headers.get("webhook-id"),
            headers.get("webhook-timestamp"), headers.get("webhook-signature")))

    def receive(
        self, source: str, body: bytes, message_id: str | None, timestamp: str | None, signatures: str | None
    ) -> Accepted:
        """As ``take``, of a body that was read and is no larger than allowed, and the values of its three headers."""
        return self._counted(source, lambda: self._take(body, source, message_id, timestamp, signatures))

    def _counted(self, source: str, take: Callable[[], Accepted]) -> Accepted:
        # Names of strangers stay out of the counters: they would grow without end.
        known = source if source in self._keys else "unknown"
        try:
            taken = take()
        except Refusal as refusal:
            self._context.counted(known, _OUTCOMES.get(refusal.status, "invalid"), 1)
            raise
        self._context.counted(known, "accepted", taken.accepted)
        self._context.counted(known, "duplicate", taken.duplicate)
        return taken

    def _take(
        self, body: bytes, source: str, message_id: str | None, timestamp: str | None, signatures: str | None
    ) -> Accepted:
        """An unknown source costs and answers the same as a bad signature, so names cannot be tried out."""
        keys = self._keys.get(source, self._nobody)
        try:
            signature.verify(keys, message_id, timestamp, signatures, body, self._real_now())
        except signature.SignatureRefused:
            raise unsigned() from None
        now = self._context.now()
        rows = read_rows(body, self._seal, now + AHEAD)
        with PooledLateSessions(self._engine).begin() as session:
            received = orders.receive_rows(session, source, rows, now, commit=True)
            if received.conflicts:
                raise _conflict(received.conflicts)
        if received.accepted:
            self._context.ring(frozenset({"event"}))
        return Accepted(received.accepted, received.duplicates)


_OUTCOMES = {401: "refused", 409: "conflict"}


def read_rows(body: bytes, seal: Seal, latest: datetime) -> list[Row]:
    """The events of a body, ready to be stored. Raises Refusal 422 with every fault of all of them."""
    plain = plain_payments(body, seal, MAX_EVENTS, latest)
    if plain is not None and (is_one_list(body) or not bodies.name_twice(body)):
        return plain
    return [orders.row_of(event) for event in read_events(bodies.json_object(body), seal, latest)]


def read_events(content: Mapping[str, Any], seal: Seal, latest: datetime) -> list[CommerceEvent]:
    """One event or ``{"events": […]}``; what tells of payers and devices is sealed here, before anything is stored.

    Raises Refusal 422 with every fault of all of them.
    """
    if "events" not in content:
        return _parsed([("", content)], seal, latest)
    batch = content["events"]
    if not isinstance(batch, list) or not 1 <= len(batch) <= MAX_EVENTS:
        raise invalid([Fault("/events", f"must be a list of 1 to {MAX_EVENTS} events")])
    return _parsed([(f"/events/{n}", raw) for n, raw in enumerate(batch)], seal, latest)


def _parsed(raws: list[tuple[str, Any]], seal: Seal, latest: datetime) -> list[CommerceEvent]:
    events: list[CommerceEvent] = []
    faults: list[Fault] = []
    for pointer, raw in raws:
        parsed = parse_event(raw, seal, latest)
        if isinstance(parsed, CommerceEvent):
            events.append(parsed)
            continue
        faults += [Fault(pointer + fault.pointer, fault.message) for fault in parsed]
        if len(faults) > MAX_FAULTS:
            raise invalid(faults[:MAX_FAULTS], more=True)
    if faults:
        raise invalid(faults)
    return events


def _conflict(ids: tuple[str, ...]) -> Refusal:
    return Refusal(
        409, "conflict", f"Nothing was taken. Known with other content: {', '.join(ids[:20])}"
        + (f" and {len(ids) - 20} more" if len(ids) > 20 else ""),
    )
