"""``python -m bot export …``: files that leave the house, each noted in the log."""

import os
import sys
from collections.abc import Iterator
from datetime import date, datetime
from pathlib import Path

import click

from bot.runtime.cli.common import acting, as_option, complain, shop

DAY = click.DateTime(["%Y-%m-%d"])


@click.group()
def export() -> None:
    """Write files for those who may ask for them."""


@export.command()
@click.option("--from", "first", type=DAY, required=True, help="First day, in Shanghai.")
@click.option("--to", "last", type=DAY, required=True, help="Last day, included.")
@click.option("-o", "--output", default="-", show_default=True, help="File to write; - is standard output.")
@as_option
def regulator(first: datetime, last: datetime, output: str, as_name: str) -> None:
    """Write every commission with its order, goods, payer, level, rule, refunds and payment as CSV.

    Every other movement of money between the shop and a promoter follows in the same columns. People stand under
    pseudonyms that are the same in every export. The columns are described in docs/OPERATIONS.md. The export is noted
    in the log of acts.

    \b
    Example:  python -m bot export regulator --from 2026-11-01 --to 2026-11-30 -o november.csv --as lin
    """
    from domain.audit import service as audit
    from domain.workflows.evidence import Pseudonyms, regulator_csv, sensible

    if not sensible(_day(first), _day(last)):
        complain("--from and --to are no days that can be meant: the first comes first, both after 1999", 2)
    with shop() as runtime:
        with runtime.sessions.begin() as session:
            days = {"from": first.date().isoformat(), "to": last.date().isoformat()}
            audit.record(session, acting(session, as_name), "export.regulator", "shop", days, runtime.clock.now())
        _write(regulator_csv(runtime.sessions, runtime.context.tool(Pseudonyms), _day(first), _day(last)), output)


def _day(at: datetime) -> date:
    return at.date()


def _write(pieces: Iterator[bytes], output: str) -> None:
    """To standard output, or to a file of this user that is whole or not there."""
    if output == "-":
        for piece in pieces:
            sys.stdout.buffer.write(piece)
        return
    target = Path(output)
    draft = target.with_name(f".{target.name}.{os.getpid()}")
    try:
        with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
            for piece in pieces:
                file.write(piece)
        draft.replace(target)
    except OSError as fault:
        complain(f"{output} cannot be written: {fault.strerror}")
    finally:
        draft.unlink(missing_ok=True)
