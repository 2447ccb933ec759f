"""``python -m bot membership …``: the paid cards: who has one, one person's cards, given and taken by hand."""

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import click

from bot.runtime.cli.common import (
    acting,
    as_option,
    complain,
    json_option,
    nobody,
    print_json,
    row_id,
    say_whether_valid,
    shop,
    stamp,
)

if TYPE_CHECKING:
    from domain.memberships.queries import CardRow

_person = click.argument("person_id", metavar="PERSON", type=row_id)
_why = click.option("--why", required=True, help="The reason, for whoever asks later; it is kept and audited.")


@click.group()
def membership() -> None:
    """Show, give and take paid membership cards. PERSON is an id as the API gives it."""


@membership.command("list")
@click.option("--ending", "within", type=click.IntRange(1, 3_660), metavar="DAYS",
              help="Only cards that end within so many days.")
@json_option
def list_(within: int | None, as_json: bool) -> None:
    """List cards, the newest 100; with --ending those that run out soon.

    \b
    Example:  python -m bot membership list --ending 30 --json
    """
    from domain.memberships import queries

    with shop() as runtime, runtime.sessions() as session:
        rows = queries.cards_of(session, runtime.clock.now(), within_days=within)
    _print(rows, as_json)


@membership.command()
@_person
@json_option
def show(person_id: int, as_json: bool) -> None:
    """Show the cards of somebody, until when they are a member, and what that has saved.

    \b
    Example:  python -m bot membership show 17 --json
    """
    from domain.memberships import queries
    from domain.memberships.rules import Cards
    from domain.people import queries as people

    with shop() as runtime, runtime.sessions() as session:
        known = people.person(session, person_id)
        if known is None:
            nobody(person_id)
        now = runtime.clock.now()
        card = queries.of(session, known.id, now)
        saved = queries.saved_by(session, known.id, runtime.context.tool(Cards))
        rows = queries.cards_of(session, now, known.id)
    if as_json:
        print_json({"person_id": known.id, "now": asdict(card) if card else None,
                    "saved": asdict(saved) | {"fen": saved.fen}, "cards": [asdict(row) for row in rows]})
        return
    click.echo(f"{known.id}  {known.nickname or '-'}  "
               + (f"{card.title} until {stamp(card.until)}" if card else "no paid membership")
               + f"  saved {saved.fen} fen")
    _print(rows, False)


@membership.command()
@_person
@click.option("--card", "key", default="", help="The card's key in assets/membership.toml (default: the first).")
@click.option("--days", type=click.IntRange(1, 3_660), help="Days (default: those of the card).")
@_why
@as_option
def grant(person_id: int, key: str, days: int | None, why: str, as_name: str) -> None:
    """Give PERSON a card, from now on or after the one that runs.

    \b
    Example:  python -m bot membership grant 17 --days 30 --why "late parcel" --as lin
    """
    from domain.memberships import service
    from domain.memberships.rules import Cards

    with shop() as runtime:
        cards = runtime.context.tool(Cards)
        if not cards.card:
            complain("assets/membership.toml has no card")
        card = cards.of(key or cards.card[0].key)
        with runtime.sessions.begin() as session:
            end = service.grant(session, person_id, card, days or card.days, why, acting(session, as_name),
                                runtime.clock.now())
        runtime.bell.ring({"fact"})
    click.echo(f"{person_id} is a member until {stamp(end)}")


@membership.command()
@_person
@_why
@as_option
def revoke(person_id: int, why: str, as_name: str) -> None:
    """Take the membership of PERSON, what runs and what comes after it. The money is refunded in the mall.

    \b
    Example:  python -m bot membership revoke 17 --why "resells at member prices" --as lin
    """
    from domain.memberships import service

    with shop() as runtime:
        with runtime.sessions.begin() as session:
            taken = service.revoke(session, person_id, why, acting(session, as_name), runtime.clock.now())
        runtime.bell.ring({"fact"})
    click.echo(f"{taken} cards of {person_id} were taken")


@membership.command()
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@json_option
def check(file: Path, as_json: bool) -> None:
    """Check a FILE of cards before it replaces assets/membership.toml; status 1 when something is wrong.

    \b
    Example:  python -m bot membership check assets/membership.toml
    """
    from domain.memberships.rules import load
    from domain.rewards.programme import BENEFITS

    say_whether_valid(file, lambda written: load(written, BENEFITS), as_json)


def _print(rows: "list[CardRow]", as_json: bool) -> None:
    if as_json:
        print_json([asdict(row) for row in rows])
    else:
        click.echo("\n".join(_line(row) for row in rows) or "no cards")


def _line(row: "CardRow") -> str:
    why = f"  {row.reason} by {row.actor}" if row.actor else ""
    return (f"{row.id:>6}  person {row.person_id:<8} {row.card:<10} {row.state:<8} {row.kept_days:>4}/{row.days} days"
            f"  {stamp(row.starts_at)} – {stamp(row.ends_at)}  {row.cause}{why}")
