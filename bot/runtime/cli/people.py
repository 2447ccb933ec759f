"""``python -m bot people …``: people who leave and what is erased of them when, and people who may be one."""

import sys
from dataclasses import asdict
from functools import partial
from typing import TYPE_CHECKING

import click

from bot.runtime.cli.common import acting, as_option, json_option, print_json, row_id, shop, stamp

if TYPE_CHECKING:
    from domain.people.leaving import ErasureView

STATES = ("waiting", "done", "returned", "called_off")

_person = click.argument("person_id", metavar="PERSON", type=row_id)


@click.group()
def people() -> None:
    """Erase people who left or asked for it, see who waits for what, and settle who is whom."""


@people.command()
@_person
@click.option("--reason", required=True, help="Why, for whoever asks before it is done; it is erased as well.")
@as_option
@json_option
def erase(person_id: int, reason: str, as_name: str, as_json: bool) -> None:
    """Erase the personal data of PERSON, for good. Put off while money, a withdrawal, a debt, a case, a young order
    or an undeclared tax is open; then it is tried again every day. The books stay under the number.

    \b
    Example:  python -m bot people erase 17 --as lin --reason "letter of 3 March"
    """
    from domain.people.leaving import Memory
    from domain.workflows import leaving
    from domain.workflows.leaving import Leaving

    with shop() as runtime:
        now, tool = runtime.clock.now(), runtime.context.tool
        with runtime.sessions.begin() as session:
            asked = leaving.order_erasure(session, person_id, acting(session, as_name), reason, now)
        with runtime.sessions.begin() as session:
            found, = leaving.run_due(session, tool(Leaving), tool(Memory), now, 1, asked.person_id)
    if as_json:
        print_json(asdict(found))
    else:
        click.echo(_line(found))


@people.command()
@click.option("--state", type=click.Choice(STATES), default=None, help="Only those in this state.")
@click.option("--limit", type=click.IntRange(1, 10_000), default=100, show_default=True, help="How many at most.")
@json_option
def erasures(state: str | None, limit: int, as_json: bool) -> None:
    """List erasures, the newest first: why, due when, and what puts them off.

    \b
    Example:  python -m bot people erasures --state waiting --json
    """
    from domain.people import leaving

    with shop() as runtime, runtime.sessions() as session:
        found = leaving.erasures(session, state or "", limit)
    if as_json:
        print_json([asdict(one) for one in found])
    else:
        click.echo("\n".join(_line(one) for one in found) or "nobody")


@people.command()
@_person
@as_option
def keep(person_id: int, as_name: str) -> None:
    """Call off the waiting erasure of PERSON, whoever asked for it. Noted in the log under your name. Their pictures
    (投稿) were deleted when it was noted and do not come back; they may send them in again.

    \b
    Example:  python -m bot people keep 17 --as lin
    """
    from domain.workflows import leaving

    with shop() as runtime, runtime.sessions.begin() as session:
        gone = leaving.pictures_gone(session, person_id)
        done = leaving.keep(session, person_id, acting(session, as_name), runtime.clock.now())
    if not done:
        click.echo("nothing waits for this person")
    else:
        click.echo(f"called off; {gone} pictures of theirs were deleted when it was noted and do not come back"
                   if gone else "called off")


@people.command()
@click.option("--limit", type=click.IntRange(1, 10_000), default=100, show_default=True, help="How many at most.")
@json_option
def conflicts(limit: int, as_json: bool) -> None:
    """List pairs of people who look like one and were not merged, the oldest first: what refused it, and where it was
    met. They stay two until it is known that they are one; look at both, then: people settle.

    \b
    Example:  python -m bot people conflicts --json
    """
    from domain.people import queries

    with shop() as runtime, runtime.sessions() as session:
        found = queries.conflicts(session, limit)
    if as_json:
        print_json([asdict(one) for one in found])
    else:
        click.echo("\n".join(f"{one.id:>6}  persons {one.one_id} and {one.other_id}  {one.conflict}  ({one.reason})"
                             f"  {stamp(one.found_at)}" for one in found) or "none")


@people.command()
@click.argument("conflict_id", metavar="ID", type=row_id)
@click.option("--how", required=True, help="What you found out, for whoever asks later.")
@as_option
def settle(conflict_id: int, how: str, as_name: str) -> None:
    """Note that the conflict ID (see: people conflicts) was looked at, and what was found. It is listed no more; met
    again, it is listed again. Merges nobody. Noted in the log under your name.

    \b
    Example:  python -m bot people settle 3 --how "two sisters with one phone" --as lin
    """
    from domain.audit import service as audit
    from domain.people import service

    with shop() as runtime, runtime.sessions.begin() as session:
        actor, now = acting(session, as_name), runtime.clock.now()
        service.settle_conflict(session, conflict_id, how, now)
        audit.record(session, actor, "people.settle", f"merge_conflict:{conflict_id}", {"how": how}, now)
    click.echo(f"conflict {conflict_id} is settled")


@people.command()
@as_option
@click.option("--dry-run", is_flag=True, help="Only say what was found; nothing is changed.")
@json_option
def gather(as_name: str, dry_run: bool, as_json: bool) -> None:
    """Bring over what was left with people who were merged into others: money, debts, orders, commissions, points,
    presents (see: ledger check). Safe to repeat. Whoever has an open withdrawal waits until it has ended.
    Noted in the log under your name. Exit status 1 while something is left.

    \b
    Example:  python -m bot people gather --as lin --dry-run
    """
    from domain.ledger import service as ledger
    from domain.workflows import gathering

    found: list[gathering.Gathered] = []
    with shop() as runtime:
        with runtime.sessions() as session:
            actor, more = acting(session, as_name), gathering.left_behind(session)
        while more:
            for one in more:
                if not dry_run:
                    move = partial(gathering.gather, person_id=one.person_id, actor=actor, now=runtime.clock.now())
                    one = ledger.retrying(runtime.sessions, move) or one
                found.append(one)
            with runtime.sessions() as session:
                more = gathering.left_behind(session, more[-1].person_id)
    if as_json:
        print_json([asdict(one) for one in found])
    else:
        click.echo("\n".join(f"{one.had}{_became(one.refusal, dry_run)}" for one in found) or "nothing is left behind")
    if found and (dry_run or any(one.refusal for one in found)):
        sys.exit(1)


def _became(refusal: str, dry_run: bool) -> str:
    return f"  stays: {refusal}" if refusal else "" if dry_run else "  moved"


def _line(one: "ErasureView") -> str:
    waits = f"  waits for: {one.waits_for}" if one.state == "waiting" and one.waits_for else ""
    ended = f"  {stamp(one.ended_at)}" if one.ended_at else ""
    who = f"{one.id:>6}  person {one.person_id:<8} {one.cause:<10} {one.state:<10}"
    return f"{who} due {stamp(one.due_at)}{ended}{waits}"
