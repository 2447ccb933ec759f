"""A shop for journey tests: people, things that happen to them, and workers, on a real database."""

import itertools
from collections import Counter
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sqlalchemy import Engine, text
from sqlalchemy.orm import sessionmaker

from domain import workflows
from domain.journeys import service
from domain.journeys.checking import Vocabulary
from domain.journeys.library import Library
from domain.journeys.reading import read
from domain.journeys.runs import Event
from domain.people import service as people
from domain.people.rules import IdentityRef
from domain.shared.clock import FixedClock
from tests.integration.journeys import forms

PEPPER = b"a pepper of at least sixteen bytes"
NO_CHECKS = Vocabulary()


@dataclass
class World:
    """``library`` is what one worker process keeps; a test with two workers makes two."""

    engine: Engine
    clock: FixedClock
    library: Library = field(default_factory=Library)
    people: dict[str, int] = field(default_factory=dict)
    numbers: Any = field(default_factory=lambda: itertools.count(1))

    def __post_init__(self) -> None:
        self.sessions = sessionmaker(self.engine, expire_on_commit=False)

    def person(self, name: str) -> int:
        return self.crowd([name])[0]

    def crowd(self, names: list[str]) -> list[int]:
        fresh = [name for name in names if name not in self.people]
        with self.sessions.begin() as session:
            groups = [[IdentityRef("mall_user_id", name)] for name in fresh]
            made = people.resolve_many(session, groups, self.clock.now(), pepper=PEPPER) if fresh else []
        self.people |= dict(zip(fresh, made, strict=True))
        return [self.people[name] for name in names]

    def publish(self, form: dict[str, Any] | None = None, moves: dict[str, str] | None = None,
                **change: Any) -> service.Published:
        """Publish the usual form with changes."""
        journey = read((form or forms.nudge()) | change)
        with self.sessions.begin() as session:
            return service.publish(session, journey, NO_CHECKS, "test", self.clock.now(), moves=moves)

    def happens(self, kind: str, to: str, key: str = "", at: datetime | None = None, **data: Any) -> int:
        return self.all_happen([self.event(kind, to, key, at, **data)])

    def event(self, kind: str, to: str, key: str = "", at: datetime | None = None, **data: Any) -> Event:
        return Event(kind, key or f"{kind}:{next(self.numbers)}", self.person(to), at or self.clock.now(), data)

    def all_happen(self, events: list[Event]) -> int:
        with self.sessions.begin() as session:
            return service.happened(session, events, self.clock.now())

    def work(self, library: Library | None = None) -> int:
        done = 0
        for _ in range(100):
            taken = workflows.walk_journeys(self.sessions, library or self.library, self.clock.now())
            if not taken:
                return done
            done += taken
        raise AssertionError("the work never ends")

    def wait(self, **by: float) -> None:
        seconds = {"days": 86_400, "hours": 3_600, "minutes": 60, "seconds": 1}
        self.clock.advance(sum(value * seconds[unit] for unit, value in by.items()))
        self.work()

    def state(self, key: str, act: str) -> str:
        with self.sessions.begin() as session:
            return service.change_state(session, key, act, "test", self.clock.now())

    def rows(self, statement: str, **asked: Any) -> list[tuple[Any, ...]]:
        with self.sessions.begin() as session:
            return [tuple(row) for row in session.execute(text(statement), asked)]

    def runs(self) -> list[tuple[Any, ...]]:
        """(person id, run no, state, step, end reason), oldest first."""
        return self.rows("select person_id, run_no, state, step, end_reason from enrolment order by id")

    def due(self) -> list[tuple[Any, ...]]:
        """(journey id, due at, run id) of everybody who can be moved, now or later."""
        return self.rows("select journey_id, due_at, enrolment_id from enrolment_due"
                         " order by journey_id, due_at, enrolment_id")

    def told(self) -> Counter[str]:
        """How often each text was put into the outbox."""
        return Counter(key for key, in self.rows("select payload ->> 'key' from outbox where queue = 'notice'"))

    def visits(self) -> list[tuple[Any, ...]]:
        return self.rows("select step, outcome, reason, arm from step_visit order by enrolment_id, no")
