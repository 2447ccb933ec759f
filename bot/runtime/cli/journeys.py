"""``python -m bot journey …``: what automatic messages do, tried out before and measured after."""

import sys
from dataclasses import asdict
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from bot.runtime.cli.common import acting, as_option, json_option, print_json, row_id, shop, stamp
from bot.runtime.cli.journey_trials import counts, journey_of, pair, preview, simulate, vocabulary_of
from bot.runtime.cli.journey_upgrades import upgrade
from bot.runtime.cli.rehearsals import rehearse

if TYPE_CHECKING:
    from datetime import datetime

    from sqlalchemy.orm import Session

    from domain.audit.rules import Actor, Role
    from domain.journeys.queries import Stats

OPERATORS: "frozenset[Role]" = frozenset({"operator"})
"""Who may change journeys, besides owners."""


@click.group()
def journey() -> None:
    """Look after journeys: what happens to people after something happened to them.

    WHAT is a TOML file, or the key of a journey that is known here. How to write one: docs/JOURNEYS.md.
    """


journey.add_command(preview)
journey.add_command(simulate)
journey.add_command(rehearse)
journey.add_command(upgrade)


@journey.command("list")
@json_option
def list_(as_json: bool) -> None:
    """List all journeys with the people inside; "newer" marks those whose shipped edition was never published here.

    \b
    Example:  python -m bot journey list --json
    """
    from bot.runtime import journeys
    from domain.journeys import queries

    with shop() as runtime, runtime.sessions() as session:
        found = queries.every(session)
        newer = {one.key for one in journeys.newer(session)}
    if as_json:
        print_json([asdict(one) | {"newer": one.key in newer} for one in found])
    elif not found:
        click.echo("there are none: python -m bot journey publish assets/journeys/welcome.toml --as NAME")
    else:
        click.echo(f"{'key':<20} {'state':<9} {'edition':>7} {'open':>8} {'held':>7} {'parked':>6} {'ended':>8}  title")
        for one in found:
            click.echo(f"{one.key:<20} {one.state:<9} {one.version or '-':>7} {one.open:>8} {one.held:>7}"
                       f" {one.parked:>6} {one.ended:>8}  {one.title}{'  (newer)' if one.key in newer else ''}")
        if newer:
            click.echo("\nnewer: the shipped edition was never published here: python -m bot journey upgrade --as NAME")


@journey.command()
@json_option
def words(as_json: bool) -> None:
    """List what journeys may speak of: events with their fields, facts, pictures, and what can be given.

    \b
    Example:  python -m bot journey words
    """
    from domain.journeys.events import EVENTS
    from domain.journeys.facts import FACTS

    with shop() as runtime:
        vocabulary = vocabulary_of(runtime)
    events = [{"event": one.name, "about": one.about, "fields": dict(one.fields)} for one in EVENTS.values()]
    facts = [{"fact": one.name, "type": one.type, "about": one.about, "needs": one.subject} for one in FACTS.values()]
    if as_json:
        print_json({"events": events, "facts": facts, "grants": sorted(vocabulary.grants or ()),
                    "pictures": sorted(vocabulary.pictures or ())})
        return
    click.echo("Events")
    for event in EVENTS.values():
        fields = ", ".join(f"{name} ({kind})" for name, kind in event.fields.items()) or "-"
        click.echo(f"  {event.name:<24} {event.about}\n  {'':<24} {fields}")
    click.echo("\nFacts")
    for fact in FACTS.values():
        needs = f" [needs event.{fact.subject}]" if fact.subject else ""
        click.echo(f"  {fact.name:<24} {fact.type:<5} {fact.about}{needs}")
    click.echo(f"\nGrants    {', '.join(sorted(vocabulary.grants or ())) or '-'}")
    click.echo(f"Pictures  {', '.join(sorted(vocabulary.pictures or ())) or '-'}")


