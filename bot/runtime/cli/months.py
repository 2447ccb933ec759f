"""``python -m bot month …``: close business months, look at them, and write statements."""

import sys
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import click

from bot.runtime.cli.common import acting, as_option, complain, json_option, nobody, print_json, row_id, shop

if TYPE_CHECKING:
    from bot.runtime.bootstrap import Runtime
    from domain.settlements.queries import CloseView


@click.group()
def month() -> None:
    """Close business months (ladder and team money), look at them, write statements."""


@month.command("list")
@json_option
def list_(as_json: bool) -> None:
    """List months that were or are being closed, the newest first. Money in fen.

    \b
    Example:  python -m bot month list --json
    """
    from domain.settlements import queries

    with shop() as runtime, runtime.sessions() as session:
        found = queries.closes(session)
    if as_json:
        print_json([asdict(one) for one in found])
    else:
        click.echo("\n".join(_line(one) for one in found) or "no month was closed yet")


def _line(one: "CloseView") -> str:
    return (f"{one.month}  {one.state:<8} people {one.people:>7}  volume {one.volume_fen:>14}"
            f"  ladder {one.ladder_fen:>12}  team {one.team_fen:>12}  adjusted {one.adjusted_fen:>+10}"
            f"  late {one.late}")


@month.command()
@click.argument("name", metavar="MONTH")
@as_option
@json_option
def close(name: str, as_name: str, as_json: bool) -> None:
    """Close MONTH (as in 2026-10) now instead of on the 1st at 02:00; goes on where an interrupted close stopped.

    Refuses a month that is not over, and one before which another is still open. Closing a closed month does nothing.

    \b
    Example:  python -m bot month close 2026-10 --as 王会计
    """
    from domain.ledger.service import retrying
    from domain.settlements import queries, service
    from domain.settlements.rules import Month

    with shop() as runtime:
        wanted, now = Month.parse(name), runtime.clock.now()
        with runtime.sessions.begin() as session:
            actor = acting(session, as_name)
            service.by_hand(session, actor, "month.close", f"month:{wanted}", now)
            service.close_step(session, wanted, now, actor.name)
        while service.close_some(lambda work: retrying(runtime.sessions, work), wanted, now, actor.name):
            pass
        _ring(runtime)
        with runtime.sessions() as session:
            (found,) = queries.closes(session, wanted)
    if as_json:
        print_json(asdict(found))
    else:
        click.echo(_line(found))


@month.command()
@as_option
@json_option
def adjust(as_name: str, as_json: bool) -> None:
    """Work off at once what came late for closed months (a chore does it every five minutes).

    \b
    Example:  python -m bot month adjust --as lin
    """
    from domain.ledger.service import retrying
    from domain.settlements import adjusting, service

    done = 0
    with shop() as runtime:
        now = runtime.clock.now()
        with runtime.sessions.begin() as session:
            service.by_hand(session, acting(session, as_name), "month.adjust", "shop", now)
        while some := retrying(runtime.sessions, lambda session: adjusting.adjust_late(session, now, 500)):
            done += some
        _ring(runtime)
    if as_json:
        print_json({"looked_at": done})
    else:
        click.echo(f"{done} months of people were looked at again")


def _ring(runtime: "Runtime") -> None:
    runtime.bell.ring(frozenset({"fact"}))


@month.command()
@click.argument("name", metavar="MONTH")
@click.option("--person", "person_id", type=row_id, help="Only this person's bookings.")
@json_option
def show(name: str, person_id: int | None, as_json: bool) -> None:
    """Show a month with every booking of ladder and team money, adjustments included. Money in fen.

    \b
    Example:  python -m bot month show 2026-10 --json
    """
    from domain.settlements import queries
    from domain.settlements.rules import Month

    with shop() as runtime, runtime.sessions() as session:
        wanted = Month.parse(name)
        found = queries.closes(session, wanted)
        lines = queries.bookings(session, wanted, person_id)
    if not found:
        complain(f"{name} was not closed yet")
    if as_json:
        print_json(asdict(found[0]) | {"bookings": [asdict(line) for line in lines]})
        return
    click.echo(_line(found[0]))
    for line in lines:
        click.echo(f"  person {line.person_id:<8} {line.kind:<7} {line.cause:<11} volume {line.volume_fen:>12}"
                   f"  in all {line.target_fen:>10}  booked {line.change_fen:>+10}"
                   f"  {'released' if line.released_at else 'pending' if line.release_at else ''}")


@month.command()
@click.argument("name", metavar="MONTH")
@click.option("--person", "person_id", type=row_id, required=True, help="Whose statement.")
@click.option("--csv", "path", type=click.Path(dir_okay=False, path_type=Path), help="Write it as CSV; - prints it.")
@json_option
def statement(name: str, person_id: int, path: Path | None, as_json: bool) -> None:
    """Write somebody's statement of MONTH: opening + earned - taken back - tax - paid = closing, with every line.

    \b
    Example:  python -m bot month statement 2026-10 --person 17 --csv 17.csv
    """
    from domain.people import queries as people
    from domain.settlements import statements
    from domain.settlements.rules import Month
    from handlers.web.h5.statements import csv_of

    with shop() as runtime, runtime.sessions() as session:
        person = people.person(session, person_id)
        found = statements.statement(session, person.id, Month.parse(name)) if person else None
        content = csv_of(found, runtime.voice) if found else b""
    if found is None:
        nobody(person_id)
    if path is not None and str(path) == "-":
        sys.stdout.buffer.write(content)
    elif path is not None:
        path.write_bytes(content)
        click.echo(f"{path}: {len(found.lines)} lines")
    elif as_json:
        print_json(asdict(found))
    else:
        for part in ("opening", "earned", "taken_back", "tax", "paid", "other", "closing"):
            click.echo(f"{part:<12}{getattr(found, f'{part}_fen'):>14}")
        for line in found.lines:
            click.echo(f"{line.at:%Y-%m-%d %H:%M} {line.part:<11}{line.fen:>+12}  {line.reason:<24}"
                       f" {line.order or line.label}")
