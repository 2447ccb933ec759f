"""What is known of the people of one batch: facts are loaded for all of them when the first one asks."""

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

from sqlalchemy.orm import Session

from domain.experiments import service as experiments
from domain.journeys import facts
from domain.journeys.conditions import Value
from domain.journeys.facts import Subject
from domain.shared.errors import NotFound


class ArmWanted(Exception):
    """A walk has come to a split whose arm was not asked for yet: arms are asked for many people at once."""

    def __init__(self, experiment: str) -> None:
        super().__init__(experiment)
        self.experiment = experiment


class Crowd:
    """The people of a batch, each with the event that their run began with. As of ``now``."""

    def __init__(self, session: Session, now: datetime, members: Iterable[tuple[int, Mapping[str, Any]]] = ()) -> None:
        self._session, self._now = session, now
        self._members = list(members)
        self._known: dict[str, dict[Subject, Value]] = {}
        self._arms: dict[tuple[str, int], str | None] = {}

    def of(self, person_id: int, event: Mapping[str, Any]) -> "OneOf":
        """What is known of one of them."""
        return OneOf(self, person_id, event)

    def fact(self, name: str, person_id: int, event: Mapping[str, Any]) -> Value:
        """A fact of one of them; the first to ask loads it for all."""
        wanted = facts.subject_of(name, person_id, event)
        known = self._known.get(name)
        if known is None or wanted not in known:
            everybody = {facts.subject_of(name, one, data) for one, data in self._members} | {wanted}
            self._known |= facts.load(self._session, name, sorted(everybody), self._now)
        return self._known[name][wanted]

    def arm(self, experiment: str, person_id: int) -> str | None:
        """The arm that ``assign`` brought. Raises ArmWanted before."""
        try:
            return self._arms[experiment, person_id]
        except KeyError:
            raise ArmWanted(experiment) from None

    def assign(self, experiment: str, people: Iterable[int]) -> None:
        """Ask for the arms of people who stand at the split now: this is their exposure."""
        wanted = sorted(set(people))
        try:
            given: Mapping[int, str | None] = experiments.assign(self._session, experiment, wanted, self._now)
        except NotFound:  # nobody made such an experiment: the weights of the split decide
            given = dict.fromkeys(wanted)
        self._arms |= {(experiment, person): given.get(person) for person in wanted}


class OneOf:
    """One person of a crowd (a ``runs.Facts``)."""

    __slots__ = ("_crowd", "_event", "_person")

    def __init__(self, crowd: Crowd, person_id: int, event: Mapping[str, Any]) -> None:
        self._crowd, self._person, self._event = crowd, person_id, event

    def fact(self, name: str) -> Value:
        return self._crowd.fact(name, self._person, self._event)

    def arm(self, experiment: str) -> str | None:
        return self._crowd.arm(experiment, self._person)
