"""What every command needs: the settings, the wait for the supervisor's word, the two ways to print."""

import getpass
import json
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn, TypeVar

import click

from bot.runtime import lean
from bot.runtime import settings as settings_module
from bot.runtime.settings import Settings, SettingsError
from domain.shared.clock import SHANGHAI

if TYPE_CHECKING:
    from sqlalchemy.orm import Session

    from bot.runtime.bootstrap import Runtime
    from domain.audit.approvals import Approval
    from domain.audit.rules import Actor

T = TypeVar("T")

MAX_ID = 2**63 - 1
"""The largest number that the database gives a row."""
row_id = click.IntRange(1, MAX_ID)
"""The type of an argument that names a row: a larger number is refused here, before the database would."""

json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON instead of text.")

await_go_option = click.option("--await-go", is_flag=True, hidden=True,
                               help="Load, then wait for a line on standard input before starting.")


def load_settings(*, beside: bool = False) -> Settings:
    """The settings of this process; on faults prints all of them and ends with status 2.

    ``beside`` a service that runs already: see settings.from_environment.
    """
    try:
        return settings_module.from_environment(beside=beside)
    except SettingsError as error:
        click.echo(str(error), err=True)
        sys.exit(2)


def wait_for_go() -> None:
    """Wait until the supervisor lets us go; end quietly when it closes the line instead."""
    if not sys.stdin.readline():
        sys.exit(0)


def print_json(value: Any) -> None:
    """Print ``value`` for a machine; times as the API gives them (``2026-11-20T02:00:00.123456Z``)."""
    click.echo(json.dumps(value, ensure_ascii=False, indent=2, default=_told))


def stamp(at: datetime) -> str:
    """An aware time as the API writes it: ISO 8601 in UTC, with Z."""
    return at.astimezone(UTC).isoformat().replace("+00:00", "Z")


def moment(at: datetime) -> str:
    """An aware time for people who read it on a terminal: minutes where the shop is."""
    return f"{at.astimezone(SHANGHAI):%Y-%m-%d %H:%M}"


def _told(value: Any) -> str:
    return stamp(value) if isinstance(value, datetime) else str(value)


as_option = click.option("--as", "as_name", required=True, metavar="NAME",
                         help="The operator who does this (see: operator list).")


@contextmanager
def shop() -> Iterator["Runtime"]:
    """The shop of the settings. A database that is away and what a rule refuses become a sentence and status 1."""
    settings = load_settings(beside=True)
    with lean.loading():
        from sqlalchemy.exc import OperationalError, ProgrammingError

        from bot.runtime import bootstrap, logs
        from domain.shared.errors import DomainError

    logs.configure(settings)
    runtime = bootstrap.build(settings)
    try:
        yield runtime
    except DomainError as refusal:
        complain(runtime.voice.explain(refusal.code, refusal.facts))
    except OperationalError as error:
        complain(f"the database is not there: {str(error.orig).strip()}")
    except ProgrammingError:
        complain("the database is not at the schema of this code: python -m bot migrate")
    finally:
        runtime.close()


def acting(session: "Session", name: str) -> "Actor":
    """The operator named with --as. Whoever has this terminal may name anybody: so the log says who was logged in here.

    Raises NotFound("operator_unknown"), DomainError("operator_disabled").
    """
    from domain.audit import service as audit

    return replace(audit.operator(session, name), via=f"cli:{_user()}")


def carry_out(as_name: str, act: "Callable[[Session, Runtime, Actor, datetime], T]") -> T:
    """What ``act`` made in the name of the operator ``as_name``, in a transaction of its own; then a bell is rung, as
    others are told of it."""
    with shop() as runtime:
        with runtime.sessions.begin() as session:
            done = act(session, runtime, acting(session, as_name), runtime.clock.now())
        runtime.bell.ring({"fact", "notice"})
    return done


def say_whether_valid(file: Path, check: Callable[[str], object], as_json: bool) -> None:
    """Print the faults that ``check`` finds in the text of ``file``; status 1 when there are some."""
    from domain.shared.errors import DomainError

    faults: list[str] = []
    try:
        check(file.read_text("utf-8"))
    except DomainError as refusal:
        faults = list(refusal.facts["faults"])  # type: ignore[call-overload]
    if as_json:
        print_json({"valid": not faults, "faults": faults})
    else:
        click.echo("\n".join(faults) or f"{file.name} is fine")
    if faults:
        raise SystemExit(1)


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return "unknown"


def waits_for_second(asked: "Approval", as_json: bool) -> None:
    """Say that an act was asked for, and how a second person answers."""
    if as_json:
        print_json({"approval": asked.id, "act": asked.act, "subject": asked.subject})
    else:
        then = f"python -m bot approvals approve {asked.id} --as NAME"
        click.echo(f"approval {asked.id} waits for a second person: {then}")


def nobody(person_id: int) -> NoReturn:
    """Say that this is nobody's id, and end with status 1."""
    complain(f"nobody has the id {person_id}")


def complain(message: str, status: int = 1) -> NoReturn:
    """Print a message for the person at the terminal and end with ``status``."""
    click.echo(message, err=True)
    sys.exit(status)
