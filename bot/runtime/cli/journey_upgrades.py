"""``journey upgrade``: shipped journeys that are newer than what this shop runs, and how they come to run."""

import difflib
import json
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import click

from bot.runtime.cli.common import acting, as_option, complain, json_option, print_json, shop
from bot.runtime.cli.journey_trials import pair, vocabulary_of

if TYPE_CHECKING:
    from domain.journeys.document import Journey
    from domain.journeys.service import Published

CONTEXT = 1


@click.command()
@click.argument("keys", nargs=-1, metavar="[KEY]…")
@click.option("--map", "moves", multiple=True, metavar="OLD=NEW", help="As for publish; for one KEY only.")
@click.option("--dry-run", is_flag=True, help="Show what differs and how many people would change, and change nothing.")
@as_option
@json_option
def upgrade(keys: tuple[str, ...], moves: tuple[str, ...], dry_run: bool, as_name: str, as_json: bool) -> None:
    """Publish the shipped edition of KEYs that this shop runs in an older one, or in one of its own.

    Without KEY it lists those whose shipped edition was never published here. What you changed in an edition of your
    own is not in the shipped one: look with --dry-run first. People inside finish on theirs, as with publish.

    \b
    Example:  python -m bot journey upgrade restock --as lin
    """
    from bot.runtime import journeys
    from domain.audit import service as audit
    from domain.journeys import queries, service
    from domain.shared.errors import DomainError

    with shop() as runtime, runtime.sessions() as session:
        actor, now = acting(session, as_name), runtime.clock.now()
        if not actor.may(frozenset({"operator"})):
            raise DomainError("not_permitted", act="journey")
        newer = {one.key: one for one in journeys.newer(session)}
        if not keys:
            _listed(list(newer.values()), as_json)
            return
        if moves and len(keys) > 1:
            complain("--map is for one KEY at a time", 2)
        done: list[Published] = []
        for one in map(_shipped, keys):
            before = queries.current(session, one.key)
            done.append(service.publish(session, one, vocabulary_of(runtime), actor.name, now,
                                        moves=dict(map(pair, moves)), live=False))
            if dry_run and not as_json:
                click.echo("\n".join(difference(before, one)))
            if done[-1].changed:
                audit.record(session, actor, "journey.publish", f"journey:{one.key}",
                             {"edition": done[-1].version, "shipped": True}, now)
        if dry_run:
            session.rollback()
        else:
            session.commit()
    if as_json:
        print_json([asdict(one) | {"dry_run": dry_run} for one in done])
        return
    for made in done:
        verb = "would be" if dry_run else "is"
        click.echo(f"{made.key}: edition {made.version} {verb} the one for new runs, {made.moving} people change to it"
                   if made.changed else f"{made.key}: edition {made.version} is the shipped one already")


def _listed(newer: "list[Journey]", as_json: bool) -> None:
    if as_json:
        print_json([{"key": one.key, "title": one.title} for one in newer])
    elif newer:
        for one in newer:
            click.echo(f"{one.key:<20} {one.title}")
        click.echo("\nlook: python -m bot journey upgrade KEY --dry-run --as NAME, then the same without --dry-run")
    else:
        click.echo("every journey here has had its shipped edition")


def _shipped(key: str) -> "Journey":
    from bot.runtime import journeys

    found = next((one for one in journeys.shipped() if one.key == key), None)
    if found is None:
        complain(f"no journey {key} is shipped", 2)
    assert found is not None
    return found


def difference(before: "Journey", after: "Journey") -> list[str]:
    """Lines of the two documents that differ, with a line around each."""
    return list(difflib.unified_diff(_lines(before), _lines(after), f"{before.key} here", f"{after.key} shipped",
                                     lineterm="", n=CONTEXT))


def _lines(one: "Journey") -> list[str]:
    from domain.journeys.writing import dump

    plain: dict[str, Any] = dump(one)
    return json.dumps(plain, ensure_ascii=False, indent=1).splitlines()