@journey.command()
@click.argument("files", nargs=-1, required=True, type=click.Path(exists=True, dir_okay=False, path_type=Path))
@json_option
def validate(files: tuple[Path, ...], as_json: bool) -> None:
    """Check FILES: form, ways, events, facts, texts with their placeholders. Every fault at once; status 1 if any.

    \b
    Example:  python -m bot journey validate assets/journeys/*.toml
    """
    from domain.journeys.checking import faults_of
    from domain.journeys.reading import JourneyFaults, load

    faults: dict[str, list[str]] = {}
    with shop() as runtime:
        vocabulary = vocabulary_of(runtime)
        for file in files:
            try:
                faults[str(file)] = faults_of(load(file), vocabulary)
            except JourneyFaults as bad:
                faults[str(file)] = bad.faults
    if as_json:
        print_json(faults)
    else:
        for name, found in faults.items():
            click.echo(f"{name}: {'ok' if not found else f'{len(found)} faults'}")
            for fault in found:
                click.echo(f"  - {fault}")
    sys.exit(1 if any(faults.values()) else 0)


@journey.command()
@click.argument("what")
@click.option("--map", "moves", multiple=True, metavar="OLD=NEW",
              help="People at step OLD go on at step NEW of this edition, or 'end', or 'stay' on theirs.")
@click.option("--draft", is_flag=True, help="A journey that is new here does not run yet.")
@click.option("--dry-run", is_flag=True, help="Say what would change, and change nothing.")
@as_option
@json_option
def publish(what: str, moves: tuple[str, ...], draft: bool, dry_run: bool, as_name: str, as_json: bool) -> None:
    """Make WHAT the edition that new runs take. People inside finish on theirs unless their step is mapped.

    \b
    Example:  python -m bot journey publish assets/journeys/restock.toml --map d8=before --map d12=end --as lin
    """
    from domain.journeys import service

    wanted = dict(pair(one) for one in moves)
    with shop() as runtime, runtime.sessions() as session:
        actor, now = _actor(session, as_name), runtime.clock.now()
        one = journey_of(runtime, session, what)
        done = service.publish(session, one, vocabulary_of(runtime), actor.name, now, moves=wanted, live=not draft)
        if dry_run:
            session.rollback()
        else:
            _record(session, actor, "publish", one.key, {"edition": done.version, "moves": wanted, "draft": draft}, now)
            session.commit()
    if as_json:
        print_json(asdict(done) | {"dry_run": dry_run})
    elif not done.changed:
        click.echo(f"{done.key}: edition {done.version} is this very document already")
    else:
        verb = "would be" if dry_run else "is"
        click.echo(f"{done.key}: edition {done.version} {verb} the one for new runs, {done.moving} people change to it")


@journey.command()
@click.argument("key")
@click.option("--why", default="", help="The reason, kept in the log.")
@as_option
def pause(key: str, why: str, as_name: str) -> None:
    """Nobody enters, nobody moves, waiting messages wait. Goals and exits are still heard.

    \b
    Example:  python -m bot journey pause restock --as lin
    """
    _change(key, "pause", why, as_name)


@journey.command()
@click.argument("key")
@click.option("--why", default="", help="The reason, kept in the log.")
@as_option
def resume(key: str, why: str, as_name: str) -> None:
    """Go on after a pause: spread over 40 minutes, and without what has expired meanwhile.

    \b
    Example:  python -m bot journey resume restock --as lin
    """
    _change(key, "resume", why, as_name)


@journey.command()
@click.argument("key")
@click.option("--why", default="", help="The reason, kept in the log.")
@as_option
def drain(key: str, why: str, as_name: str) -> None:
    """Nobody enters any more; who is inside walks to the end. Then the journey archives itself.

    \b
    Example:  python -m bot journey drain restock --as lin
    """
    _change(key, "drain", why, as_name)


@journey.command()
@click.argument("key")
@click.option("--why", required=True, help="The reason, kept in the log.")
@as_option
def archive(key: str, why: str, as_name: str) -> None:
    """End it for good, also for everybody who is still inside. Softer: drain.

    \b
    Example:  python -m bot journey archive restock --as lin
    """
    _change(key, "archive", why, as_name)


def _change(key: str, act: str, why: str, as_name: str) -> None:
    from domain.journeys import service

    with shop() as runtime:
        with runtime.sessions.begin() as session:
            actor, now = _actor(session, as_name), runtime.clock.now()
            state = service.change_state(session, key, act, actor.name, now)
            _record(session, actor, act, key, {"why": why}, now)
        runtime.bell.ring({"fact"})
    click.echo(f"{key} is {state}")


