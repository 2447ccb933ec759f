"""Experiments through the API: started, read, weighed anew, stopped, and the winner given to everybody."""

from datetime import datetime
from math import isfinite
from typing import Annotated, Any, Literal

from msgspec import Meta, Struct

from domain.audit import service as audit
from domain.experiments import queries, rules, service
from domain.experiments.rules import Comparison
from domain.shared.errors import NotFound
from handlers.web.ops.context import NO_SUCH, OPERATOR, REFUSED, Asked, OpsOperation, shaped
from handlers.web.ops.journeys import Counts, JourneyReason


class ExperimentLine(Struct):
    """An experiment."""

    key: str
    title: str
    kind: Literal["ab", "bandit"]
    state: Literal["draft", "running", "stopped", "adopted"]
    created_at: datetime


class Experiments(Struct):
    """The newest first."""

    experiments: list[ExperimentLine]


class NewExperiment(Struct):
    """The document of the file, as JSON: key, title, surface, goal, arms and so on; the first arm is the control."""

    document: dict[str, Any]


class ExperimentState(Struct):
    """How it stands."""

    key: str
    state: str
    winner: str
    weights: Counts


class Weights(Struct):
    """Every arm once; nobody who was exposed before moves."""

    weights: Counts


class ArmAdoption(Struct):
    """Which arm everybody gets, and why."""

    arm: Annotated[str, Meta(min_length=1, max_length=100)]
    why: Annotated[str, Meta(min_length=1, max_length=1000)]


class Difference(Struct):
    """Against the control; the interval holds however often one looks, null where nothing can be said."""

    effect: float
    low: float | None
    high: float | None
    p: float


class GuardState(Struct):
    """What an arm must not harm."""

    metric: str
    worse_by: Annotated[int, Meta(description="So much worse, surely, stops the experiment; basis points.")]
    broken: bool
    difference: Difference


class ArmState(Struct):
    """One arm; no difference and no guards for the control."""

    name: str
    exposed: int
    counted: Annotated[int, Meta(description="People whose window is over.")]
    mean: float
    difference: Difference | None
    guards: list[GuardState]


class ExperimentResult(Struct):
    """What may be said now."""

    key: str
    title: str
    state: str
    verdict: Literal["draft", "too_early", "mismatch", "harmful", "winner", "worse", "open", "stopped", "adopted"]
    best: Annotated[str, Meta(description="The winner, or the arm that does harm.")]
    reason: str
    srm_p: Annotated[float, Meta(description="Below 0.001: the numbers of people do not fit the weights.")]
    metric: str
    within_days: int
    arms: list[ArmState]
    read_at: datetime


def every(asked: Asked) -> Experiments:
    return Experiments([ExperimentLine(one.key, one.title, one.kind, state, at)  # type: ignore[arg-type]
                        for one, state, at in queries.every(asked.session)])


def create(asked: Asked) -> ExperimentState:
    definition = rules.parse(asked.body.document)
    service.create(asked.session, definition, asked.now)
    return _done(asked, definition.key, "create", {"title": definition.title})


def start(asked: Asked) -> ExperimentState:
    service.start(asked.session, asked.path["key"], asked.now)
    return _done(asked, asked.path["key"], "start", {})


def weigh(asked: Asked) -> ExperimentState:
    service.reweigh(asked.session, asked.path["key"], asked.body.weights, asked.now)
    return _done(asked, asked.path["key"], "weigh", {"weights": asked.body.weights})


def stop(asked: Asked) -> ExperimentState:
    service.stop(asked.session, asked.path["key"], asked.body.why, asked.now)
    return _done(asked, asked.path["key"], "stop", {"why": asked.body.why})


def adopt(asked: Asked) -> ExperimentState:
    service.adopt(asked.session, asked.path["key"], asked.body.arm, asked.body.why, asked.now)
    return _done(asked, asked.path["key"], "adopt", {"arm": asked.body.arm, "why": asked.body.why})


def result(asked: Asked) -> ExperimentResult:
    found = queries.read(asked.session, asked.path["key"], asked.now)
    one = found.definition
    arms = [ArmState(arm.name, arm.exposed, arm.sample.people, arm.sample.mean, _difference(arm.comparison),
                     [GuardState(seen.guard.metric, seen.guard.worse_by, seen.broken, _told(seen.comparison))
                      for seen in arm.guards]) for arm in found.arms]
    return ExperimentResult(one.key, one.title, found.state, found.verdict, found.best, found.reason, found.srm_p,
                            one.goal.metric, one.goal.within_days, arms, found.read_at)


def _difference(found: Comparison | None) -> Difference | None:
    return _told(found) if found is not None else None


def _told(found: Comparison) -> Difference:
    low, high = (value if isfinite(value) else None for value in (found.low, found.high))
    return Difference(found.effect, low, high, found.p)


def _done(asked: Asked, key: str, act: str, detail: dict[str, Any]) -> ExperimentState:
    audit.record(asked.session, asked.actor, f"experiment.{act}", f"experiment:{key}", detail, asked.now)
    one = service.find(asked.session, key)
    if one is None:
        raise NotFound("experiment_unknown", key=key)
    return ExperimentState(key, one.state, one.winner, dict(one.weights))


def _acting(act: str, title: str, about: str, call: Any, body: type[Struct] | None = None) -> OpsOperation:
    return OpsOperation("POST", f"/experiments/<key>/{act}", f"{act}Experiment", "Experiments", title, about,
                        ExperimentState, call, roles=OPERATOR, places=_KEY, body=(body,) if body else (),
                        read_body=shaped(body) if body else None,
                        refusals=(NO_SUCH, REFUSED))


_KEY = (("key", "The experiment's key."),)

OPERATIONS = (
    OpsOperation("GET", "/experiments", "listExperiments", "Experiments", "All experiments", "The newest first.",
                 Experiments, every),
    OpsOperation("POST", "/experiments", "createExperiment", "Experiments", "Keep an experiment as a draft",
                 "Says everything that is wrong with it. The same document again changes nothing.", ExperimentState,
                 create, roles=OPERATOR, status=201, body=(NewExperiment,), read_body=shaped(NewExperiment),
                 refusals=(REFUSED,)),
    OpsOperation("GET", "/experiments/<key>/result", "getExperimentResult", "Experiments", "Read an experiment",
                 "Every arm, its difference to the control, and what may be said. It may be read at any time.",
                 ExperimentResult, result, places=_KEY, refusals=(NO_SUCH,)),
    _acting("start", "Start it", "People are exposed from now on.", start),
    _acting("weigh", "Change the weights", "For people who come from now on; nobody who was exposed before moves.",
            weigh, Weights),
    _acting("stop", "Stop it", "Everybody gets the control again.", stop, JourneyReason),
    _acting("adopt", "Adopt an arm", "Everybody gets it from now on.", adopt, ArmAdoption),
)
