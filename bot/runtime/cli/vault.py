"""``python -m bot vault …``: look at, erase and re-wrap personal data. Every look is noted with its reason."""

from dataclasses import asdict

import click

from bot.runtime.cli.common import acting, as_option, json_option, print_json, row_id, shop
from bot.runtime.findings import counted

BATCH = 200

_person = click.argument("person_id", metavar="PERSON", type=row_id)
_reason = click.option("--reason", required=True, help="Why; it is noted in the log.")


@click.group()
def vault() -> None:
    """Look after real names and ID numbers."""


@vault.command()
@_person
@_reason
@as_option
@json_option
def reveal(person_id: int, reason: str, as_name: str, as_json: bool) -> None:
    """Show what is kept of PERSON, in the open. Noted in the log under your name.

    \b
    Example:  python -m bot vault reveal 17 --as lin --reason "bank asks for the payee"
    """
    from domain.audit.rules import Actor
    from domain.shared.errors import DomainError
    from domain.vault import service
    from domain.vault.rules import FIELDS
    from domain.vault.seal import Vault

    with shop() as runtime, runtime.sessions.begin() as session:
        actor: Actor = acting(session, as_name)
        if not actor.may(frozenset({"finance", "reviewer"})):
            raise DomainError("not_permitted", act="vault.reveal")
        found = service.reveal(session, runtime.context.tool(Vault), person_id, FIELDS, actor, reason,
                               runtime.clock.now())
    if as_json:
        print_json(asdict(found))
    else:
        for name, value in asdict(found).items():
            click.echo(f"{name:<10} {value or '-'}")


@vault.command()
@_person
@_reason
@as_option
def erase(person_id: int, reason: str, as_name: str) -> None:
    """Destroy the key of PERSON: what was kept can never be read again. Not while money is on its way to them.

    \b
    Example:  python -m bot vault erase 17 --as lin --reason "asked by letter of 3 March"
    """
    from domain.workflows import erasing

    with shop() as runtime, runtime.sessions.begin() as session:
        left = erasing.erase(session, person_id, acting(session, as_name), reason, runtime.clock.now())
    click.echo(f"erased; what remains is the pseudonym {left}" if left else "nothing was kept of this person")


@vault.command()
def rotate() -> None:
    """Wrap every key under the present HUITOU_VAULT_KEY; afterwards HUITOU_VAULT_KEY_PREVIOUS may be removed.

    \b
    Example:  python -m bot vault rotate
    """
    from domain.vault import service
    from domain.vault.seal import Vault

    done = 0
    with shop() as runtime:
        while True:
            with runtime.sessions.begin() as session:
                wrapped = service.rewrap(session, runtime.context.tool(Vault), BATCH)
            if not wrapped:
                break
            done += wrapped
    click.echo(counted(done, "key", "keys") + " wrapped anew; nothing is left under another key")
