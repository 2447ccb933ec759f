"""``python -m bot operator …``: who runs the shop, and the keys with which they use the operator API."""

from dataclasses import asdict
from typing import TYPE_CHECKING, cast

import click

from bot.runtime.cli.common import acting, as_option, json_option, print_json, shop, stamp

if TYPE_CHECKING:
    from domain.audit.queries import OperatorView
    from domain.audit.rules import Role

ROLES = ("owner", "finance", "reviewer", "operator")


@click.group()
def operator() -> None:
    """Say who runs the shop: every act of theirs is logged under their name."""


@operator.command()
@click.argument("name")
@click.option("--role", type=click.Choice(ROLES), required=True,
              help="owner: everything · finance: money and plans · reviewer: people under review · operator: asks.")
@click.option("--as", "as_name", default="", metavar="NAME", help="The owner who does this; not for the first one.")
def add(name: str, role: str, as_name: str) -> None:
    """Add an operator named NAME. The first one must be an owner.

    Name and role never change and a name is never given again, so that the log keeps its meaning: for another role,
    disable the one and add another.

    \b
    Examples:  python -m bot operator add lin --role owner
               python -m bot operator add zhou --role finance --as lin
    """
    from domain.audit import service

    with shop() as runtime, runtime.sessions.begin() as session:
        by = acting(session, as_name) if as_name else None
        service.add_operator(session, name, cast("Role", role), by, runtime.clock.now())
    click.echo(f"{name} is {role}; for the operator API: python -m bot operator key {name} --as {as_name or name}")


@operator.command("list")
@json_option
def show(as_json: bool) -> None:
    """List the operators, disabled ones too.

    \b
    Example:  python -m bot operator list --json
    """
    from domain.audit import queries

    with shop() as runtime, runtime.sessions() as session:
        found = queries.operators(session)
    if as_json:
        print_json([asdict(one) for one in found])
    elif not found:
        click.echo("nobody yet: python -m bot operator add NAME --role owner")
    else:
        click.echo("\n".join(_line(one) for one in found))


@operator.command()
@click.argument("name")
@as_option
def disable(name: str, as_name: str) -> None:
    """Take NAME's rights away, for good; their key opens nothing any more. One owner always stays.

    \b
    Example:  python -m bot operator disable zhou --as lin
    """
    from domain.audit import service

    with shop() as runtime, runtime.sessions.begin() as session:
        service.disable_operator(session, name, acting(session, as_name), runtime.clock.now())
    click.echo(f"{name} is disabled")


@operator.command()
@click.argument("name")
@as_option
@json_option
def key(name: str, as_name: str, as_json: bool) -> None:
    """Make a new API key for NAME and print it: this once, only its digest is kept. The one before ends.

    Who makes a key sees it: with --as somebody else, that person and NAME are one where two people are needed.

    \b
    Example:  python -m bot operator key zhou --as zhou
    """
    from domain.audit import service

    with shop() as runtime:
        with runtime.sessions.begin() as session:
            made = service.new_key(session, name, acting(session, as_name), runtime.clock.now())
        base = f"{runtime.settings.public_url}/api/v1/ops"
    if as_json:
        print_json({"name": name, "key": made, "base": base})
    else:
        click.echo(f'{made}\n\nNobody can show it again. Try:  curl -H "Authorization: Bearer {made}" {base}/me')


def _line(one: "OperatorView") -> str:
    state = f"disabled {stamp(one.disabled_at)}" if one.disabled_at else "has a key" if one.has_key else "no key"
    return f"{one.name:<20} {one.role:<9} {state}"
