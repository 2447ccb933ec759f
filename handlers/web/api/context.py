"""What the API's doors are given by the composition root."""

from collections.abc import Callable, Mapping
from dataclasses import field
from datetime import datetime

from sqlalchemy.orm import Session, sessionmaker

from domain.shared.records import record


@record
class Source:
    """A system of the shop: signs its events with any of ``webhook_secrets``, reads with ``api_key``."""

    name: str
    webhook_secrets: tuple[str, ...] = field(repr=False)
    api_key: str = field(repr=False)


def _uncounted(source: str, outcome: str, number: int) -> None:
    """Nobody counts."""


@record
class ApiContext:
    """``now`` is business time. ``ring`` is called with names of queues after a commit; what it returns is not
    looked at. ``pepper`` keys the hashes of phone numbers. ``sources`` by name."""

    sessions: sessionmaker[Session]
    now: Callable[[], datetime]
    ring: Callable[[frozenset[str]], object]
    pepper: bytes = field(repr=False)
    sources: Mapping[str, Source]
    counted: Callable[[str, str, int], None] = _uncounted
    """Told of a source, an outcome (accepted, duplicate, conflict, invalid, refused) and how many."""
