"""``journey preview`` and ``journey simulate``: what a journey would do, before anybody hears of it."""

import sys
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from bot.runtime.cli.common import complain, json_option, nobody, print_json, row_id, shop

if TYPE_CHECKING:
    from sqlalchemy.orm import Session

    from bot.runtime.bootstrap import Runtime
    from domain.journeys.document import Journey
    from domain.journeys.preview import Line
    from domain.journeys.simulation import Report

CAPS = ("day_cap", "week_cap", "month_cap", "budget")


@click.command()
@click.argument("what")
@click.option("--person", "person_id", type=row_id, required=True, help="ID of the person.")
@click.option("--event", "fields", multiple=True, metavar="FIELD=VALUE", help="A field of the entering event.")
@click.option("--assume", "assumed", multiple=True, metavar="FACT=VALUE", help="Another value for a fact.")
@click.option("--happens", multiple=True, metavar="STEP", help="The event that this wait_for step waits for comes.")
@json_option
def preview(what: str, person_id: int, fields: tuple[str, ...], assumed: tuple[str, ...], happens: tuple[str, ...],
            as_json: bool) -> None:
    """What would happen to one person, step by step, with every reason. Changes nothing, sends nothing.

    \b
    Example:  python -m bot journey preview restock --person 17 --event sku=MILK-12 --assume orders.count=3
    """
    from domain.journeys import preview as previews
    from domain.notices.rules import Policy
    from domain.people import queries as people

    with shop() as runtime, runtime.sessions() as session:
        one = journey_of(runtime, session, what)
        if people.person(session, person_id) is None:
            nobody(person_id)
        seen = previews.preview(session, one, person_id, _fields(one, fields), runtime.clock.now(),
                                runtime.context.tool(Policy), assumed=_assumed(assumed), happens=happens)
        session.rollback()
        said = {id(line): runtime.voice.render(line.text, **line.facts) for line in seen.lines if line.text}
    if as_json:
        print_json(asdict(seen) | {"lines": [asdict(line) | {"said": said.get(id(line), "")} for line in seen.lines]})
        return
    click.echo(f"enters: {'yes' if seen.enters else 'NO'} ({seen.why})")
    if seen.holdout:
        click.echo("belongs to the hold-out: would only be watched")
    for line in seen.lines:
        click.echo(_told(line, said.get(id(line), "")))
    click.echo(f"ends: {seen.end}")


def _told(line: "Line", said: str) -> str:
    from domain.shared.clock import SHANGHAI

    head = f"{line.at.astimezone(SHANGHAI):%m-%d %H:%M}  {line.step:<16} {line.outcome:<8} {line.reason}".rstrip()
    made_up = ", ".join(f"event.{name}" for name in line.made_up)
    return "\n".join([head, *([f"{'':<13}policy: {line.verdict}"] if line.verdict else []),
                      *([f"{'':<13}made up, give it with --event: {made_up}"] if made_up else []),
                      *(f"{'':<13}│ {part}" for part in said.splitlines())])


@click.command()
@click.argument("what")
@click.option("--people", "most", type=click.IntRange(1, 100_000), default=1_000, show_default=True,
              help="So many people, spread over everybody; the same ones each time.")
@click.option("--days", type=click.IntRange(1, 366), default=60, show_default=True, help="So many days happen again.")
@json_option
def simulate(what: str, most: int, days: int, as_json: bool) -> None:
    """What a journey would have done in the last days: messages a day, refusals, cost, steps nobody reaches.

    In memory, on what really happened; changes nothing. Messages are judged by the notice policy with the counts of
    this journey alone, and leave in windows, by permissions and templates as they were, within the budgets. Exit
    status 1 when a step is never reached, or messages break the caps or a budget.

    \b
    Example:  python -m bot journey simulate assets/journeys/restock.toml --people 400 --days 60
    """
    from domain.journeys import simulation
    from domain.journeys.ways import Platform
    from domain.notices.rules import Policy

    with shop() as runtime, runtime.sessions() as session:
        one = journey_of(runtime, session, what)
        report = simulation.simulate(session, one, most, days, runtime.clock.now(), runtime.context.tool(Policy),
                                     runtime.context.tool(Platform))
        session.rollback()
    if as_json:
        print_json(report.plain())
    else:
        click.echo("\n".join(_report(report)))
    sys.exit(1 if report.unreached or any(report.refused[cap] for cap in CAPS) else 0)


