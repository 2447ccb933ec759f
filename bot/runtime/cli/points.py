"""``python -m bot points …``: what somebody got, and taking back what was given by mistake."""

from dataclasses import asdict

import click

from bot.runtime.cli.common import (
    MAX_ID,
    acting,
    as_option,
    json_option,
    nobody,
    print_json,
    row_id,
    shop,
    stamp,
    waits_for_second,
)


@click.group()
def points() -> None:
    """See somebody's points, lot by lot, and take back what was given by mistake, by two people.

    PERSON is an id as the API gives it, LOT the number of one of their lots (see: points list).
    """


@points.command("list")
@click.argument("person_id", metavar="PERSON", type=row_id)
@click.option("--limit", type=click.IntRange(1, 10_000), default=100, show_default=True, help="So many lots at most.")
@json_option
def show(person_id: int, limit: int, as_json: bool) -> None:
    """List what PERSON got, the newest first: how many points, what is left, taken back and run out, and why.

    \b
    Example:  python -m bot points list 17 --json
    """
    from domain.people import queries as people
    from domain.points import queries

    with shop() as runtime, runtime.sessions() as session:
        known = people.person(session, person_id)
        if known is None:
            nobody(person_id)
        now = queries.of(session, known.id, runtime.clock.now())
        lots = queries.lots_of(session, known.id, limit)
    if as_json:
        print_json({"person_id": known.id, "active": now.active, "coming": now.coming, "debt": now.debt,
                    "lots": [asdict(lot) | {"takeable": lot.takeable} for lot in lots]})
        return
    click.echo(f"person {known.id}: {now.active} to spend, {now.coming} to come, {now.debt} owed")
    for lot in lots:
        click.echo(f"{lot.id:>6}  {stamp(lot.earned_at)}  {lot.state:<7} {lot.amount:>6}  left {lot.remaining}, "
                   f"back {lot.back}, expired {lot.expired}  {lot.cause}")


@points.command("take-back")
@click.argument("lot_id", metavar="LOT", type=row_id)
@click.option("--points", "wanted", type=click.IntRange(1, MAX_ID), help="So many; all that can be, if not given.")
@click.option("--reason", required=True, help="Why; kept in the log, and not shown to the customer.")
@as_option
@json_option
def take_back(lot_id: int, wanted: int | None, reason: str, as_name: str, as_json: bool) -> None:
    """Ask for points of LOT to be taken back. A second person approves, then the customer is told once.

    Those that were spent are taken from the customer's other points, the rest is a debt that later points repay. What a
    return takes back meanwhile is not taken twice.

    \b
    Example:  python -m bot points take-back 88 --points 50 --reason "given twice" --as wu
    """
    from domain.workflows import taking_back

    with shop() as runtime, runtime.sessions.begin() as session:
        asked = taking_back.ask_points(session, lot_id, wanted, reason, acting(session, as_name), runtime.clock.now())
        waits_for_second(asked, as_json)
