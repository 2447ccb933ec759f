"""What a journey would have done to many people over the last weeks, in memory. Writes nothing.

The events are those that really happened (or made-up ones, where nothing can be read back); facts are asked as of the
hour in which they are needed; messages are judged by the notice policy with the counts of this journey alone, and
leave by the ways that were open (``ways``): windows, permissions, templates, within the day's budgets.
"""

import heapq
import itertools
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields
from datetime import date, datetime, timedelta
from typing import Any

from sqlalchemy.orm import Session

from domain.journeys import history
from domain.journeys.conditions import Value, holds
from domain.journeys.crowd import Crowd
from domain.journeys.document import Grant, Journey, Say, Step, Wait
from domain.journeys.events import EVENTS
from domain.journeys.rules import advance, entered, entry, hear, key_of, looking, restarted
from domain.journeys.runs import INSIDE, Deed, Edition, Event, Run, Walk
from domain.journeys.ways import Platform, Ways
from domain.notices import rules as manners
from domain.shared.clock import SHANGHAI, business_date
from domain.shared.records import record

BUCKET = timedelta(hours=1)


@dataclass(slots=True)
class Report:
    """``made_up``: the entering event has no history, so everybody got one. ``visits``: step → outcome → how often.

    ``planned`` messages were ``sent`` (by day), by which ``ways``, or ``refused`` (by reason); ``held``: of the sent
    ones, held back for the night. ``cost_fen``: grants at the cost that their steps name. ``most_in_a_day``,
    ``most_in_a_week``: messages to one person. ``busiest_share_bps``: of what marketing may use of an interface on the
    busiest day, if it were everybody; None without a budget. ``unreached``: steps at which nobody came by.
    """

    key: str
    days: int
    sampled: int
    made_up: bool
    events: int = 0
    entered: int = 0
    holdout: int = 0
    ends: Counter[str] = field(default_factory=Counter)
    visits: dict[str, Counter[str]] = field(default_factory=lambda: defaultdict(Counter))
    planned: int = 0
    sent: Counter[date] = field(default_factory=Counter)
    ways: Counter[str] = field(default_factory=Counter)
    held: int = 0
    refused: Counter[str] = field(default_factory=Counter)
    grants: Counter[str] = field(default_factory=Counter)
    cost_fen: int = 0
    most_in_a_day: int = 0
    most_in_a_week: int = 0
    busiest_share_bps: int | None = None
    unreached: tuple[str, ...] = ()

    def plain(self) -> dict[str, Any]:
        """Dictionaries and lists only."""
        counted = {name: dict(getattr(self, name)) for name in ("ends", "ways", "refused", "grants")}
        visits = {step: dict(outcomes) for step, outcomes in self.visits.items()}
        sent = {str(day): number for day, number in sorted(self.sent.items())}
        return {one.name: getattr(self, one.name) for one in fields(self)} | counted | {
            "visits": visits, "sent": sent, "unreached": list(self.unreached)}


@record
class Message:
    """A planned message on its way through the policy."""

    run: Run
    step: Say
    deed: Deed
    held: bool = False


Due = Event | Run | Message


def _member(due: Due) -> tuple[int, Mapping[str, Any]]:
    """Whose facts something that is due may ask for."""
    one = due.run if isinstance(due, Message) else due
    return one.person_id, one.data if isinstance(one, Event) else one.event


class Unassigned:
    """Facts of the crowd; nobody is exposed to an experiment by a simulation (a ``runs.Facts``)."""

    def __init__(self, crowd: Crowd, run: Run) -> None:
        self._one = crowd.of(run.person_id, run.event)

    def fact(self, name: str) -> Value:
        return self._one.fact(name)

    def arm(self, _experiment: str) -> str | None:
        return None


def simulate(session: Session, journey: Journey, most: int, days: int, now: datetime, policy: manners.Policy,
             platform: Platform | None = None) -> Report:
    """Let the last ``days`` happen again to at most ``most`` people, with this journey running. Without a ``platform``
    messages leave in open windows alone, and there are no budgets."""
    since = now - timedelta(days=days)
    sampled = history.sample(session, most, now)
    report = Report(journey.key, days, len(sampled), not history.has(journey.on))
    events = list(_events(session, journey, sampled, since, now))
    report.events = sum(event.kind == journey.on for event in events)
    ways = Ways(session, platform or Platform(), sampled, history.everybody(session, now), since, now)
    play = _Play(session, Edition.of(journey), report, policy, ways, now)
    play.run(events)
    report.busiest_share_bps = ways.busiest_share()
    report.unreached = tuple(step.id for step in journey.steps if not _reached(step, play.seen))
    return report


def _reached(step: Step, seen: set[str]) -> bool:
    """Whether somebody came by. A wait whose moment had passed leaves no trace but the step after it."""
    return step.id in seen or (isinstance(step, Wait) and step.next in seen)


def _events(session: Session, journey: Journey, people: Sequence[int], since: datetime,
            until: datetime) -> Iterator[Event]:
    for kind in sorted(journey.listens()):
        if history.has(kind):
            yield from history.read(session, kind, people, since, until)
        elif kind == journey.on:
            yield from history.made_up(kind, people, since, until)


