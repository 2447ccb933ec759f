"""The parts one by one, as a real deployment starts them: web, worker, clock, migrate, demo."""

import atexit
import contextlib
import errno
import os
import shutil
import socket
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import click

from bot.runtime import lean
from bot.runtime.cli.common import await_go_option, complain, load_settings, wait_for_go
from bot.runtime.cli.keys import print_keys
from bot.runtime.settings import Settings

if TYPE_CHECKING:
    from granian.server.mp import MPServer

STOP_SECONDS = 22
"""How long a web process may take to finish its requests after SIGTERM; below the supervisor's patience."""
BACKLOG = 2048
"""Connections that may wait in the kernel, and requests that may wait in a process, while a burst passes."""


@click.command()
@await_go_option
def web(await_go: bool) -> None:
    """Serve HTTP: webhooks, API, pages.

    Listens on HOST:PORT with WEB_WORKERS processes of WEB_THREADS threads. SIGTERM finishes running requests and
    ends; SIGHUP replaces the processes one by one.

    \b
    Example:  PORT=8080 WEB_WORKERS=2 python -m bot web
    """
    settings = load_settings()
    if problem := port_problem(settings.host, settings.port):
        complain(problem)
    _share_metrics(settings.web_workers > 1)
    from bot.runtime import logs

    logs.configure(settings)
    import wsgi  # noqa: F401 - made once, before the workers are forked: they share its memory, and start at once

    _let_run_on()
    server = web_server(settings)
    if await_go:
        wait_for_go()
    server.serve()


def web_server(settings: Settings, target: str = "wsgi:app") -> "MPServer":
    """The HTTP server for ``target``; ``serve()`` it. A burst waits in its queue, SIGTERM finishes what runs."""
    from granian.constants import HTTPModes, Interfaces
    from granian.log import LogLevels
    from granian.server.mp import MPServer

    from bot.runtime import logs

    logs.configure(settings)
    return MPServer(
        target, address=settings.host, port=settings.port, interface=Interfaces.WSGI, http=HTTPModes.http1,
        websockets=False, workers=settings.web_workers, blocking_threads=settings.web_threads, backlog=BACKLOG,
        backpressure=BACKLOG // settings.web_workers, workers_kill_timeout=STOP_SECONDS,
        respawn_failed_workers=True, log_level=LogLevels.error, log_dictconfig=logs.granian_config(),
        working_dir=Path(__file__).parents[3],
    )


def _let_run_on() -> None:
    """Whoever of these processes' threads is woken waits until the one that runs pauses by itself (Linux SCHED_BATCH).

    The thread that wakes others for their answers holds the interpreter's lock: whoever took its core at once could
    only wait for that. Switches from thread to thread are a third fewer, CPU an answer is 8 % less (ADR 0061).
    """
    if hasattr(os, "SCHED_BATCH"):
        with contextlib.suppress(OSError):  # a sandbox that forbids it: slower, nothing else
            os.sched_setscheduler(0, os.SCHED_BATCH, os.sched_param(0))


def port_problem(host: str, port: int) -> str:
    """Why nobody can listen on ``host``:``port``, '' when it is free.

    The server shares its port between its processes, so a second instance would bind without an error and take
    half of the requests: ask in the plain way first.
    """
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            if error.errno == errno.EADDRINUSE:
                return f"port {port} is in use: stop the program that listens there, or set PORT to another one"
            return f"cannot listen on {host}:{port} ({error.strerror}): correct HOST and PORT"
    return ""


@click.command()
@click.argument("pool", type=click.Choice(["fast", "slow"]), required=False)
@await_go_option
def worker(pool: str | None, await_go: bool) -> None:
    """Do the work of one POOL: fast is events and notices, slow is pictures and uploads. Without a POOL: of both, by
    two processes.

    A shop needs one worker of each, or more. SIGTERM finishes the work at hand and ends; what is not finished is
    taken up by others after its lease.

    \b
    Examples:  python -m bot worker fast
               python -m bot worker
    """
    settings = load_settings()
    if pool is None:
        from bot.runtime.cli.children import both_pools

        _share_metrics(settings.metrics_port > 0)
        sys.exit(both_pools(settings))
    _share_metrics(settings.web_workers > 1)
    from bot.runtime import logs
    from bot.runtime import worker as worker_module

    logs.configure(settings)
    _serve_metrics(settings)
    if await_go:
        wait_for_go()
    worker_module.main(settings, (pool,))


