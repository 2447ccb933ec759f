"""Running experiments: who sees which arm, when weights change, when one ends. Never commits."""

import random
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from hashlib import sha256

import msgspec
from sqlalchemy import select, text
from sqlalchemy.orm import Session

from domain.audit import service as audit
from domain.audit.rules import SYSTEM
from domain.experiments import queries
from domain.experiments.models import ExperimentRow, Period
from domain.experiments.rules import BANDIT_UNIFORM_BPS, SPACE, Experiment, arm_of, bucket, parse, takes_part, thompson
from domain.shared.errors import Conflict, DomainError, NotFound
from domain.shared.money import BPS
from domain.shared.records import record

_EXPOSE = text("""
    insert into exposure (experiment, person_id, arm, period, uniform, exposed_at)
    select :experiment, e.person_id, e.arm, :period, e.uniform, :now
      from unnest(cast(:people as bigint[]), cast(:arms as text[]), cast(:uniform as boolean[]))
           as e (person_id, arm, uniform)
     order by e.person_id
        on conflict (experiment, person_id) do nothing""")
_SHOWN = text("select person_id, arm from exposure where experiment = :experiment and person_id = any(:people)")


@record
class Running:
    """An experiment as it stands. ``weights`` and ``period`` are those of now."""

    definition: Experiment
    state: str
    winner: str
    period: int
    weights: Mapping[str, int]


def create(session: Session, definition: Experiment, now: datetime) -> None:
    """Keep a new experiment as a draft. The same document again changes nothing; another one under its key raises
    Conflict("experiment_exists")."""
    document = definition.document()
    digest = sha256(msgspec.json.encode(document, order="sorted")).hexdigest()
    known = session.get(ExperimentRow, definition.key)
    if known is None:
        session.add(ExperimentRow(key=definition.key, document=document, digest=digest, created_at=now))
        session.flush()
    elif known.digest != digest:
        raise Conflict("experiment_exists", key=definition.key)


def start(session: Session, key: str, now: datetime) -> None:
    """From draft to running. Raises NotFound, DomainError("experiment_state" | "experiment_overlap")."""
    row = _row(session, key, lock=True)
    _expect(row, "draft")
    definition = parse(row.document)
    for other in session.scalars(select(ExperimentRow).where(ExperimentRow.state == "running")):
        if _collide(definition, parse(other.document)):
            raise DomainError("experiment_overlap", key=key, other=other.key)
    row.state, row.started_at = "running", now
    session.add(Period(experiment=key, n=1, weights=definition.weights(), from_at=now))
    session.flush()


def _collide(one: Experiment, other: Experiment) -> bool:
    return bool(one.namespace) and one.namespace == other.namespace and (
        one.from_bps < other.until_bps and other.from_bps < one.until_bps)


def reweigh(session: Session, key: str, weights: Mapping[str, int], now: datetime) -> int:
    """New weights for people who were not exposed yet; returns the number of the period. Raises
    DomainError("experiment_weights") unless every arm is named once with a weight of 0 or more, and not all 0."""
    row = _row(session, key, lock=True)
    _expect(row, "running")
    names = list(parse(row.document).weights())
    if set(weights) != set(names) or min(weights.values()) < 0 or not sum(weights.values()):
        raise DomainError("experiment_weights", key=key)
    last = _periods(session, [key])[key]
    session.add(Period(experiment=key, n=last.n + 1, weights={name: weights[name] for name in names}, from_at=now))
    session.flush()
    return last.n + 1


def stop(session: Session, key: str, reason: str, now: datetime) -> None:
    """Everybody gets the control from now on; what was seen stays readable."""
    row = _row(session, key, lock=True)
    _expect(row, "running")
    row.state, row.reason, row.ended_at = "stopped", reason[:300], now
    session.flush()


def adopt(session: Session, key: str, arm: str, reason: str, now: datetime) -> None:
    """Everybody gets ``arm`` from now on. Raises DomainError("experiment_arm") for an arm it does not have."""
    row = _row(session, key, lock=True)
    if row.state not in ("running", "stopped"):
        raise DomainError("experiment_state", key=key, state=row.state)
    if arm not in parse(row.document).weights():
        raise DomainError("experiment_arm", key=key, arm=arm)
    row.state, row.winner, row.reason, row.ended_at = "adopted", arm, reason[:300], now
    session.flush()


def find(session: Session, key: str) -> Running | None:
    """The experiment as it stands, None for a key that nobody knows."""
    row = session.get(ExperimentRow, key)
    if row is None:
        return None
    definition = parse(row.document)
    period = _periods(session, [key]).get(key)
    if period is None:
        return Running(definition, row.state, row.winner, 0, definition.weights())
    # JSON objects have no order, arms do: equal weights must keep people in place.
    weights = {name: period.weights[name] for name in definition.weights()}
    return Running(definition, row.state, row.winner, period.n, weights)