class _Play:
    """One simulation while it runs: a queue of what is due, hour by hour."""

    def __init__(self, session: Session, edition: Edition, report: Report, policy: manners.Policy,
                 ways: Ways, until: datetime) -> None:
        self.session, self.edition, self.report, self.policy = session, edition, report, policy
        self.ways, self.until = ways, until
        self.queue: list[tuple[datetime, int, Due]] = []
        self.numbers = itertools.count()
        self.runs: dict[tuple[int, str], Run] = {}
        self.mine: dict[int, dict[str, Run]] = defaultdict(dict)
        self.seen: set[str] = set()
        self.told: dict[int, list[datetime]] = defaultdict(list)

    def run(self, events: Sequence[Event]) -> None:
        place = {kind: n for n, kind in enumerate(EVENTS)}
        for event in sorted(events, key=lambda one: (one.at, place[one.kind], one.key)):
            self._plan(event.at, event)
        while self.queue and self.queue[0][0] <= self.until:
            hour = self.queue[0][0].replace(minute=0, second=0, microsecond=0) + BUCKET
            batch = []
            while self.queue and self.queue[0][0] < min(hour, self.until + timedelta.resolution):
                batch.append(heapq.heappop(self.queue))
            crowd = Crowd(self.session, hour, [_member(due) for _, _, due in batch])
            for at, _, due in batch:
                self._one(at, due, crowd)
        for run in self.runs.values():
            self._over(run)

    def _plan(self, at: datetime, due: Due) -> None:
        heapq.heappush(self.queue, (at, next(self.numbers), due))

    def _one(self, at: datetime, due: Due, crowd: Crowd) -> None:
        if isinstance(due, Message):
            self._judge(at, due, crowd)
        elif isinstance(due, Event):
            self._happen(at, due, crowd)
        elif due.state == "open" and due.due_at <= at:
            walk = advance(self.edition, due, Unassigned(crowd, due), at, SHANGHAI)
            self._took(walk, at)

    def _happen(self, at: datetime, event: Event, crowd: Crowd) -> None:
        for run in self.mine[event.person_id].values():
            walk = Walk(run)
            if hear(self.edition, walk, event, Unassigned(crowd, run), at):
                self._took(walk, at)
        journey = self.edition.journey
        if event.kind != journey.on:
            return
        key = event.person_id, key_of(journey, event)
        verdict = entry(journey, self.runs.get(key), event, at)
        newcomer = entered(self.edition, event, self.runs.get(key), at)
        if verdict == "no" or not holds(journey.when, looking(newcomer.event, Unassigned(crowd, newcomer))):
            return
        if verdict == "restart":
            restarted(self.edition, self.runs[key], event, at)
        else:
            if key in self.runs:
                self._over(self.runs[key])
            self.runs[key] = self.mine[event.person_id][key[1]] = newcomer
            self.report.entered += 1
            self.report.holdout += newcomer.holdout
        self._plan(self.runs[key].due_at, self.runs[key])

    def _took(self, walk: Walk, at: datetime) -> None:
        report, run = self.report, walk.run
        self.seen |= {run.step} | {visit.step for visit in walk.visits}
        for visit in walk.visits:
            report.visits[visit.step][visit.outcome + (f":{visit.reason}" if visit.reason else "")] += 1
        for deed in walk.deeds:
            if isinstance(deed.step, Grant):
                report.grants[deed.step.what] += deed.step.amount
                report.cost_fen += deed.step.amount * deed.step.cost_fen
            elif isinstance(deed.step, Say):
                report.planned += 1
                self._plan(at, Message(run, deed.step, deed))
        if run.state == "open":
            self._plan(run.due_at, run)

    def _over(self, run: Run) -> None:
        self.report.ends[run.end_reason or run.state] += 1

    def _judge(self, at: datetime, message: Message, crowd: Crowd) -> None:
        run, report = message.run, self.report
        if run.converted_at is not None or (run.state not in INSIDE and run.end_reason not in ("finished", "no_goal")):
            report.refused[run.end_reason or "goal"] += 1
            return
        purpose = self.edition.journey.purpose_of(message.step)
        judged = manners.judge(self._facts(at, message, purpose, Unassigned(crowd, run)), self.policy)
        if judged.what == "hold" and judged.at is not None:
            self._plan(judged.at, Message(run, message.step, message.deed, True))
        elif judged.what == "refuse":
            report.refused[judged.reason] += 1
        else:
            self._send(at, message, purpose)

    def _send(self, at: datetime, message: Message, purpose: manners.Purpose) -> None:
        """By the first way that is open, or later: the policy is asked again then."""
        answer = self.ways.leave(message.run.person_id, message.step.text, purpose, at)
        if answer.way is not None:
            self._sent(at, message.run.person_id, answer.way, held=message.held)
        elif answer.again is not None and answer.again < _expiry(message):
            self._plan(answer.again, message)
        else:
            self.report.refused[answer.reason] += 1

    def _facts(self, at: datetime, message: Message, purpose: manners.Purpose, facts: Unassigned) -> manners.Facts:
        told = self.told[message.run.person_id]
        today = business_date(at)
        return manners.Facts(
            purpose, at, SHANGHAI, _expiry(message), bool(facts.fact("person.follows")),
            bool(facts.fact(f"consent.{purpose}")), None,
            sent_today=sum(business_date(when) == today for when in told),
            sent_this_week=sum(when > at - timedelta(days=7) for when in told),
            sent_this_month=sum(when > at - timedelta(days=30) for when in told))

    def _sent(self, at: datetime, person_id: int, way: str, *, held: bool) -> None:
        told, report = self.told[person_id], self.report
        told.append(at)
        report.ways[way] += 1
        report.sent[business_date(at)] += 1
        report.held += held
        report.most_in_a_day = max(report.most_in_a_day, sum(business_date(w) == business_date(at) for w in told))
        report.most_in_a_week = max(report.most_in_a_week, sum(w > at - timedelta(days=7) for w in told))


def _expiry(message: Message) -> datetime:
    return message.deed.planned_at + timedelta(seconds=message.step.expires)