@click.command()
@await_go_option
def clock(await_go: bool) -> None:
    """Ring what is due: journeys, settlement, expiry, and whatever was left behind.

    Two clocks at once do no harm.

    \b
    Example:  python -m bot clock
    """
    settings = load_settings()
    _share_metrics(settings.web_workers > 1)
    from bot.runtime import clockwork, logs

    logs.configure(settings)
    _serve_metrics(settings)
    if await_go:
        wait_for_go()
    clockwork.main(settings)


@click.command()
@await_go_option
def migrate(await_go: bool) -> None:
    """Bring the database to the newest schema, and give a new shop its first commission plan and the shipped
    journeys as drafts.

    Safe while the service runs and when two do it at once. Waiting for a lock ends after 4 seconds, so that a
    migration never blocks the shop: run it again then.

    \b
    Example:  python -m bot migrate
    """
    settings = load_settings()
    with lean.loading():
        from bot.runtime import bootstrap, journeys
        from domain import migrations

    if await_go:
        wait_for_go()
    _upgrade(settings)
    runtime = bootstrap.build(settings)
    bootstrap.open_shop(runtime)
    if not settings.demo:
        with runtime.sessions.begin() as session:
            journeys.install(session, journeys.shipped(), runtime.voice, runtime.clock.now(), live=False)
            newer = ", ".join(one.key for one in journeys.newer(session))
        if newer:
            click.echo(f"newer editions are shipped of: {newer}; see: python -m bot journey upgrade --as NAME")
    runtime.close()
    click.echo(f"database is at {migrations.head()}")


@click.command()
@click.option("--keys", is_flag=True, help="Only print the demo's keys for the API and the event webhook.")
@click.option("--json", "as_json", is_flag=True, help="With --keys: print JSON instead of text.")
@await_go_option
def demo(keys: bool, as_json: bool, await_go: bool) -> None:
    """Bring the database to the newest schema and fill the demo shop.

    Refused unless HUITOU_DEMO is 1. What is already there stays as it is. With --keys nothing is filled: prints the
    source name, webhook secret and API key that this instance's demo made for itself, and a request to try. Keys of
    a real shop are never printed.

    \b
    Examples:  python -m bot demo
               python -m bot demo --keys --json
    """
    if as_json and not keys:
        complain("--json goes with --keys: filling the demo prints one sentence", 2)
    if keys:
        print_keys(load_settings(beside=True), as_json)
        return
    settings = load_settings()
    if not settings.demo:
        complain("this is not a demo (HUITOU_DEMO is 0): nothing was changed")
    with lean.loading():
        from bot.runtime import demo as demo_module

    if await_go:
        wait_for_go()
    _upgrade(settings)
    demo_module.seed(settings)
    click.echo("the demo shop is ready")


def _upgrade(settings: Settings) -> None:
    """Migrate; a fault of the database becomes a sentence."""
    from sqlalchemy import create_engine
    from sqlalchemy.exc import OperationalError
    from sqlalchemy.pool import NullPool

    from domain import migrations

    try:
        migrations.upgrade(create_engine(settings.database_url, poolclass=NullPool))
    except OperationalError as error:
        complain(f"the database did not do it: {str(error.orig).strip()}\nCheck DATABASE_URL, then run it again.")


def _share_metrics(several: bool) -> None:
    """Before prometheus_client is imported: ``several`` processes count into common files. They belong to this start
    alone: under HUITOU_HOME, which containers share, and where each of them is process 1, they would be mixed up."""
    if several and not os.environ.get("PROMETHEUS_MULTIPROC_DIR"):
        os.environ["PROMETHEUS_MULTIPROC_DIR"] = folder = tempfile.mkdtemp(prefix="huitou-metrics-")
        atexit.register(_drop, folder, os.getpid())


def _drop(folder: str, owner: int) -> None:
    """At the end of the process that made it, not of those it forked."""
    if os.getpid() == owner:
        shutil.rmtree(folder, ignore_errors=True)


def _serve_metrics(settings: Settings) -> None:
    """A worker or clock on a machine of its own has no web server to show what it counted. Of parts that count into
    common files the first one that takes the port shows what all of them counted."""
    if not settings.metrics_port:
        return
    from prometheus_client import REGISTRY, CollectorRegistry, start_http_server
    from prometheus_client.multiprocess import MultiProcessCollector

    registry, common = REGISTRY, bool(os.environ.get("PROMETHEUS_MULTIPROC_DIR"))
    if common:
        registry = CollectorRegistry()
        MultiProcessCollector(registry)  # type: ignore[no-untyped-call]
    try:
        start_http_server(settings.metrics_port, addr=settings.host, registry=registry)
    except OSError as error:
        if not (common and error.errno == errno.EADDRINUSE):
            complain(f"cannot show metrics on {settings.host}:{settings.metrics_port} ({error.strerror}): choose "
                     "another METRICS_PORT")
