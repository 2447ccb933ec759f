"""``python -m bot journey rehearse``: a year of a shop in minutes, and what an auditor says of it."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from bot.runtime.cli.common import complain, json_option, print_json

if TYPE_CHECKING:
    from collections.abc import Callable

    from bot.runtime.replay.state import Year


@click.command()
@click.option("--customers", type=click.IntRange(1, 20_000), default=400, show_default=True, help="So many people.")
@click.option("--orders", type=click.IntRange(1, 200_000), default=2_000, show_default=True,
              help="Purchases that they mean to make.")
@click.option("--days", type=click.IntRange(2, 1_200), default=365, show_default=True, help="So long it is open.")
@click.option("--seed", type=click.IntRange(0, 2**31), default=1, show_default=True, help="Another story.")
@click.option("--report", "path", type=click.Path(dir_okay=False, path_type=Path),
              help="Write the whole report to this file: .html or .md.")
@click.option("--watch", is_flag=True, help="A line a day instead of one line that changes.")
@json_option
def rehearse(customers: int, orders: int, days: int, seed: int, path: Path | None, watch: bool, as_json: bool) -> None:
    """Play a whole shop through a year in minutes: people, orders, journeys, rewards, money, a platform with its rules.

    On a database of its own that is gone afterwards; nothing of this shop is read or changed. An auditor who sees
    only the phones then looks for a broken cap, a disturbed night, a message twice. Exit status 1 when anything was
    broken, lost or doubled, or the books are wrong.

    \b
    Example:  python -m bot journey rehearse --customers 40 --orders 200 --days 60 --report year.html
    """
    import logging
    import time

    import structlog

    from bot.runtime.replay import figures, pages
    from bot.runtime.replay.state import Plan
    from bot.runtime.replay.year import rehearse as play

    if path is not None and path.suffix not in pages.FORMS:
        complain(f"{path.name}: the report is written as {' or '.join(pages.FORMS)}", 2)
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.ERROR),
                        logger_factory=structlog.PrintLoggerFactory(sys.stderr))
    before = time.process_time()
    report = play(Plan(customers, orders, days, seed), _progress(days, watch),
                  lambda year: figures.gather(year, time.process_time() - before))
    click.echo("", err=True)
    if path is not None:
        pages.write(report, path)
    if as_json:
        print_json(report.plain())
    else:
        click.echo("\n".join(pages.summary(report)))
    sys.exit(0 if report.clean else 1)


def _progress(days: int, watch: bool) -> "Callable[[Year], None]":
    from domain.shared.clock import SHANGHAI

    def seen(year: "Year") -> None:
        gone = (year.now - year.plan.start).days
        line = (f"{year.now.astimezone(SHANGHAI):%Y-%m-%d}  day {gone:>4} of {days}  {len(year.orders):>6} orders"
                f"  {len(year.house.phones.log):>7} lines on the phones")
        click.echo(line if watch else f"\r{line}", err=True, nl=watch)

    return seen
