"""What every command needs: the settings, the wait for the supervisor's word, the two ways to print."""

import json
import sys
from datetime import UTC, datetime
from typing import Any

import click

from bot.runtime import settings as settings_module
from bot.runtime.settings import Settings, SettingsError

json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON instead of text.")

await_go_option = click.option("--await-go", is_flag=True, hidden=True,
                               help="Load, then wait for a line on standard input before starting.")


def load_settings() -> Settings:
    """The settings of this process; on faults prints all of them and ends with status 2."""
    try:
        return settings_module.from_environment()
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


def _told(value: Any) -> str:
    return stamp(value) if isinstance(value, datetime) else str(value)


def complain(message: str, status: int = 1) -> None:
    """Print a message for the person at the terminal and end with ``status``."""
    click.echo(message, err=True)
    sys.exit(status)
