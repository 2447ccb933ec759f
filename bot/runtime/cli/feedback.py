"""``python -m bot feedback …``: what customers told the shop, and what the shop makes of it."""

from collections.abc import Callable
from dataclasses import asdict
from datetime import datetime
from typing import TYPE_CHECKING

import click

from bot.runtime.cli.common import as_option, carry_out, json_option, print_json, row_id, shop, stamp

if TYPE_CHECKING:
    from sqlalchemy.orm import Session

    from bot.runtime.bootstrap import Runtime
    from domain.audit.rules import Actor
    from domain.feedback.queries import FeedbackView

    Act = Callable[[Session, Runtime, Actor, datetime], FeedbackView]

_number = click.argument("number", metavar="NUMBER", type=row_id)


@click.group()
def feedback() -> None:
    """What customers filed with 反馈: list, read, adopt, answer. NUMBER is the number their author was told."""


@feedback.command("list")
@click.option("--state", type=click.Choice(("new", "read", "adopted", "all")), default="all", show_default=True,
              help="Only these.")
@click.option("--person", "person_id", type=row_id, help="Only this person's.")
@click.option("--limit", type=click.IntRange(1, 1000), default=50, show_default=True, help="Show at most so many.")
@json_option
def list_(state: str, person_id: int | None, limit: int, as_json: bool) -> None:
    """List feedback, the newest first.

    \b
    Example:  python -m bot feedback list --state new --json
    """
    from domain.feedback import queries

    with shop() as runtime, runtime.sessions() as session:
        found = queries.listed(session, "" if state == "all" else state, person_id, limit)
    if as_json:
        print_json([asdict(one) for one in found])
    else:
        click.echo("\n".join(_line(one) for one in found) or "none")


@feedback.command()
@_number
@json_option
def show(number: int, as_json: bool) -> None:
    """Show one feedback in full, with its pictures and what was answered. Changes nothing; see also: read.

    \b
    Example:  python -m bot feedback show 12
    """
    from domain.feedback import queries

    with shop() as runtime, runtime.sessions() as session:
        found = queries.one(session, number)
    _print(found, as_json, full=True)


@feedback.command()
@_number
@as_option
@json_option
def read(number: int, as_name: str, as_json: bool) -> None:
    """Show one feedback and note that it was read.

    \b
    Example:  python -m bot feedback read 12 --as lin
    """
    from domain.feedback import service

    _act(as_name, as_json, lambda session, _runtime, actor, now: service.read(session, number, actor, now))


@feedback.command()
@_number
@click.option("--outcome", default="", help="What came of it, in a sentence; the author reads it.")
@as_option
@json_option
def adopt(number: int, outcome: str, as_name: str, as_json: bool) -> None:
    """Note that the shop does what was suggested: the author is thanked by name, once, ten minutes later.

    \b
    Example:  python -m bot feedback adopt 12 --outcome "下个月起改用加厚纸箱" --as lin
    """
    from domain.feedback import service
    from domain.feedback.rules import FeedbackRules

    _act(as_name, as_json, lambda session, runtime, actor, now: service.adopt(
        session, number, outcome, runtime.context.tool(FeedbackRules), actor, now))


@feedback.command()
@_number
@click.option("--why", required=True, help="The reason; it is kept and audited, the author does not read it.")
@as_option
@json_option
def withdraw(number: int, why: str, as_name: str, as_json: bool) -> None:
    """Take an adoption back. Who was not thanked yet hears nothing; who was keeps the thanks.

    \b
    Example:  python -m bot feedback withdraw 12 --why "wrong number" --as lin
    """
    from domain.feedback import service

    _act(as_name, as_json, lambda session, _runtime, actor, now: service.withdraw(session, number, why, actor, now))


@feedback.command()
@_number
@click.option("--say", "words", required=True, help="What the author reads.")
@as_option
@json_option
def answer(number: int, words: str, as_name: str, as_json: bool) -> None:
    """Write back to the author. Where WeChat does not let us write now, it waits until they write, 30 days at most.

    \b
    Example:  python -m bot feedback answer 12 --say "谢谢，我们已经联系快递" --as lin
    """
    from domain.feedback import service

    _act(as_name, as_json, lambda session, _runtime, actor, now: service.answer(session, number, words, actor, now))


def _act(as_name: str, as_json: bool, act: "Act") -> None:
    _print(carry_out(as_name, act), as_json, full=True)


def _print(one: "FeedbackView", as_json: bool, *, full: bool) -> None:
    if as_json:
        print_json(asdict(one))
        return
    click.echo(_line(one))
    if full:
        click.echo(one.words)
        for photo in one.photos:
            click.echo(f"picture: {photo.get('pic_url') or photo.get('media_id')}")
        if one.outcome:
            click.echo(f"outcome: {one.outcome}")
        if one.answered_at:
            click.echo(f"answered by {one.answered_by} {stamp(one.answered_at)}: {one.answer}")


def _line(one: "FeedbackView") -> str:
    thanked = "  thanked" if one.thanked_at else ""
    return (f"{one.id:>6}  {stamp(one.filed_at)}  {one.state:<8} person {one.person_id:<8} {one.nickname}"
            f"  {one.about(40)}{thanked}")
