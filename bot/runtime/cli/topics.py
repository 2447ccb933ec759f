"""``python -m bot topic …``: what the shop talks about with its customers, and which of their words everybody reads."""

from dataclasses import asdict
from typing import TYPE_CHECKING

import click

from bot.runtime.cli.common import acting, as_option, complain, json_option, print_json, row_id, shop, stamp

if TYPE_CHECKING:
    from domain.topics.queries import TopicView, WordView

_number = click.argument("number", metavar="NUMBER", type=row_id)
_word = click.argument("word", metavar="WORD", type=row_id)


@click.group()
def topic() -> None:
    """What customers see with 话题: open one, announce it, read what they say, pick what everybody may read, close it.

    NUMBER is a topic's, WORD the number of what somebody said. One topic is open at a time.
    """


@topic.command("open")
@click.argument("title")
@click.option("--intro", default="", help="A sentence or two below the title, 120 characters at most.")
@click.option("--points", type=click.IntRange(0, 500), help="What a picked word earns; 10 if not given.")
@click.option("--days", type=click.IntRange(0, 90), default=0, show_default=True,
              help="Close it by itself after so many days; 0: when you say so.")
@as_option
@json_option
def open_(title: str, intro: str, points: int | None, days: int, as_name: str, as_json: bool) -> None:
    """Open a topic, 2 to 60 characters. Customers see it at once with 话题.

    \b
    Example:  python -m bot topic open "周末早餐吃什么" --points 10 --days 7 --as lin
    """
    from domain.shared.wording import Wording
    from domain.topics import service
    from domain.topics.rules import TopicRules

    with shop() as runtime, runtime.sessions.begin() as session:
        worth = runtime.context.tool(TopicRules).points if points is None else points
        done = service.open_topic(session, title, intro, worth, days, runtime.context.tool(Wording),
                                  acting(session, as_name), runtime.clock.now())
    _print(done, as_json)


@topic.command("list")
@click.option("--limit", type=click.IntRange(1, 500), default=20, show_default=True, help="Show so many, newest first.")
@json_option
def list_(limit: int, as_json: bool) -> None:
    """List topics: how many took part, how many words were picked, how many wait for you.

    \b
    Example:  python -m bot topic list
    """
    from domain.topics import queries

    with shop() as runtime, runtime.sessions() as session:
        found = queries.listed(session, limit)
    if as_json:
        print_json([asdict(one) for one in found])
    else:
        click.echo("\n".join(_line(one) for one in found) or "none")


@topic.command()
@_number
@click.option("--state", type=click.Choice(("new", "picked", "passed", "all")), default="all", show_default=True,
              help="Only these.")
@json_option
def words(number: int, state: str, as_json: bool) -> None:
    """List what was said to topic NUMBER, the newest first, 200 at most. New ones wait for you.

    \b
    Example:  python -m bot topic words 3 --state new
    """
    from domain.topics import queries

    with shop() as runtime, runtime.sessions() as session:
        queries.one(session, number)
        found = queries.words(session, number, "" if state == "all" else state)
    if as_json:
        print_json([asdict(one) for one in found])
    else:
        click.echo("\n".join(_said(one) for one in found) or "none")


@topic.command()
@_word
@as_option
@json_option
def pick(word: int, as_name: str, as_json: bool) -> None:
    """Let everybody read WORD. Its author is thanked by name and gets the topic's points, once for each word.

    \b
    Example:  python -m bot topic pick 12 --as lin
    """
    from domain.points.rules import PointRules
    from domain.shared.wording import Wording
    from domain.workflows import picking

    with shop() as runtime:
        with runtime.sessions.begin() as session:
            tool = runtime.context.tool
            done = picking.pick(session, word, tool(Wording), tool(PointRules).life, acting(session, as_name),
                                runtime.clock.now())
        runtime.bell.ring({"fact", "notice"})
    _print_word(done, as_json)


@topic.command("pass")
@_word
@as_option
@json_option
def pass_(word: int, as_name: str, as_json: bool) -> None:
    """Do not show WORD, or no longer. Its author hears nothing and keeps what was given.

    \b
    Example:  python -m bot topic pass 13 --as lin
    """
    from domain.topics import service

    with shop() as runtime, runtime.sessions.begin() as session:
        done = service.pass_over(session, word, acting(session, as_name), runtime.clock.now())
    _print_word(done, as_json)


@topic.command()
@_number
@as_option
@json_option
def close(number: int, as_name: str, as_json: bool) -> None:
    """Close topic NUMBER: nobody can say more, what was said may still be picked.

    \b
    Example:  python -m bot topic close 3 --as lin
    """
    from domain.topics import service

    with shop() as runtime, runtime.sessions.begin() as session:
        done = service.close(session, number, acting(session, as_name), runtime.clock.now())
    _print(done, as_json)


@topic.command()
@_number
@click.option("--segment", default="", help="Only people of this segment (see: segment list); everybody if not given.")
@as_option
def announce(number: int, segment: str, as_name: str) -> None:
    """Tell people of topic NUMBER by a broadcast (see: broadcast list), within their caps, hours and consent.

    \b
    Example:  python -m bot topic announce 3 --segment champion --as lin
    """
    from domain.insight.rules import Segmentation
    from domain.shared.wording import Wording
    from domain.workflows import picking

    with shop() as runtime:
        with runtime.sessions.begin() as session:
            if segment and segment not in runtime.context.tool(Segmentation).titles():
                complain(f"there is no segment {segment}: python -m bot segment list")
            begun = picking.announce(session, number, runtime.voice.render, segment, runtime.context.tool(Wording),
                                     acting(session, as_name), runtime.clock.now())
        runtime.bell.ring({"chore"})
    click.echo(f"broadcast {begun} begins")


def _print(one: "TopicView", as_json: bool) -> None:
    if as_json:
        print_json(asdict(one))
    else:
        click.echo(_line(one))


def _print_word(one: "WordView", as_json: bool) -> None:
    if as_json:
        print_json(asdict(one))
    else:
        click.echo(_said(one))


def _line(one: "TopicView") -> str:
    state = f"until {stamp(one.ends_at)}" if one.ends_at else "open"
    state = f"closed {stamp(one.closed_at)}" if one.closed_at else state
    return (f"{one.id:>5}  {one.title}  {state}  {one.people} people, {one.picked} picked, {one.waiting} wait"
            f"  {one.points} points")


def _said(one: "WordView") -> str:
    given = f"  thanked, {one.points} points" if one.thanked_at else ""
    return (f"{one.id:>6}  {stamp(one.said_at)}  {one.state:<7} person {one.person_id:<8} {one.nickname}"
            f"  {one.words}{given}")
