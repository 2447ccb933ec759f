"""``python -m bot segment …``: tags and segments of customers: how many, who, how current, and by which rules."""

import sys
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import click

from bot.runtime.cli.common import acting, as_option, complain, json_option, nobody, print_json, row_id, shop, stamp

if TYPE_CHECKING:
    from bot.runtime.bootstrap import Runtime
    from domain.insight.rules import Segmentation

RULES = Path(__file__).parents[3] / "assets" / "segments.toml"


@click.group()
def segment() -> None:
    """Look at tags (高频复购 …) and RFM segments, which follow every order within seconds."""


@segment.command("list")
@json_option
def list_(as_json: bool) -> None:
    """Show every tag and segment with the number of its people, and how current all of it is.

    Exit status 1 when somebody has waited for more than ten minutes to be judged.

    \b
    Example:  python -m bot segment list
    """
    from domain.insight import queries
    from domain.shared.money import yuan

    with shop() as runtime, runtime.sessions() as session:
        sizes, tags, health = queries.sizes(session), queries.tag_sizes(session), queries.health(session)
        titles = _rules(runtime).titles()
        late = health.oldest is not None and (runtime.context.real_now() - health.oldest).total_seconds() > 600
    if as_json:
        print_json({"segments": [asdict(one) for one in sizes], "tags": tags, "health": asdict(health)})
    else:
        for one in sizes:
            name = titles.get(one.key, one.key or "(none)")
            click.echo(f"segment {one.key or '-':<16} {name:<10} {one.people:>8} people {yuan(one.spent_fen):>14}")
        for key, people in tags.items():
            click.echo(f"tag     {key:<16} {titles.get(key, key):<10} {people:>8} people")
        since = f" since {stamp(health.oldest)}" if health.oldest else ""
        click.echo(f"last judged: {health.last_people} people in {health.last_milliseconds} ms; "
                   f"waiting: {health.waiting}{since}")
    sys.exit(1 if late else 0)


@segment.command()
@click.argument("person_id", metavar="PERSON", type=row_id)
@json_option
def show(person_id: int, as_json: bool) -> None:
    """Show the tags, the RFM scores and the segment of PERSON.

    \b
    Example:  python -m bot segment show 17
    """
    from domain.insight import queries
    from domain.people import queries as people

    with shop() as runtime, runtime.sessions() as session:
        if people.person(session, person_id) is None:
            nobody(person_id)
        standing = queries.of(session, person_id)
        titles = _rules(runtime).titles()
    if as_json:
        print_json(asdict(standing))
        return
    name = titles.get(standing.segment, standing.segment or "-")
    click.echo(f"segment {name}  R{standing.r} F{standing.f} M{standing.m}")
    click.echo("tags    " + (", ".join(titles.get(tag, tag) for tag in standing.tags) or "-"))


@segment.command()
@click.argument("person_id", metavar="PERSON", type=row_id)
@click.argument("tag")
@click.option("--remove", is_flag=True, help="Take the tag off instead.")
@as_option
def tag(person_id: int, tag: str, remove: bool, as_name: str) -> None:
    """Put TAG on PERSON, or take it off. Rules never take off what was put on by hand.

    \b
    Example:  python -m bot segment tag 17 安心妈妈团 --as lin
    """
    from domain.audit import service as audit
    from domain.insight import service
    from domain.people import queries as people

    if not (tag.isprintable() and 1 <= len(tag) <= 30 and tag == tag.strip()):
        complain("a tag has 1 to 30 printable characters: nothing was changed", 2)
    with shop() as runtime, runtime.sessions.begin() as session:
        actor, now = acting(session, as_name), runtime.clock.now()
        if people.person(session, person_id) is None:
            nobody(person_id)
        change = service.untag if remove else service.tag
        if change(session, person_id, tag, "operator", now):
            act = "tag.remove" if remove else "tag.add"
            audit.record(session, actor, act, f"person:{person_id}", {"tag": tag}, now)
    click.echo("done")


@segment.command()
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path), default=RULES)
def check(file: Path) -> None:
    """Say everything that is wrong with the rules of FILE (default: those of this shop).

    \b
    Example:  python -m bot segment check
    """
    from domain.insight import rules
    from domain.shared.errors import DomainError

    try:
        found = rules.load(file.read_text(encoding="utf-8"))
    except DomainError as error:
        complain("\n".join(f"- {fault}" for fault in error.facts["faults"]))  # type: ignore[attr-defined]
    click.echo(f"{len(found.tags)} tags, {len(found.segments)} segments: all is well")


@segment.command()
def rebuild() -> None:
    """Judge everybody again, after the rules were changed. Shows how far it is, and at the end how many people it
    judged and how long that took; may be stopped and run again.

    \b
    Example:  python -m bot segment rebuild
    """
    from domain.insight import queries, service

    after: int | None = 0
    with shop() as runtime:
        rules, now = _rules(runtime), runtime.clock.now()
        while after is not None:
            last = after
            with runtime.sessions.begin() as session:
                after = service.rebuild(session, rules, last, now)
            click.echo(f"judged up to person {after or last}")
        with runtime.sessions() as session:
            people, milliseconds = queries.judged_at(session, now)
    click.echo(f"judged {people} people in {milliseconds / 1000:.1f} s")


def _rules(runtime: "Runtime") -> "Segmentation":
    from domain.insight.rules import Segmentation

    return runtime.context.tool(Segmentation)