def assign(session: Session, key: str, people: Sequence[int], now: datetime) -> dict[int, str]:
    """The arm of each person, written down as their exposure: call this where the arms begin to differ, not before.

    Who was exposed before keeps their arm. People outside of the experiment's range, and everybody before it runs or
    after it was stopped, get the control; after an adoption the winner. Raises NotFound for an unknown key.
    """
    one = find(session, key)
    if one is None:
        raise NotFound("experiment_unknown", key=key)
    if one.state != "running":
        return dict.fromkeys(people, one.winner or one.definition.control)
    inside = sorted({person for person in people if takes_part(one.definition, person)})
    _expose(session, one, inside, now)
    shown = {row.person_id: row.arm for row in session.execute(_SHOWN, {"experiment": key, "people": inside})}
    return {person: shown.get(person, one.definition.control) for person in people}


def _expose(session: Session, one: Running, people: Sequence[int], now: datetime) -> None:
    if not people:
        return
    definition = one.definition
    uniform = [_uniform(definition, person) for person in people]
    level = definition.weights() if definition.kind == "ab" else dict.fromkeys(definition.weights(), 1)
    arms = [arm_of(definition.key, level if even else one.weights, person)
            for person, even in zip(people, uniform, strict=True)]
    session.execute(_EXPOSE, {"experiment": definition.key, "period": one.period, "now": now,
                              "people": list(people), "arms": arms, "uniform": uniform})


def _uniform(definition: Experiment, person: int) -> bool:
    """Whether a bandit may not choose for this person."""
    if definition.kind != "bandit":
        return False
    return bucket(f"uniform:{definition.key}", person) * BPS < BANDIT_UNIFORM_BPS * SPACE


def running(session: Session) -> list[Running]:
    """Every experiment that runs now."""
    live = select(ExperimentRow.key).where(ExperimentRow.state == "running").order_by(ExperimentRow.key)
    return [one for key in session.scalars(live).all() if (one := find(session, key)) is not None]


def tend(session: Session, key: str, now: datetime) -> str:
    """Look after a running experiment: stop it when its counts do not fit or an arm surely does harm, and let a bandit
    choose anew. Returns what was done: '', 'mismatch', 'harmful' or 'reweighed'."""
    reading = queries.read(session, key, now)
    if reading.state != "running":
        return ""
    if reading.verdict in ("mismatch", "harmful"):
        reason = f"{reading.verdict} {reading.best}".strip()
        stop(session, key, reason, now)
        audit.record(session, SYSTEM, "experiment.stop", f"experiment:{key}",
                     {"reason": reason, "srm_p": f"{reading.srm_p:.2g}"}, now)
        return reading.verdict
    if reading.definition.kind != "bandit":
        return ""
    dice = random.Random(f"{key}:{now.isoformat()}")
    weights = thompson(queries.by_day(session, reading.definition, now), dice)
    current = find(session, key)
    if current is None or current.weights == weights:
        return ""
    reweigh(session, key, weights, now)
    return "reweighed"


def move(session: Session, kept_id: int, gone_id: int, now: datetime) -> dict[str, int]:
    """A merge's part: of two arms in one experiment the earlier exposure stays."""
    ends = {"kept": kept_id, "gone": gone_id}
    session.execute(text("""
        delete from exposure a using exposure b
         where a.experiment = b.experiment and a.person_id in (:kept, :gone) and b.person_id in (:kept, :gone)
           and (b.exposed_at, b.person_id) < (a.exposed_at, a.person_id)"""), ends)
    moved = session.execute(text(
        "update exposure set person_id = :kept where person_id = :gone returning experiment"), ends).all()
    return {"exposure": len(moved)} if moved else {}


def _periods(session: Session, keys: Iterable[str]) -> dict[str, Period]:
    """The last period of each experiment that has begun."""
    found = session.scalars(select(Period).where(Period.experiment.in_(list(keys))).order_by(Period.n))
    return {period.experiment: period for period in found}


def _row(session: Session, key: str, *, lock: bool = False) -> ExperimentRow:
    wanted = select(ExperimentRow).where(ExperimentRow.key == key)
    row = session.scalar(wanted.with_for_update() if lock else wanted)
    if row is None:
        raise NotFound("experiment_unknown", key=key)
    return row


def _expect(row: ExperimentRow, state: str) -> None:
    if row.state != state:
        raise DomainError("experiment_state", key=row.key, state=row.state)


