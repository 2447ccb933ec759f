"""``python -m bot mall …`` and ``fulfilment …``: what points buy, what was taken, and what must still be sent."""

from dataclasses import asdict
from typing import TYPE_CHECKING

import click

from bot.runtime.cli.common import acting, as_option, json_option, print_json, row_id, shop, stamp

if TYPE_CHECKING:
    from domain.fulfilment.service import FulfilmentView

_why = click.option("--why", required=True, help="The reason; the customer reads it, and it is kept and audited.")
_id = click.argument("number", metavar="NUMBER", type=row_id)


@click.group()
def mall() -> None:
    """The points mall: its shelf, exchanges, and giving points back."""


@mall.command("list")
@json_option
def list_(as_json: bool) -> None:
    """List what is offered, with points, stock that is left and limits.

    \b
    Example:  python -m bot mall list --json
    """
    from domain.mall import queries

    with shop() as runtime, runtime.sessions() as session:
        items = queries.items(session, 0)
    if as_json:
        print_json([asdict(item) for item in items])
        return
    for item in items:
        left = "no end" if item.left is None else f"{item.left} left"
        click.echo(f"{item.no:>3}  {item.key:<12} {item.points:>7} points  {item.kind:<8} {left:<12} {item.title}")
    if not items:
        click.echo("the shelf is empty")


@mall.command()
@click.option("--person", "person_id", type=row_id, help="Only this person's.")
@json_option
def orders(person_id: int | None, as_json: bool) -> None:
    """List exchanges, the newest 100, with what became of them.

    \b
    Example:  python -m bot mall orders --person 17 --json
    """
    from domain.mall import queries

    with shop() as runtime, runtime.sessions() as session:
        rows = queries.exchanges(session, person_id)
    if as_json:
        print_json([asdict(row) for row in rows])
    else:
        click.echo("\n".join(
            f"{row.id:>6}  {stamp(row.at)}  person {row.person_id:<8} {row.points:>6} points  {row.state:<9}"
            f" {row.title}"
            for row in rows) or "nothing was taken yet")


@mall.command()
@_id
@_why
@as_option
@json_option
def cancel(number: int, why: str, as_name: str, as_json: bool) -> None:
    """Call off exchange NUMBER: the points go back where they came from, unless what they bought was used.

    \b
    Example:  python -m bot mall cancel 12 --why "out of stock" --as lin
    """
    from domain.points.rules import PointRules
    from domain.workflows import exchanging

    with shop() as runtime:
        with runtime.sessions.begin() as session:
            done = exchanging.cancel(session, number, why, runtime.context.tool(PointRules).life,
                                     acting(session, as_name), runtime.clock.now())
        runtime.bell.ring({"fact"})
    if as_json:
        print_json({"id": done.id, "person_id": done.person_id, "title": done.title, "points": done.points})
    else:
        click.echo(f"{done.points} points went back to {done.person_id}")


@click.group()
def fulfilment() -> None:
    """What customers have coming: prizes of draws and goods for points."""


@fulfilment.command("list")
@click.option("--all", "everything", is_flag=True, help="Also what was sent or called off.")
@json_option
def waiting(everything: bool, as_json: bool) -> None:
    """List what must still be sent, with the order that knows the address.

    \b
    Example:  python -m bot fulfilment list --json
    """
    from domain.fulfilment import service

    with shop() as runtime, runtime.sessions() as session:
        rows = service.listed(session, None if everything else "waiting")
    if as_json:
        print_json([asdict(row) for row in rows])
    else:
        click.echo("\n".join(_line(row) for row in rows) or "nothing waits")


@fulfilment.command()
@_id
@click.option("--note", default="", help="Carrier and number, or how it was handed over; the customer reads it.")
@as_option
@json_option
def send(number: int, note: str, as_name: str, as_json: bool) -> None:
    """Note that NUMBER has left, and tell the customer.

    \b
    Example:  python -m bot fulfilment send 3 --note "顺丰 SF1002003" --as lin
    """
    from domain.fulfilment import service

    with shop() as runtime:
        with runtime.sessions.begin() as session:
            done = service.send(session, number, note, acting(session, as_name), runtime.clock.now())
        runtime.bell.ring({"fact"})
    _print(done, as_json)


@fulfilment.command("cancel")
@_id
@_why
@as_option
@json_option
def call_off(number: int, why: str, as_name: str, as_json: bool) -> None:
    """Call NUMBER off: the points that were given for it go back.

    \b
    Example:  python -m bot fulfilment cancel 3 --why "broken in store" --as lin
    """
    from domain.points.rules import PointRules
    from domain.workflows import exchanging

    with shop() as runtime:
        with runtime.sessions.begin() as session:
            done = exchanging.call_off(session, number, why, runtime.context.tool(PointRules).life,
                                       acting(session, as_name), runtime.clock.now())
        runtime.bell.ring({"fact"})
    _print(done, as_json)


def _print(row: "FulfilmentView", as_json: bool) -> None:
    if as_json:
        print_json(asdict(row))
    else:
        click.echo(_line(row))


def _line(row: "FulfilmentView") -> str:
    order = f"  address of {row.last_order}" if row.last_order else ""
    return (f"{row.id:>6}  {stamp(row.asked_at)}  person {row.person_id:<8} {row.state:<9} {row.title}{order}"
            + (f"  {row.note}" if row.note else ""))
