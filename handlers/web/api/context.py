"""What the API's doors are given by the composition root."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime

from sqlalchemy.orm import Session, sessionmaker


@dataclass(frozen=True, slots=True)
class Source:
    """A system of the shop: signs its events with any of ``webhook_secrets``, reads with ``api_key``."""

    name: str
    webhook_secrets: tuple[str, ...] = field(repr=False)
    api_key: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class ApiContext:
    """``now`` is business time. ``ring`` is called with names of queues after a commit; what it returns is not
    looked at. ``pepper`` keys the hashes of phone numbers. ``sources`` by name."""

    sessions: sessionmaker[Session]
    now: Callable[[], datetime]
    ring: Callable[[frozenset[str]], object]
    pepper: bytes = field(repr=False)
    sources: Mapping[str, Source]
