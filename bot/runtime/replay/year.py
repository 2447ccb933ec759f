"""The year itself: the clock goes from one due time to the next, people act, the workers work, people react.

Between two due times nothing can happen, so nothing is waited for. Only the recurring chores, which a real shop runs
every few seconds or minutes, rest for hours here (``pace``); the daily ones keep their times.
"""

import random
import time as real
import tomllib
from collections.abc import Callable
from datetime import datetime, timedelta
from heapq import heappop
from typing import Any

from sqlalchemy import text
from sqlalchemy.orm import Session

from bot.runtime import bootstrap, journeys, work
from bot.runtime.demo import SHELF
from bot.runtime.replay.auditor import Manners, Texts
from bot.runtime.replay.doings import do
from bot.runtime.replay.house import House, opened
from bot.runtime.replay.reactions import react
from bot.runtime.replay.script import Act, on_grid, write
from bot.runtime.replay.state import Plan, Year
from domain import workflows
from domain.experiments import rules as experiment_rules
from domain.experiments import service as experiments
from domain.journeys import writing
from domain.journeys.document import Journey, Say
from domain.journeys.reading import read
from domain.shared.clock import SHANGHAI

EXPERIMENT = "restock-copy"
MAX_ROUNDS = 100


def tried_out() -> list[Journey]:
    """The shipped journeys, with the words of the restock reminder tried in two ways."""
    return [_in_two_ways(one) if one.key == "restock" else one for one in journeys.shipped()]


def _in_two_ways(restock: Journey) -> Journey:
    form = writing.dump(restock)
    steps: list[dict[str, Any]] = form["step"]
    place = next(n for n, step in enumerate(steps) if step["id"] == "soon")
    soon = steps[place]
    after = steps[place + 1]["id"]
    ways = {"id": "words", "split": EXPERIMENT, "arms": {"warm": "soon", "plain": "soon_plain"}}
    for step in steps[:place]:
        step |= {way: "words" for way in ("next", "otherwise") if step.get(way) == "soon"}
    steps[place:place + 1] = [ways, soon | {"next": after}, soon | {
        "id": "soon_plain", "say": "journey.restock.soon_plain"}]
    return read(form)


def purposes(wanted: list[Journey]) -> dict[str, str]:
    """What each text of the journeys is for."""
    return {step.text: one.purpose_of(step) for one in wanted for step in one.steps if isinstance(step, Say)}


def rehearse(plan: Plan, seen: Callable[[Year], None] | None = None, done: Callable[[Year], Any] | None = None,
             url: str = "") -> Any:
    """Play the year of ``plan``; ``seen`` is called once a rehearsed day, ``done`` at the end, while the shop is still
    there: its answer is given back. ``url``: see ``house.opened``."""
    wanted = tried_out()
    began = real.monotonic()
    with opened(plan.start, random.Random(plan.seed), wanted, url) as house:
        year = _prepare(plan, house, wanted)
        try:
            _play(year, seen or (lambda _year: None))
        finally:
            year.watch.close()
        year.seconds = real.monotonic() - began
        return done(year) if done else year


def _prepare(plan: Plan, house: House, wanted: list[Journey]) -> Year:
    raw = tomllib.loads((bootstrap.ASSETS / "notices.toml").read_text("utf-8"))
    shelf = tomllib.loads((bootstrap.ASSETS / "demo" / "products.toml").read_text("utf-8"))["product"][:SHELF]
    script = write(plan.seed, plan.start, plan.days, plan.customers, plan.orders, len(shelf))
    house.phones.busy, house.phones.lost = plan.busy, plan.lost
    first = plan.start.astimezone(SHANGHAI).date()
    house.phones.quotas = {first + timedelta(days=day): plan.quota for day in plan.quota_days}
    with house.runtime.sessions.begin() as session:
        document = (bootstrap.ASSETS / "experiments" / f"{EXPERIMENT}.toml").read_text("utf-8")
        experiments.create(session, experiment_rules.load(document), plan.start)
        experiments.start(session, EXPERIMENT, plan.start)
    texts = Texts(house.runtime.voice.written(), purposes(wanted))
    watch = Session(house.runtime.engine.connect().execution_options(isolation_level="AUTOCOMMIT"))
    year = Year(plan, house, script, texts, Manners.of(raw), watch, shelf, random.Random(f"{plan.seed}:shop"))
    year.people = {one.openid: one for one in script.people}
    return year


