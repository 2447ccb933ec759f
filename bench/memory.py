"""B14: resident memory of a web worker and of each job worker, against a process that has merely imported Flask,
SQLAlchemy and Pillow.

Resident is what the kernel counts for the one process (VmRSS): its own pages and those that it shares, after the web
worker has answered and the job worker has found nothing more to do.
"""

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import create_engine

from bench import servers
from bench.figures import Round, row, taking_turns
from bot.runtime import embedded
from domain import migrations

SETTLED_SECONDS = 2.0
"""After this nothing of a start is left to be loaded."""
FLOOR = ("import sys, flask, sqlalchemy.orm, sqlalchemy.dialects.postgresql.psycopg, PIL.Image, PIL.ImageDraw;"
         "flask.Flask('bare'); print('up', flush=True); sys.stdin.read()")


def run(rounds: int = 5) -> list[dict[str, Any]]:
    """Row B14 for the web worker and for each job worker, in MB."""
    with servers.home() as folder, ExitStack() as stack:
        database, cache = embedded.start_postgres(folder), embedded.start_valkey(folder)
        stack.callback(database.stop)
        stack.callback(cache.stop)
        engine = create_engine(database.url)
        migrations.upgrade(engine)
        engine.dispose()
        port = embedded.free_port()
        env = {"HUITOU_HOME": str(folder / "home"), "DATABASE_URL": database.url, "REDIS_URL": cache.url,
               "PORT": str(port), "HOST": "127.0.0.1", "LOG_LEVEL": "warning", "HUITOU_DEMO": "1"}
        parts: dict[str, Callable[[], Round]] = {
            "web worker": lambda: _web(folder, env, port),
            "job worker, fast": lambda: _worker(folder, env, "fast"),
            "job worker, slow": lambda: _worker(folder, env, "slow"),
        }
        return [row(f"B14 memory of a {name}", "MB", taking_turns({"ours": part, "floor": _floor}, rounds),
                    more_is_better=False) for name, part in parts.items()]


def _web(folder: Path, env: dict[str, str], port: int) -> Round:
    """The process that answers: the youngest of the server's family."""
    with servers.serving([sys.executable, "-m", "bot", "web"], port, env, folder, "/readyz") as web:
        time.sleep(SETTLED_SECONDS)
        return {"value": max(_resident(pid) for pid in servers.family(web.process.pid)[1:])}


def _worker(folder: Path, env: dict[str, str], pool: str) -> Round:
    with _running([sys.executable, "-m", "bot", "worker", pool], folder, env) as process:
        previous, now = -1.0, _resident(process.pid)
        while now != previous:
            time.sleep(SETTLED_SECONDS)
            previous, now = now, _resident(process.pid)
            if process.poll() is not None:
                raise RuntimeError(f"the {pool} worker ended")
        return {"value": now}


def _floor() -> Round:
    with subprocess.Popen([sys.executable, "-c", FLOOR], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdin and process.stdout
        process.stdout.readline()
        value = _resident(process.pid)
        process.stdin.close()
    return {"value": value}


@contextmanager
def _running(command: list[str], folder: Path, env: dict[str, str]) -> Iterator[subprocess.Popen[bytes]]:
    with (folder / "worker.log").open("wb") as log:
        process = subprocess.Popen(command, env={**os.environ, "PYTHONPATH": str(servers.ROOT), **env}, cwd=folder,
                                   stdin=subprocess.DEVNULL, stdout=log, stderr=log)
    try:
        yield process
    finally:
        process.terminate()
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _resident(pid: int) -> float:
    """Megabytes of a process that are in memory; 0 when it is gone."""
    try:
        status = Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return 0.0
    return next((int(line.split()[1]) / 1024 for line in status.splitlines() if line.startswith("VmRSS:")), 0.0)
