"""``python -m bot shots …``: pictures that customers sent in with 投稿, and what the shop does with them."""

from collections.abc import Callable
from dataclasses import asdict
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click

from bot.runtime.cli.common import acting, as_option, carry_out, json_option, print_json, row_id, shop, stamp
from domain.shots.rules import REASONS

if TYPE_CHECKING:
    from sqlalchemy.orm import Session

    from bot.runtime.bootstrap import Runtime
    from domain.audit.rules import Actor
    from domain.shots.queries import ShotView

    Act = Callable[[Session, Runtime, Actor, datetime], ShotView]

_number = click.argument("number", metavar="NUMBER", type=row_id)


@click.group()
def shots() -> None:
    """Customers' own pictures: list, look at, show around or not. NUMBER is the number their author was told."""


@shots.command("list")
@click.option("--state", default="waiting", show_default=True, help="Only these.",
              type=click.Choice(("draft", "waiting", "approved", "declined", "withdrawn", "retired", "all")))
@click.option("--person", "person_id", type=row_id, help="Only this person's.")
@click.option("--limit", type=click.IntRange(1, 1000), default=50, show_default=True, help="Show at most so many.")
@json_option
def list_(state: str, person_id: int | None, limit: int, as_json: bool) -> None:
    """List pictures, the newest first: those that wait for you, or others.

    \b
    Example:  python -m bot shots list --state approved --json
    """
    from domain.shots import queries

    with shop() as runtime, runtime.sessions() as session:
        found = queries.listed(session, "" if state == "all" else state, person_id, limit)
    if as_json:
        print_json([asdict(one) for one in found])
    else:
        click.echo("\n".join(_line(one) for one in found) or "none")


@shots.command()
@_number
@json_option
def show(number: int, as_json: bool) -> None:
    """Show what is known of one picture, with every word of its author on what may be done with it.

    \b
    Example:  python -m bot shots show 3
    """
    from domain.shots import queries

    with shop() as runtime, runtime.sessions() as session:
        found, said = queries.one(session, number), queries.words(session, number)
    if as_json:
        print_json(asdict(found) | {"consents": [asdict(one) for one in said]})
        return
    click.echo(_line(found))
    for one in said:
        click.echo(f"{stamp(one.at)}  {one.word}: {' '.join(one.wording.split())}")


@shots.command()
@_number
@click.option("--out", required=True, type=click.Path(dir_okay=False, path_type=Path), help="Write the JPEG here.")
@as_option
def picture(number: int, out: Path, as_name: str) -> None:
    """Save one picture to look at it. Who did is noted in the log.

    \b
    Example:  python -m bot shots picture 3 --out 3.jpg --as lin
    """
    from domain.shots import service

    with shop() as runtime, runtime.sessions.begin() as session:
        found = service.look(session, number, acting(session, as_name), runtime.clock.now())
        out.write_bytes(found)
        click.echo(f"{out}: {len(found)} bytes")


@shots.command()
@_number
@click.option("--sku", default="", help="The product it is about, when its author did not say or was mistaken.")
@click.option("--without-words", is_flag=True, help="Show the picture only, not what its author says.")
@as_option
@json_option
def approve(number: int, sku: str, without_words: bool, as_name: str, as_json: bool) -> None:
    """Show it around: sharers are given it from now on, its author is thanked by name and rewarded, once.

    \b
    Example:  python -m bot shots approve 3 --as lin
    """
    from domain.shared.wording import Wording
    from domain.shots import service

    _act(as_name, as_json, lambda session, runtime, actor, now: service.approve(
        session, number, sku, not without_words, runtime.context.tool(Wording), actor, now))


@shots.command()
@_number
@click.option("--reason", required=True, type=click.Choice(REASONS), help="What its author is told, kindly.")
@click.option("--say", "words", default="", help="A sentence more for its author; for the reason other it is needed.")
@as_option
@json_option
def decline(number: int, reason: str, words: str, as_name: str, as_json: bool) -> None:
    """Do not show it: its author is told why, and it is deleted.

    \b
    Example:  python -m bot shots decline 3 --reason unclear --as lin
    """
    from domain.shots import service

    _act(as_name, as_json, lambda session, _runtime, actor, now: service.decline(session, number, reason, words, actor,
                                                                                 now))


@shots.command()
@_number
@click.option("--why", required=True, help="For the log.")
@as_option
@json_option
def retire(number: int, why: str, as_name: str, as_json: bool) -> None:
    """Show an approved one no more, and delete it. Its author keeps what they got.

    \b
    Example:  python -m bot shots retire 3 --why "old package" --as lin
    """
    from domain.shots import service

    _act(as_name, as_json, lambda session, _runtime, actor, now: service.retire(session, number, why, actor, now))


def _act(as_name: str, as_json: bool, act: "Act") -> None:
    done = carry_out(as_name, act)
    if as_json:
        print_json(asdict(done))
    else:
        click.echo(_line(done))


def _line(one: "ShotView") -> str:
    words = f"  “{one.words}”" if one.words else ""
    brought = f"  given {one.given}, came {one.clicks}, bought {one.orders}" if one.given else ""
    why = f" ({one.why})" if one.why else ""
    return (f"{one.id:>6}  {stamp(one.sent_at)}  {one.state}{why}  {one.consent or '-':<9}  {one.sku or '-':<12}"
            f"  person {one.person_id:<6} {one.nickname}{words}{brought}")
