"""Commands that look and report: doctor, ledger check, env-example."""

import sys
from dataclasses import asdict, replace

import click

from bot.runtime import lean
from bot.runtime import settings as settings_module
from bot.runtime.cli.common import complain, json_option, load_settings, print_json, stamp
from bot.runtime.settings import SettingsError


@click.command()
@json_option
def doctor(as_json: bool) -> None:
    """Check what deployers lose hours on, and say how to mend it.

    Settings, key lengths, clock, database, cache, disk, fonts, callback, token, IP list, menu, and what waits,
    was given up or needs a human. Never prints a secret, changes nothing. Exit status 1 when something is red.

    \b
    Example:  python -m bot doctor --json
    """
    with lean.loading():
        from bot.runtime import doctor as doctor_module
        from bot.runtime import logs

    try:
        settings = settings_module.from_environment(beside=True)
        # What a probe is refused is a finding; said by the gateway as well, it would stand in the middle of them.
        logs.configure(settings if settings.log_level == "debug" else replace(settings, log_level="error"))
        findings = doctor_module.examine(settings)
    except SettingsError as error:
        findings = doctor_module.of_settings(error)
    if as_json:
        print_json([asdict(finding) for finding in findings])
    else:
        click.echo(doctor_module.as_text(findings, colour=sys.stdout.isatty()))
    sys.exit(1 if any(finding.state == "red" for finding in findings) else 0)


@click.group()
def ledger() -> None:
    """Look after the books."""


@ledger.command()
@json_option
def check(as_json: bool) -> None:
    """Recount the ledger: every entry balanced, every balance the sum of its lines.

    Exit status 1 when it is not. Changes nothing.

    \b
    Example:  python -m bot ledger check --json
    """
    settings = load_settings()
    from sqlalchemy import create_engine
    from sqlalchemy.exc import OperationalError
    from sqlalchemy.orm import Session

    from domain.ledger import service

    try:
        with Session(create_engine(settings.database_url)) as session:
            result = service.check(session)
    except OperationalError as error:
        complain(f"the database is not there: {str(error.orig).strip()}")
    facts = asdict(result) | {"checked_at": stamp(result.checked_at)}
    if as_json:
        print_json(facts)
    else:
        facts["faults"] = "\n".join(("", *result.faults)) if result.faults else "none"
        for name, value in facts.items():
            click.echo(f"{name:<12} {value}")
    sys.exit(0 if result.balanced else 1)


@click.command("env-example")
def env_example() -> None:
    """Print every setting with its meaning and default, as the file .env.example.

    \b
    Example:  python -m bot env-example > .env.example
    """
    click.echo(settings_module.env_example(), nl=False)


