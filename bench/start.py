"""B13: how long ``python -m bot up`` takes to be ready on a warm home, against its two servers' own start.

The floor starts the same PostgreSQL and the same Valkey on the same home, both at once, and waits until both answer.
Ready is the line that people wait for; it is printed when /readyz is green.
"""

import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from bench import servers
from bench.figures import Round, row, taking_turns
from bot.runtime import embedded

START_SECONDS = 90
UNSET = ("DATABASE_URL", "REDIS_URL", "PYTHONDONTWRITEBYTECODE")
"""Of our own environment. ``make run`` keeps what was compiled, whatever the shell says; so does a warm home."""


def run(rounds: int = 5) -> list[dict[str, Any]]:
    """Row B13, in seconds. The first start, which makes the home, is not counted."""
    with servers.home() as folder:
        port = embedded.free_port()
        _up(folder, port)
        taken = taking_turns({"ours": lambda: _up(folder, port), "floor": lambda: _servers_alone(folder)}, rounds)
    return [row("B13 start, warm home", "s", taken, more_is_better=False)]


def _up(folder: Path, port: int) -> Round:
    env = {name: value for name, value in os.environ.items() if name not in UNSET}
    env |= {"HUITOU_HOME": str(folder), "PORT": str(port), "HOST": "127.0.0.1", "PYTHONUNBUFFERED": "1"}
    begun = time.perf_counter()
    process = subprocess.Popen([sys.executable, "-m", "bot", "up"], cwd=servers.ROOT, env=env, stdout=subprocess.PIPE,
                               stderr=subprocess.STDOUT, text=True, start_new_session=True)
    assert process.stdout
    said: list[str] = []
    try:
        for line in process.stdout:
            said.append(line)
            if re.match(r"ready: http", line):
                return {"value": time.perf_counter() - begun}
            if time.perf_counter() - begun > START_SECONDS:
                break
        raise RuntimeError("it did not start:\n" + "".join(said[-20:]))
    finally:
        process.send_signal(signal.SIGINT)
        process.stdout.close()
        process.wait(60)


def _servers_alone(folder: Path) -> Round:
    begun = time.perf_counter()
    started = [embedded.launch_postgres(folder), embedded.launch_valkey(folder)]
    try:
        for server in started:
            server.wait_ready()
        return {"value": time.perf_counter() - begun}
    finally:
        for server in reversed(started):
            server.stop()
