"""``python -m bot draw …``: campaigns, their promises and wins, and the proof that every draw was fair."""

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import click

from bot.runtime.cli.common import acting, as_option, complain, json_option, print_json, say_whether_valid, shop, stamp

if TYPE_CHECKING:
    from sqlalchemy.orm import Session

    from bot.runtime.bootstrap import Runtime
    from domain.draws.queries import CampaignView, DrawView

_key = click.argument("key", metavar="KEY")


@click.group()
def draw() -> None:
    """Show, check and end draws. KEY is a campaign's key in assets/draws.toml."""


@draw.command("list")
@json_option
def list_(as_json: bool) -> None:
    """List campaigns as they were published; one whose file says something else by now is marked.

    \b
    Example:  python -m bot draw list --json
    """
    from domain.draws import queries
    from domain.draws.rules import Campaigns

    with shop() as runtime, runtime.sessions() as session:
        found = queries.campaigns(session, runtime.clock.now())
        files = {one.key: one.digest for one in runtime.context.tool(Campaigns).campaign}
    differs = {one.key: files.get(one.key, one.digest) != one.digest for one in found}
    if as_json:
        print_json([asdict(one) | {"file_differs": differs[one.key]} for one in found])
        return
    for one in found:
        mark = "  the file differs: it needs a new key" if differs[one.key] else ""
        click.echo(f"{one.key:<14} {one.state:<8} {stamp(one.opens_at)} – {stamp(one.closes_at)}  {one.title}{mark}")
    if not found:
        click.echo("nothing was published yet")


@draw.command()
@_key
@json_option
def show(key: str, as_json: bool) -> None:
    """Show a campaign's prizes with odds and stock, and its promises up to today.

    \b
    Example:  python -m bot draw show harvest --json
    """
    from domain.draws import queries

    with shop() as runtime, runtime.sessions() as session:
        found = _campaign(runtime, session, key)
        promises = queries.promises(session, found.id, runtime.clock.now())
    if as_json:
        print_json({"campaign": asdict(found), "promises": [asdict(one) for one in promises]})
        return
    click.echo(f"{found.key}  {found.title}  {found.state}  {found.points} points a draw")
    for prize in found.prizes:
        left = "no end" if prize.left is None else f"{prize.left} of {prize.stock} left"
        click.echo(f"  {prize.first:>4}–{prize.last:<4} {prize.odds_bps:>5} bps  {left:<16} {prize.title}")
    for one in promises:
        click.echo(f"  {one.day}  {one.commitment}  {one.draws} draws  {one.seed or 'not shown yet'}")


@draw.command()
@_key
@json_option
def verify(key: str, as_json: bool) -> None:
    """Reckon every draw of the days that are over again, from seeds and promises; status 1 when one is not right.

    \b
    Example:  python -m bot draw verify harvest
    """
    from domain.draws import service

    with shop() as runtime, runtime.sessions() as session:
        found = _campaign(runtime, session, key)
        count, faults = service.verify(session, found, runtime.clock.now())
    if as_json:
        print_json({"campaign": key, "verified": count, "faults": faults})
    else:
        click.echo("\n".join(faults) or f"{count} draws are what their seeds say")
    if faults:
        raise SystemExit(1)


@draw.command()
@_key
@click.option("--all", "everything", is_flag=True, help="Also coupons and points, not only goods and money.")
@json_option
def wins(key: str, everything: bool, as_json: bool) -> None:
    """List the newest 1000 wins of goods and money, with what they are worth: for the tax on chance income.

    \b
    Example:  python -m bot draw wins harvest --json
    """
    from domain.draws import queries

    with shop() as runtime, runtime.sessions() as session:
        found = _campaign(runtime, session, key)
        rows = queries.wins(session, found.id, worthy=not everything, limit=1000)
    if as_json:
        print_json([asdict(row) for row in rows])
    else:
        click.echo("\n".join(_line(row) for row in rows) or "nobody has won yet")


@draw.command()
@_key
@click.option("--why", required=True, help="The reason, for whoever asks later; it is kept and audited.")
@as_option
def stop(key: str, why: str, as_name: str) -> None:
    """End a campaign before its time. What was won stays won; seeds are shown as promised.

    \b
    Example:  python -m bot draw stop harvest --why "all prizes are gone" --as lin
    """
    from domain.draws import service

    with shop() as runtime, runtime.sessions.begin() as session:
        service.stop(session, key, why, acting(session, as_name), runtime.clock.now())
    click.echo(f"{key} has ended")


@draw.command()
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@json_option
def check(file: Path, as_json: bool) -> None:
    """Check a FILE of campaigns before it replaces assets/draws.toml; status 1 when something is wrong.

    \b
    Example:  python -m bot draw check assets/draws.toml
    """
    from bot.runtime.bootstrap import ASSETS
    from domain.draws.rules import load
    from domain.rewards.rules import Offers

    offers = Offers.load((ASSETS / "rewards.toml").read_text("utf-8"))
    say_whether_valid(file, lambda written: load(written, offers.by_kind), as_json)


def _campaign(runtime: "Runtime", session: "Session", key: str) -> "CampaignView":
    from domain.draws import queries

    found = queries.campaigns(session, runtime.clock.now(), key)
    if not found:
        complain(f"there is no draw {key}")
    return found[0]


def _line(row: "DrawView") -> str:
    return (f"{row.id:>6}  {stamp(row.at)}  person {row.person_id:<8} {row.code}-{row.number:<4} {row.worth_fen:>8} fen"
            f"  {row.prize}")
