"""What is known of the people of one batch: facts are loaded for all of them when the first one asks."""

from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from typing import Any

from sqlalchemy.orm import Session

from domain.journeys import facts
from domain.journeys.conditions import Value
from domain.journeys.facts import Subject

Assign = Callable[[Session, str, int, datetime], str | None]
"""The port to experiments: (session, experiment, person, now) → the person's arm, or None while nobody runs it."""


def nobody_assigns(_session: Session, _experiment: str, _person_id: int, _now: datetime) -> None:
    """Without experiments every split goes by its weights."""


class Crowd:
    """The people of a batch, each with the event that their run began with. As of ``now``."""

    def __init__(self, session: Session, now: datetime, assign: Assign,
                 members: Iterable[tuple[int, Mapping[str, Any]]] = ()) -> None:
        self._session, self._now, self._assign = session, now, assign
        self._members = list(members)
        self._known: dict[str, dict[Subject, Value]] = {}

    def of(self, person_id: int, event: Mapping[str, Any]) -> "OneOf":
        """What is known of one of them."""
        return OneOf(self, person_id, event)

    def fact(self, name: str, person_id: int, event: Mapping[str, Any]) -> Value:
        wanted = facts.subject_of(name, person_id, event)
        known = self._known.get(name)
        if known is None or wanted not in known:
            everybody = {facts.subject_of(name, one, data) for one, data in self._members} | {wanted}
            self._known |= facts.load(self._session, name, sorted(everybody), self._now)
        return self._known[name][wanted]

    def arm(self, experiment: str, person_id: int) -> str | None:
        return self._assign(self._session, experiment, person_id, self._now)


class OneOf:
    """One person of a crowd (a ``rules.Facts``)."""

    __slots__ = ("_crowd", "_event", "_person")

    def __init__(self, crowd: Crowd, person_id: int, event: Mapping[str, Any]) -> None:
        self._crowd, self._person, self._event = crowd, person_id, event

    def fact(self, name: str) -> Value:
        return self._crowd.fact(name, self._person, self._event)

    def arm(self, experiment: str) -> str | None:
        return self._crowd.arm(experiment, self._person)
