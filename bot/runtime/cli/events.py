"""``python -m bot events …``: commerce events that wait for a human, and what a human may decide about them."""

import sys
from dataclasses import asdict
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

import click

from bot.runtime.cli.common import complain, json_option, print_json, row_id, shop, stamp

if TYPE_CHECKING:
    from domain.orders.queries import StuckEvent

PARKED_HOURS = 1
"""An event may come before its order; one that still waits after this is shown."""


@click.group()
def events() -> None:
    """Settle commerce events that contradict what is booked, were given up, or wait for their order."""


@events.command()
@click.option("--parked-hours", type=click.IntRange(0, 8760), default=PARKED_HOURS, show_default=True,
              help="Show events that have waited for their order for longer than this.")
@click.option("--limit", type=click.IntRange(1, 10_000), default=200, show_default=True, help="Show at most so many.")
@json_option
def stuck(parked_hours: int, limit: int, as_json: bool) -> None:
    """List the events that need a human, oldest first.

    conflict: it contradicts what is booked (the reason says how). dead: it failed five times. parked: the order that
    it speaks of has not come. Money that depends on them stays where it is until they are settled: mend the cause
    and retry, send the missing order, or dismiss. Changes nothing. Exit status 1 when there are any.

    \b
    Example:  python -m bot events stuck --json
    """
    from domain.orders import queries

    with shop() as runtime, runtime.sessions() as session:
        since = runtime.clock.now() - timedelta(hours=parked_hours)
        found = queries.stuck(session, limit + 1, since)
    shown = found[:limit]
    if as_json:
        print_json([asdict(event) for event in shown])
    elif not shown:
        click.echo("nothing is stuck")
    else:
        click.echo("\n".join(_lines(event) for event in shown))
        if len(found) > limit:
            click.echo(f"… and more: --limit {limit * 2}")
        click.echo("\nthen: python -m bot events retry ID, or: python -m bot events dismiss ID --why \"…\"")
    sys.exit(1 if shown else 0)


@events.command()
@click.argument("event_id", metavar="ID", type=row_id)
@click.option("--why", required=True, help="The reason, for whoever asks later; it is kept with the event.")
@json_option
def dismiss(event_id: int, why: str, as_json: bool) -> None:
    """Decide that nothing is to be booked for the event ID (see: events stuck). For good.

    Money that an open refund held back is free again afterwards. The reason stays with the event.

    \b
    Example:  python -m bot events dismiss 4711 --why "typing error of the mall, corrected by a later event"
    """
    from domain.orders import service
    from domain.shared.errors import NotFound

    note = " ".join(why.split())
    if not 1 <= len(note) <= 400:
        complain("--why needs 1 to 400 characters: nothing was changed", 2)
    with shop() as runtime:
        try:
            with runtime.sessions.begin() as session:
                service.dismiss(session, event_id, note, runtime.clock.now())
        except NotFound:
            _unknown(event_id, "in conflict, dead or parked")
    _report(event_id, "dismissed", as_json, f"event {event_id} is dismissed: nothing is booked for it")


@events.command()
@click.argument("event_id", metavar="ID", type=row_id)
@json_option
def retry(event_id: int, as_json: bool) -> None:
    """Try a conflicting or dead event again from the start, after its cause was mended.

    A parked one needs no retry: it is applied by itself when its order comes.

    \b
    Example:  python -m bot events retry 4711
    """
    from domain.orders import service
    from domain.shared.errors import NotFound

    with shop() as runtime:
        try:
            with runtime.sessions.begin() as session:
                service.retry(session, event_id, runtime.clock.now())
        except NotFound:
            _unknown(event_id, "in conflict or dead")
        runtime.bell.ring({"event"})
    _report(event_id, "new", as_json, f"event {event_id} is tried again at once; see: python -m bot events stuck")


def _lines(event: "StuckEvent") -> str:
    head = f"{event.id:>8}  {event.state:<8}  {event.type:<18}  {event.subject}"
    return f"{head}\n{'':>8}  {event.reason}\n{'':>8}  {_origin(event.source, event.event_id, event.received_at)}"


def _origin(source: str, event_id: str, received_at: datetime) -> str:
    return f"from {source}, event {event_id}, received {stamp(received_at)}"


def _unknown(event_id: int, states: str) -> None:
    complain(f"no event with the ID {event_id} is {states}: nothing was changed. See: python -m bot events stuck")


def _report(event_id: int, state: str, as_json: bool, sentence: str) -> None:
    if as_json:
        print_json({"id": event_id, "state": state})
    else:
        click.echo(sentence)
