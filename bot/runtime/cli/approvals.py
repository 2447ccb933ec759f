"""``python -m bot approvals …``: acts that wait for a second person, and that person's yes or no."""

import json
from dataclasses import asdict
from typing import TYPE_CHECKING

import click

from bot.runtime.cli.common import acting, as_option, json_option, print_json, row_id, shop, stamp

if TYPE_CHECKING:
    from sqlalchemy.orm import Session

    from domain.audit.queries import ApprovalView

STATES = ("open", "approved", "rejected", "expired", "all")

_id = click.argument("approval_id", metavar="ID", type=row_id)
_note = click.option("--note", default="", help="Why, for whoever asks later.")


@click.group()
def approvals() -> None:
    """Decide acts that need two people: a plan, a large payment, a freeze, more levels, gifts taken back."""


@approvals.command("list")
@click.option("--state", type=click.Choice(STATES), default="open", show_default=True, help="Only these.")
@click.option("--limit", type=click.IntRange(1, 1000), default=50, show_default=True, help="Show at most so many.")
@json_option
def show_all(state: str, limit: int, as_json: bool) -> None:
    """List approvals, newest first.

    \b
    Example:  python -m bot approvals list --json
    """
    from domain.audit import queries

    with shop() as runtime, runtime.sessions() as session:
        wanted = "" if state == "all" else state
        found = queries.approvals(session, runtime.clock.now(), wanted, limit=limit)
    if as_json:
        print_json([asdict(one) for one in found])
    elif not found:
        click.echo("none")
    else:
        click.echo("\n".join(_line(one) for one in found))


@approvals.command()
@_id
@json_option
def show(approval_id: int, as_json: bool) -> None:
    """Show one approval with everything that the second person must know.

    \b
    Example:  python -m bot approvals show 12
    """
    from domain.audit import approvals as desk
    from domain.audit import queries

    with shop() as runtime, runtime.sessions() as session:
        found = queries.approval_view(desk.of(session, approval_id), runtime.clock.now())
    if as_json:
        print_json(asdict(found))
        return
    click.echo(_line(found))
    click.echo(json.dumps(dict(found.payload), ensure_ascii=False, indent=2))


@approvals.command()
@_id
@_note
@as_option
@json_option
def approve(approval_id: int, note: str, as_name: str, as_json: bool) -> None:
    """Say yes to ID, as somebody else than who asked: it is done at once.

    \b
    Example:  python -m bot approvals approve 12 --as zhou
    """
    _decide(approval_id, True, note, as_name, as_json)


@approvals.command()
@_id
@_note
@as_option
@json_option
def reject(approval_id: int, note: str, as_name: str, as_json: bool) -> None:
    """Say no to ID, as somebody else than who asked.

    \b
    Example:  python -m bot approvals reject 12 --as zhou --note "ask again with the invoice"
    """
    _decide(approval_id, False, note, as_name, as_json)


def _decide(approval_id: int, approve: bool, note: str, as_name: str, as_json: bool) -> None:
    from domain.audit import queries
    from domain.ledger.service import retrying
    from domain.shared import outbox
    from domain.workflows import acts

    with shop() as runtime:
        def decide(session: "Session") -> "tuple[ApprovalView, Session]":
            now = runtime.clock.now()
            decided = acts.decide(session, approval_id, approve, acting(session, as_name), now, note)
            return queries.approval_view(decided, now), session

        view, session = retrying(runtime.sessions, decide)  # an act may meet the workers' locks in another order
        if bells := outbox.rung(session):
            runtime.bell.ring(bells)
    if as_json:
        print_json(asdict(view))
    else:
        click.echo(_line(view))


def _line(one: "ApprovalView") -> str:
    head = f"{one.id:>6}  {one.state:<8}  {one.act:<18}  {one.subject}"
    asked = f"{'':>6}  asked by {one.asked_by} at {stamp(one.asked_at)}: {one.reason}"
    if one.decided_by and one.decided_at:
        note = f": {one.note}" if one.note else ""
        return f"{head}\n{asked}\n{'':>6}  {one.state} by {one.decided_by} at {stamp(one.decided_at)}{note}"
    return f"{head}\n{asked}" + (f"\n{'':>6}  open until {stamp(one.expires_at)}" if one.state == "open" else "")
