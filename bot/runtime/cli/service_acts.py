"""``python -m bot service …``: record service worth paying a leader for, list it, take it back."""

from dataclasses import asdict
from datetime import datetime
from typing import TYPE_CHECKING

import click

from bot.runtime.cli.common import acting, as_option, json_option, print_json, row_id, shop

if TYPE_CHECKING:
    from domain.settlements.service_acts import ServiceView


@click.group()
def service() -> None:
    """Pay for service: after-sale answers, group activity. What it is worth, and how often, is in the plan."""


@service.command("list")
@click.option("--person", "person_id", type=row_id, help="Only this person's.")
@json_option
def list_(person_id: int | None, as_json: bool) -> None:
    """List recorded acts, the newest 100.

    \b
    Example:  python -m bot service list --json
    """
    from domain.settlements import service_acts

    with shop() as runtime, runtime.sessions() as session:
        found = service_acts.acts(session, person_id)
    if as_json:
        print_json([asdict(one) for one in found])
    else:
        click.echo("\n".join(_line(one) for one in found) or "nothing was recorded yet")


@service.command()
@click.argument("person_id", metavar="PERSON", type=row_id)
@click.argument("item")
@click.option("--reference", required=True, help="The shop's own: a ticket, an activity. Each counts once.")
@click.option("--at", "happened_at", type=click.DateTime(["%Y-%m-%dT%H:%M:%S%z", "%Y-%m-%dT%H:%M%z"]),
              help="When it happened, as in 2026-11-20T10:00+0800 (default: now).")
@as_option
@json_option
def record(
    person_id: int, item: str, reference: str, happened_at: datetime | None, as_name: str, as_json: bool
) -> None:
    """Pay PERSON for an act of ITEM (a key of the plan's service list).

    \b
    Example:  python -m bot service record 17 after_sale --reference T-1024 --as wu
    """
    from domain.settlements import service_acts

    with shop() as runtime:
        with runtime.sessions.begin() as session:
            actor, now = acting(session, as_name), runtime.clock.now()
            done = service_acts.record(session, person_id, item, reference, happened_at or now, actor, now)
        runtime.bell.ring({"fact"})
    _tell(done, as_json)


@service.command()
@click.argument("act_id", metavar="ID", type=row_id)
@click.option("--reason", required=True, help="Why; kept in the log.")
@as_option
@json_option
def revoke(act_id: int, reason: str, as_name: str, as_json: bool) -> None:
    """Take back the act ID, recorded by mistake; what was let go already is owed.

    \b
    Example:  python -m bot service revoke 12 --reason "recorded twice" --as lin
    """
    from domain.settlements import service_acts

    with shop() as runtime, runtime.sessions.begin() as session:
        _tell(service_acts.revoke(session, act_id, reason, acting(session, as_name), runtime.clock.now()), as_json)


def _tell(one: "ServiceView", as_json: bool) -> None:
    if as_json:
        print_json(asdict(one))
    else:
        click.echo(_line(one))


def _line(one: "ServiceView") -> str:
    state = "revoked" if one.revoked_at else "released" if one.released_at else "pending"
    return (f"{one.id:>6}  person {one.person_id:<8} {one.item:<16} {one.reference:<20} {one.amount_fen:>8} fen"
            f"  {state:<8} {one.operator}")
