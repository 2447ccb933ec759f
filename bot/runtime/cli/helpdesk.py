"""``python -m bot helpdesk …``: the people who asked for a human, and talking with them."""

from collections.abc import Callable
from dataclasses import asdict
from datetime import datetime
from typing import TYPE_CHECKING

import click

from bot.runtime.cli.common import acting, as_option, json_option, moment, print_json, row_id, shop

if TYPE_CHECKING:
    from sqlalchemy.orm import Session

    from domain.audit.rules import Actor
    from domain.helpdesk.queries import ChatLine, TicketView

_number = click.argument("number", metavar="NUMBER", type=row_id)


@click.group()
def helpdesk() -> None:
    """Talk with customers who sent 人工. NUMBER is the number of their ticket, which they were told."""


@helpdesk.command("list")
@click.option("--all", "everything", is_flag=True, help="Also what is closed, the newest first.")
@click.option("--mine", "mine", metavar="NAME", default="", help="Only what this operator took, and what nobody did.")
@click.option("--person", "person_id", type=row_id, help="All tickets of this person.")
@json_option
def list_(everything: bool, mine: str, person_id: int | None, as_json: bool) -> None:
    """List who waits for an answer, the longest wait first; then who was answered.

    \b
    Example:  python -m bot helpdesk list --json
    """
    from domain.helpdesk import queries

    with shop() as runtime, runtime.sessions() as session:
        found = (queries.listed(session, person_id) if everything or person_id
                 else queries.queue(session, taken_by=mine))
        now = runtime.clock.now()
    if as_json:
        print_json([asdict(one) for one in found])
    else:
        click.echo("\n".join(_line(one, now) for one in found) or "nobody waits")


@helpdesk.command()
@_number
@click.option("--lines", "limit", type=click.IntRange(1, 200), default=30, show_default=True,
              help="Show the newest so many lines of the chat.")
@json_option
def show(number: int, limit: int, as_json: bool) -> None:
    """Show one ticket with the chat around it: what they wrote, what the bot said, what the shop wrote.

    \b
    Example:  python -m bot helpdesk show 3
    """
    from domain.helpdesk import queries

    with shop() as runtime, runtime.sessions() as session:
        now = runtime.clock.now()
        found = queries.one(session, number)
        said = queries.lines(session, found, now, limit)
    if as_json:
        print_json(asdict(found) | {"lines": [asdict(line) for line in said]})
        return
    click.echo(_line(found, now))
    for line in said:
        click.echo(_said(line))


@helpdesk.command()
@_number
@as_option
@json_option
def take(number: int, as_name: str, as_json: bool) -> None:
    """Look after a ticket from now on, also one that somebody else had.

    \b
    Example:  python -m bot helpdesk take 3 --as lin
    """
    from domain.helpdesk import service

    _act(as_name, as_json, lambda session, actor, now: service.take(session, number, actor, now))


@helpdesk.command()
@_number
@click.option("--say", "words", required=True, help="What they read, 600 characters at most.")
@as_option
@json_option
def answer(number: int, words: str, as_name: str, as_json: bool) -> None:
    """Write to them. Where WeChat does not let us write now, it waits until they write again; show tells which.

    \b
    Example:  python -m bot helpdesk answer 3 --say "已为您补发，单号 SF123" --as lin
    """
    from domain.helpdesk import service

    _act(as_name, as_json, lambda session, actor, now: service.answer(session, number, words, actor, now))


@helpdesk.command()
@_number
@click.option("--why", required=True, help="What was done, for the log; they do not read it.")
@as_option
@json_option
def close(number: int, why: str, as_name: str, as_json: bool) -> None:
    """End a talk. They can begin another one with 人工 at any time.

    \b
    Example:  python -m bot helpdesk close 3 --why "parcel sent again" --as lin
    """
    from domain.helpdesk import service

    _act(as_name, as_json, lambda session, actor, now: service.close(session, number, why, actor, now))


def _act(as_name: str, as_json: bool, act: "Callable[[Session, Actor, datetime], TicketView]") -> None:
    with shop() as runtime:
        now = runtime.clock.now()
        with runtime.sessions.begin() as session:
            done = act(session, acting(session, as_name), now)
        runtime.bell.ring({"notice"})
    if as_json:
        print_json(asdict(done))
    else:
        click.echo(_line(done, now))


def _line(one: "TicketView", now: datetime) -> str:
    if one.state == "closed":
        state = f"closed ({one.closed_why}{' ' + one.closed_by if one.closed_by else ''})"
    else:
        waited = int((now - one.waits_since).total_seconds() // 60)
        state = f"waits for {one.waits_for} {_span(waited)}"
    taken = f"  {one.taken_by}" if one.taken_by else ""
    return (f"{one.id:>6}  {moment(one.opened_at)}  {state:<24} person {one.person_id:<8} {one.nickname}"
            f"  {' '.join(one.question.split())[:60]}{taken}")


def _span(minutes: int) -> str:
    """How long: hours and minutes, after two days only days."""
    return f"{minutes // 60}:{minutes % 60:02} h" if minutes < 2 * 24 * 60 else f"{minutes // (24 * 60)} days"


def _said(line: "ChatLine") -> str:
    who = {"person": "they", "bot": "bot", "shop": line.actor}[line.by]
    words = line.words if line.kind == "text" else f"[{line.kind}] {line.words}"
    state = f"  ({line.delivery}{': ' + line.why if line.why else ''})" if line.delivery else ""
    return f"{moment(line.at)}  {who:<8} {words.replace(chr(10), chr(10) + ' ' * 10)}{state}"
