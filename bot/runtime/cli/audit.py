"""``python -m bot audit …``: what operators did, and whether the log of it is whole."""

import json
import re
import sys
from dataclasses import asdict
from typing import TYPE_CHECKING

import click

from bot.runtime.cli.common import complain, json_option, print_json, shop, stamp

if TYPE_CHECKING:
    from domain.audit.queries import EventView
    from domain.audit.seals import Head


@click.group()
def audit() -> None:
    """Read the log of operators' acts and check that nothing was changed in it."""


@audit.command("list")
@click.option("--subject", default="", help="Only what was done to this, as in person:17.")
@click.option("--operator", default="", help="Only what this operator did.")
@click.option("--act", default="", help="Only this act; with a full stop at the end all that start so (plan.).")
@click.option("--limit", type=click.IntRange(1, 10_000), default=50, show_default=True, help="Show at most so many.")
@json_option
def show(subject: str, operator: str, act: str, limit: int, as_json: bool) -> None:
    """List what operators did, newest first.

    \b
    Example:  python -m bot audit list --operator zhou --json
    """
    from domain.audit import queries

    with shop() as runtime, runtime.sessions() as session:
        found = queries.events(session, limit=limit, subject=subject, operator=operator, act=act)
    if as_json:
        print_json([asdict(one) for one in found])
    else:
        click.echo("\n".join(_line(one) for one in found) or "nothing")


@audit.command()
@click.option("--head", default="", metavar="ID:DIGEST",
              help="A head noted earlier (from this command, or audit.sealed in the service's log).")
@json_option
def verify(head: str, as_json: bool) -> None:
    """Compute the hash chain of the log again and name the first row that does not fit.

    Finds rows that were changed, deleted or slipped in after they were sealed (within a minute or so), and a chain made
    anew without HUITOU_SECRET_KEY. It cannot know of rows deleted before they were sealed. Rows deleted at the end
    together with their seals are found with --head: note it somewhere else, on paper will do. Exit status 1 when
    something does not fit. Changes nothing.

    \b
    Example:  python -m bot audit verify --json
    """
    noted = _head(head) if head else None
    from domain.audit import seals
    from domain.audit.rules import SealKey

    with shop() as runtime, runtime.sessions() as session:
        report = seals.verify(session, runtime.context.tool(SealKey), noted)
    if as_json:
        print_json(asdict(report))
    else:
        since = f", the oldest since {stamp(report.open_since)}" if report.open_since else ""
        click.echo(f"sealed     {report.sealed}\nnot yet    {report.unsealed}{since}")
        click.echo(f"head       {report.head.event_id}:{report.head.digest}")
        for fault in report.faults:
            click.echo(f"WRONG      {f'row {fault.event_id} ' if fault.event_id else ''}{fault.what}")
        click.echo("sound" if report.sound else "NOT SOUND: keep this database as it is, and ask who could write to it")
    sys.exit(0 if report.sound else 1)


def _head(noted: str) -> "Head":
    from domain.audit.seals import Head

    match = re.fullmatch(r"(\d{1,18}):([0-9a-f]{64})", noted.strip().lower())
    if match is None:
        complain("--head is ID:DIGEST, as this command prints it", 2)
        raise AssertionError("unreachable")
    return Head(int(match[1]), match[2])


def _line(one: "EventView") -> str:
    detail = json.dumps(dict(one.detail), ensure_ascii=False) if one.detail else ""
    return f"{one.id:>8}  {stamp(one.at)}  {one.operator} ({one.role})  {one.act}  {one.subject}  {detail}".rstrip()
