"""``python -m bot up``: everything on this machine, under one supervisor."""

import http.client
import os
import shutil
import sys
from collections.abc import Callable

import click

from bot.runtime import embedded
from bot.runtime.cli.children import child, loading
from bot.runtime.cli.common import complain, load_settings
from bot.runtime.cli.parts import port_problem
from bot.runtime.demo_keys import make_demo_pairs
from bot.runtime.settings import LAST_PORT, Settings
from bot.runtime.supervisor import House, Supervisor


@click.command()
def up() -> None:
    """Start everything here: database, cache, web, workers and clock.

    What DATABASE_URL or REDIS_URL name is used, the rest runs embedded in HUITOU_HOME. Brings the database up to
    date first, and prints "ready: http://…" when all is well. A part that dies is started again. Ctrl-C stops
    everything in order; a second Ctrl-C hurries.

    \b
    Examples:  python -m bot up
               PORT=8010 HUITOU_HOME=/tmp/second python -m bot up
    """
    settings = load_settings()
    if problem := port_problem(settings.host, settings.port):
        complain(f"cannot start: {problem}")
    try:
        with embedded.claimed(settings.home):
            click.echo(_first_words(settings))
            if settings.demo:
                make_demo_pairs(settings.home)
            _prepare_environment(settings)
            (settings.home / LAST_PORT).write_text(f"{settings.port}\n")
            sys.exit(Supervisor(house(settings)).run())
    except embedded.HomeInUse as error:
        complain(f"cannot start: {error}")


def _first_words(settings: Settings) -> str:
    """What whoever has just asked for a start reads meanwhile."""
    if embedded.is_new(settings.home) and settings.embedded_database:
        shop = "the demo shop is filled" if settings.demo else "the shop is opened"
        return f"first start in {settings.home}: the database is made and {shop}, some ten seconds …"
    return "starting …"


def house(settings: Settings) -> House:
    """What ``up`` runs for these settings."""
    servers: dict[str, Callable[[], embedded.Server]] = {}
    if settings.embedded_database:
        servers["postgres"] = lambda: embedded.launch_postgres(settings.home)
    if settings.embedded_cache:
        servers["valkey"] = lambda: embedded.launch_valkey(settings.home)
    prepare = "demo" if settings.demo else "migrate"
    return House(
        servers=servers,
        prepare=child(prepare, prepare, early=True),
        children=(
            child("web", "web", early=True), child("fast", "worker", "fast"), child("slow", "worker", "slow"),
            child("clock", "clock"),
        ),
        is_ready=lambda: is_ready(settings),
        ready_line=f"ready: http://127.0.0.1:{settings.port}",
        load=loading(settings),
    )


def _prepare_environment(settings: Settings) -> None:
    """What the children inherit: one directory of counts, and text logs when a person is watching."""
    counts = settings.home / "metrics"
    shutil.rmtree(counts, ignore_errors=True)
    counts.mkdir(parents=True)
    os.environ["PROMETHEUS_MULTIPROC_DIR"] = str(counts)
    if settings.log_format == "auto" and sys.stdout.isatty():
        os.environ["LOG_FORMAT"] = "text"


def is_ready(settings: Settings) -> bool:
    """Whether /readyz of this instance is green."""
    host = settings.host if settings.host not in ("0.0.0.0", "::") else "127.0.0.1"  # noqa: S104 - compared only
    connection = http.client.HTTPConnection(host, settings.port, timeout=3)
    try:
        connection.request("GET", "/readyz")
        return connection.getresponse().status == 200
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()