def _play(year: Year, seen: Callable[[Year], None]) -> None:
    """To the end of the last day; a message that waits for the morning after it is not waited for."""
    day = year.now.astimezone(SHANGHAI).date()
    year.house.runtime.chores.wanted(year.now)  # plans them
    due = work_off(year)
    while (at := min(due, year.script.heap[0][0] if year.script.heap else year.script.end)) < year.script.end:
        year.house.clock.advance(max(0.0, (at - year.now).total_seconds()))
        due = stop(year)
        if (today := at.astimezone(SHANGHAI).date()) != day:
            day = today
            seen(year)


def stop(year: Year) -> datetime:
    """Everything that is due now: people act, events are told, the workers work, and people hear of it. Returns when
    the shop has something to do next."""
    year.stops += 1
    while year.script.heap and year.script.heap[0][0] <= year.now:
        act: Act = heappop(year.script.heap)[2]
        do(year, act)
    year.house.tell([event for _, event in year.told])
    year.told.clear()
    year.house.bank_tells(year.luck)
    due = work_off(year)
    heard, year.read = year.house.phones.log[year.read:], len(year.house.phones.log)
    react(year.script, heard, year.people, year.texts, year.now)
    return due


_DUE = text("""
    select (select min(due_at) from inbox_message where state = 'failed') as inbox,
           least((select min(at) from earned_news),
                 (select min(due_at) from outbox where queue = 'fact' and state = 'waiting')) as fact,
           (select min(due_at) from outbox where queue = 'notice' and state = 'waiting') as notice,
           (select min(due_at) from outbox where queue = 'slow' and state = 'waiting') as slow,
           least((select min(due_at) from journey_event where state = 'new'),
                 (select min(due_at) from enrolment_due)) as journeys,
           (select min(due_at) from chore) as chores
""")


def work_off(year: Year) -> datetime:
    """What clock and workers would have done by now, each part only when it is due, in their order. Returns when
    something is due next."""
    runtime = year.house.runtime
    for _ in range(MAX_ROUNDS):
        found = dict(year.watch.execute(_DUE).one()._mapping) | {"money": workflows.next_due(year.watch)}
        late = {name for name, at in found.items() if at is not None and at <= year.now}
        if not late:
            return on_grid(min(at for at in found.values() if at is not None))
        _work(runtime, late)
    raise RuntimeError(f"the work of {year.now} never ends: {late}")


def _work(runtime: bootstrap.Runtime, late: set[str]) -> None:
    """One round over what is due. Recurring chores come last, when nothing else is due."""
    now = runtime.clock.now()
    if "inbox" in late:
        runtime.dispatcher.retry_failed()
    if "money" in late:
        workflows.apply_events(runtime.sessions, now, runtime.pepper, work.EVENTS)
        with runtime.sessions.begin() as session:
            workflows.receive_overdue(session, now, work.LINES)
        with runtime.sessions.begin() as session:
            workflows.release_due(session, now, work.LINES)
    if "fact" in late:
        runtime.outbox.run("fact", limit=256)
    if "journeys" in late:
        workflows.walk_journeys(runtime.sessions, runtime.library, now)
    if "notice" in late and not late & {"fact", "journeys", "money"}:
        runtime.outbox.run("notice", limit=256)
    if "slow" in late:
        runtime.outbox.run("slow", limit=64)
    if late == {"chores"}:
        runtime.chores.run()