@journey.command()
@click.argument("key")
@click.option("--days", type=click.IntRange(1, 3_660), default=90, show_default=True,
              help="Count everybody who entered in the last so many days.")
@json_option
def stats(key: str, days: int, as_json: bool) -> None:
    """The funnel: what became of everybody at each step, of their messages, and what the journey changed.

    \b
    Example:  python -m bot journey stats restock
    """
    from domain.journeys import queries

    with shop() as runtime, runtime.sessions() as session:
        found = queries.stats(session, key, runtime.clock.now() - timedelta(days=days))
    if as_json:
        print_json(asdict(found))
    else:
        click.echo("\n".join(_stats(found)))


def _stats(found: "Stats") -> list[str]:
    lines = [f"{found.key}: {found.entered} entered ({counts(found.ends)})"]
    for one in found.steps:
        lines.append(f"  {one.version:>3} {one.step:<20} waiting {one.waiting:>6}  {counts(one.outcomes)}")
        if one.sent or one.refused:
            lines.append(f"      {'':<20} sent {one.sent:>9}  refused: {counts(one.refused)}")
        if one.lag_p95:
            lines.append(f"      {'':<20} late by {one.lag_p50} s in the middle, {one.lag_p95} s for one in twenty")
    up = found.uplift
    lines.append(f"converted: {up.treated_converted} of {up.treated} treated,"
                 f" {up.held_converted} of {up.held} held out")
    if up.difference_bps is not None and up.low_bps is not None and up.high_bps is not None:
        lines.append(f"uplift: {up.difference_bps / 100:+.2f} points, 95 % between {up.low_bps / 100:+.2f} and"
                     f" {up.high_bps / 100:+.2f}")
    return lines


@journey.command()
@click.argument("key", required=False)
@click.option("--limit", type=click.IntRange(1, 10_000), default=200, show_default=True, help="Show at most so many.")
@json_option
def parked(key: str | None, limit: int, as_json: bool) -> None:
    """List runs that failed five times and wait for somebody. Exit status 1 when there are any.

    \b
    Example:  python -m bot journey parked restock
    """
    from domain.journeys import queries

    with shop() as runtime, runtime.sessions() as session:
        found = queries.parked(session, key, limit)
    if as_json:
        print_json([asdict(one) for one in found])
    elif not found:
        click.echo("nobody is parked")
    else:
        for one in found:
            click.echo(f"{one.id:>8}  {one.key} edition {one.version}, step {one.step}, person {one.person_id},"
                       f" due {stamp(one.due_at)}\n{'':>8}  {one.fault}")
        click.echo("\nthen: python -m bot journey retry ID… --as NAME")
    sys.exit(1 if found else 0)


@journey.command()
@click.argument("run_ids", metavar="ID…", nargs=-1, required=True, type=row_id)
@as_option
def retry(run_ids: tuple[int, ...], as_name: str) -> None:
    """Let parked runs try again, after the cause was mended.

    \b
    Example:  python -m bot journey retry 17 --as lin
    """
    from domain.journeys import service

    with shop() as runtime:
        with runtime.sessions.begin() as session:
            actor, now = _actor(session, as_name), runtime.clock.now()
            done = service.retry(session, run_ids, now)
            if done:
                _record(session, actor, "retry", "runs", {"runs": list(run_ids)}, now)
        runtime.bell.ring({"fact"})
    click.echo(f"{done} of {len(run_ids)} were parked and try again")
    sys.exit(0 if done == len(run_ids) else 1)


def _actor(session: "Session", name: str) -> "Actor":
    from domain.shared.errors import DomainError

    actor = acting(session, name)
    if not actor.may(OPERATORS):
        raise DomainError("not_permitted", act="journey")
    return actor


def _record(session: "Session", actor: "Actor", act: str, key: str, detail: dict[str, Any], now: "datetime") -> None:
    from domain.audit import service as audit

    audit.record(session, actor, f"journey.{act}", f"journey:{key}", detail, now)
