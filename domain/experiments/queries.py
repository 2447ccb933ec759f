"""Readings: what each arm's people did within the window after their exposure, and what may be said about it."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Literal

from sqlalchemy import select, text
from sqlalchemy.orm import Session

from domain.experiments.models import ExperimentRow, Period
from domain.experiments.rules import (
    ALPHA,
    LESS_IS_WORSE,
    SRM_ALARM,
    Comparison,
    Day,
    Experiment,
    Guard,
    Metric,
    Sample,
    compare,
    is_worse,
    mismatch,
    parse,
    tuning,
)
from domain.shared.errors import NotFound
from domain.shared.money import BPS
from domain.shared.records import record

_KEPT = "o.buyer_id = x.person_id and o.paid_at >= x.exposed_at and o.paid_at < x.exposed_at + x.span" \
        " and o.closed_at is null and o.refunded_fen < o.paid_fen"
_VALUES: dict[Metric, str] = {
    "order": "select count(*) > 0 from customer_order o where kept",
    "revenue": "select coalesce(sum(o.paid_fen - o.refunded_fen), 0) from customer_order o where kept",
    "refund": "select count(*) > 0 from customer_order o where o.buyer_id = x.person_id and o.paid_at >= x.exposed_at"
              " and o.paid_at < x.exposed_at + x.span and (o.refunded_fen > 0 or o.closed_at is not null)",
    "unfollow": "select count(*) > 0 from identity i where i.person_id = x.person_id"
                " and i.unfollowed_at >= x.exposed_at and i.unfollowed_at < x.exposed_at + x.span",
    "opt_out": "select count(*) > 0 from consent c where c.person_id = x.person_id and not c.given"
               " and c.changed_at >= x.exposed_at and c.changed_at < x.exposed_at + x.span",
    "margin": "select coalesce(sum((l.paid_fen - l.refunded_fen) * coalesce(p.margin_bps, 0) / 10000"
              " - coalesce((select sum(m.amount_fen - m.clawed_fen) from commission_line m"
              " where m.order_id = l.order_id and m.n = l.n), 0)), 0)"
              " from customer_order o join order_line l on l.order_id = o.id left join product p on p.sku = l.sku"
              " where kept",
    "notices": "select count(*) * 1000 from outbox b where b.person_id = x.person_id and b.queue = 'notice'"
               " and b.state = 'done' and b.ended_at >= x.exposed_at and b.ended_at < x.exposed_at + x.span",
}
"""One person's value in the window after the exposure: yes or no, fen, or thousandths of a message. ``kept`` stands for
the condition that an order was paid in the window and not given back."""

_SAMPLE = """
    select x.arm, count(*) as people, coalesce(sum(v.value), 0)::bigint as total,
           coalesce(sum(v.value * v.value), 0)::numeric as squares
      from (select person_id, arm, exposed_at, make_interval(days => :days) as span from exposure
             where experiment = :experiment and exposed_at <= :ripe and (not :even or uniform)) x
      cross join lateral (select ({value})::{cast} as value) v
     group by x.arm"""
YES_OR_NO: frozenset[Metric] = frozenset({"order", "refund", "unfollow", "opt_out"})

_COUNTS = text("select period, arm, count(*) as people from exposure"
               " where experiment = :experiment and not uniform group by 1, 2")

_BY_DAY = """
    select x.arm, x.age, count(*) as people, coalesce(sum(v.value), 0)::bigint as successes
      from (select person_id, arm, exposed_at, make_interval(days => :days) as span,
                   extract(day from :now - exposed_at)::bigint as age
              from exposure where experiment = :experiment and exposed_at <= :ripe) x
      cross join lateral (select ({value})::int as value) v
     group by 1, 2"""

Verdict = Literal["draft", "too_early", "mismatch", "harmful", "winner", "worse", "open", "stopped", "adopted"]


@record
class GuardReading:
    guard: Guard
    comparison: Comparison
    broken: bool


@record
class ArmReading:
    """One arm. ``comparison`` and ``guards`` are against the control; None and () for the control itself."""

    name: str
    exposed: int
    sample: Sample
    comparison: Comparison | None
    guards: tuple[GuardReading, ...]


@record
class Reading:
    """What an experiment shows now. ``best`` names the winner of verdict ``winner``, the arm that does harm of
    ``harmful``; '' otherwise. ``srm_p`` below 0.001: the counts do not fit the weights, trust nothing."""

    definition: Experiment
    state: str
    reason: str
    arms: tuple[ArmReading, ...]
    srm_p: float
    verdict: Verdict
    best: str
    read_at: datetime


def read(session: Session, key: str, now: datetime) -> Reading:
    """The reading of an experiment. Raises NotFound. People whose window is still open are not counted yet; a
    bandit is read from its even tenth alone."""
    row = session.get(ExperimentRow, key)
    if row is None:
        raise NotFound("experiment_unknown", key=key)
    one = parse(row.document)
    counts = _counts(session, key)
    exposed = {arm: sum(people.get(arm, 0) for people in counts.values()) for arm in one.weights()}
    values = samples(session, one, one.goal.metric, one.goal.within_days, now)
    control, tuned = values[one.control], tuning(one, list(values.values()))
    arms = tuple(
        ArmReading(name, exposed[name], values[name],
                   None if name == one.control else compare(values[name], control, tuned),
                   () if name == one.control else _guards(session, one, name, now))
        for name in one.weights()
    )
    p = mismatch(_periods(session, one, counts)) if one.kind == "ab" else 1.0
    verdict, best = _verdict(one, row.state, arms, p)
    return Reading(one, row.state, row.reason, arms, p, verdict, best or row.winner, now)


def samples(session: Session, one: Experiment, metric: Metric, days: int, now: datetime) -> dict[str, Sample]:
    """By arm, what ``metric`` came to within ``days``, of the people whose window is over."""
    cast = "int" if metric in YES_OR_NO else "bigint"
    rows = session.execute(text(_SAMPLE.format(value=_VALUES[metric].replace("kept", _KEPT), cast=cast)), {
        "experiment": one.key, "days": days, "ripe": now - timedelta(days=days), "even": one.kind == "bandit",
    })
    found = {row.arm: Sample(row.people, row.total, int(row.squares)) for row in rows}
    return {name: found.get(name, Sample(0, 0, 0)) for name in one.weights()}


def by_day(session: Session, one: Experiment, now: datetime) -> dict[str, list[Day]]:
    """For a bandit: by arm, how many were shown it how long ago, and how many of them reached the goal."""
    query = text(_BY_DAY.format(value=_VALUES[one.goal.metric].replace("kept", _KEPT)))
    days = timedelta(days=one.goal.within_days)
    found: dict[str, list[Day]] = {name: [] for name in one.weights()}
    for row in session.execute(query, {"experiment": one.key, "days": days.days, "now": now, "ripe": now - days}):
        found[row.arm].append(Day(row.age, row.people, row.successes))
    return found


def every(session: Session) -> list[tuple[Experiment, str, datetime]]:
    """All experiments: document, state and when they were made, newest first."""
    rows = session.scalars(select(ExperimentRow).order_by(ExperimentRow.created_at.desc(), ExperimentRow.key))
    return [(parse(row.document), row.state, row.created_at) for row in rows]


def _guards(session: Session, one: Experiment, arm: str, now: datetime) -> tuple[GuardReading, ...]:
    found = []
    for guard in one.guards:
        values = samples(session, one, guard.metric, guard.within_days, now)
        worse_by = guard.worse_by / BPS if guard.metric in YES_OR_NO else float(guard.worse_by)
        compared = compare(values[arm], values[one.control], max(worse_by, 1e-3))
        found.append(GuardReading(guard, compared, is_worse(guard.metric, compared, worse_by)))
    return tuple(found)


def _verdict(one: Experiment, state: str, arms: tuple[ArmReading, ...], p: float) -> tuple[Verdict, str]:
    if state in ("draft", "stopped", "adopted"):
        return state, ""  # type: ignore[return-value]
    if p < SRM_ALARM:
        return "mismatch", ""
    for arm in arms:
        if any(guard.broken for guard in arm.guards):
            return "harmful", arm.name
    if min(arm.sample.people for arm in arms) < one.min_people:
        return "too_early", ""
    more_is_better = one.goal.metric in LESS_IS_WORSE
    sure = [arm for arm in arms if arm.comparison and arm.comparison.p < ALPHA]
    better = [arm for arm in sure if arm.comparison and (arm.comparison.effect > 0) == more_is_better]
    if better:
        best = max(better, key=lambda arm: arm.sample.mean * (1 if more_is_better else -1))
        return "winner", best.name
    return ("worse", "") if len(sure) == len(arms) - 1 else ("open", "")


def _counts(session: Session, key: str) -> dict[int, dict[str, int]]:
    found: dict[int, dict[str, int]] = {}
    for row in session.execute(_COUNTS, {"experiment": key}):
        found.setdefault(row.period, {})[row.arm] = row.people
    return found


def _periods(
    session: Session, one: Experiment, counts: Mapping[int, Mapping[str, int]]
) -> list[tuple[Mapping[str, int], Mapping[str, int]]]:
    rows = session.scalars(select(Period).where(Period.experiment == one.key).order_by(Period.n))
    return [({name: row.weights[name] for name in one.weights()}, counts.get(row.n, {})) for row in rows]