def _report(report: "Report") -> list[str]:
    total, days = sum(report.sent.values()), max(1, report.days)
    busiest = max(report.sent.items(), key=lambda one: one[1], default=(None, 0))
    lines = [
        f"{report.key}: {report.sampled} people, {report.days} days"
        + (", made-up events (their past cannot be read)" if report.made_up else ""),
        f"events {report.events}, entered {report.entered}, held out {report.holdout}",
        f"messages: {report.planned} planned, {total} sent, {total / days:.1f} a day on average, most on one day"
        f" {busiest[1]}" + (f" ({busiest[0]})" if busiest[0] else ""),
        f"left by: {counts(report.ways)}" + ("" if report.busiest_share_bps is None else
                                             f"; the busiest day takes {report.busiest_share_bps / 100:.2f} % of what"
                                             " marketing may use, for everybody"),
        f"held back for the night {report.held}; one person got at most {report.most_in_a_day} in a day and"
        f" {report.most_in_a_week} in a week",
        f"refused: {counts(report.refused)}",
        f"granted: {counts(report.grants)}; cost {report.cost_fen / 100:.2f} yuan",
        f"ends: {counts(report.ends)}", "steps:",
    ]
    lines += [f"  {step:<20} {counts(outcomes)}" for step, outcomes in report.visits.items()]
    return lines + ([f"nobody comes to: {', '.join(report.unreached)}"] if report.unreached else [])


def counts(counts: dict[str, int]) -> str:
    return ", ".join(f"{name} {number}" for name, number in counts.items()) or "-"


def journey_of(runtime: "Runtime", session: "Session", what: str) -> "Journey":
    """The journey of a file, checked, or the current edition of a key."""
    from domain.journeys import queries
    from domain.journeys.checking import faults_of
    from domain.journeys.reading import JourneyFaults, load

    if not what.endswith(".toml"):
        return queries.current(session, what)
    path = Path(what)
    if not path.is_file():
        complain(f"there is no file {what}", 2)
    one = load(path)
    if faults := faults_of(one, vocabulary_of(runtime)):
        raise JourneyFaults(faults)
    return one


def vocabulary_of(runtime: "Runtime") -> Any:
    from bot.runtime import journeys

    return journeys.vocabulary(runtime.voice)


def pair(said: str) -> tuple[str, str]:
    name, mark, value = said.partition("=")
    if not mark or not name or not value:
        complain(f"{said}: write name=value", 2)
    return name, value


def _fields(one: "Journey", given: tuple[str, ...]) -> dict[str, Any]:
    """Fields of the entering event, in their types."""
    from domain.journeys.events import EVENTS

    kinds, data = EVENTS[one.on].fields, {}
    for name, value in map(pair, given):
        if name not in kinds:
            complain(f"{one.on} has no field {name}; it has {', '.join(kinds) or 'none'}", 2)
        data[name] = _typed(name, value, kinds[name])
    return data


def _assumed(given: tuple[str, ...]) -> dict[str, Any]:
    from domain.journeys.facts import FACTS

    known: dict[str, Any] = {}
    for name, value in map(pair, given):
        if name not in FACTS:
            complain(f"there is no fact {name}; see: python -m bot journey words", 2)
        known[name] = _typed(name, value, FACTS[name].type)
    return known


def _typed(name: str, value: str, kind: str) -> Any:
    if kind == "text":
        return value
    if kind == "bool" and value in ("true", "false"):
        return value == "true"
    if kind != "int" or not value.removeprefix("-").isdecimal():
        complain(f"{name}={value}: it is of type {kind}", 2)
    return int(value)
