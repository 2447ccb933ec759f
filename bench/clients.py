"""Clients of a database, each a process of its own, as workers are: threads of one process would wait for each other's
interpreter lock, and that would be measured instead of the database. What one does: bench.client."""

import contextlib
import json
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from bench import servers

STEP = 10_000_000
"""Numbers of one client; more than it uses up in a whole run."""


class Clients:
    """Some processes that have connected and wait."""

    def __init__(self, running: Sequence["subprocess.Popen[str]"]) -> None:
        self._running = running
        self._used = 0

    def per_second(self, clients: int, way: str, batch: int, seconds: float) -> float:
        """What so many of them do together a second. Raises CannotMeasure when one of them has died."""
        self._used += 1
        asked = self._running[:clients]
        for place, process in enumerate(asked):
            assert process.stdin
            first = STEP * (place + 1) + self._used * 100_000
            process.stdin.write(json.dumps([way, batch, first, seconds]) + "\n")
            process.stdin.flush()
        return sum(float(_line(process)) for process in asked)


@contextlib.contextmanager
def waiting(count: int, module: str, url: str, python: Path | str = sys.executable,
            env: Mapping[str, str] | None = None) -> Iterator[Clients]:
    """``count`` clients of ``module``, started one after another. Raises CannotMeasure when one does not start."""
    with contextlib.ExitStack() as stack:
        running = []
        for _ in range(count):
            process = stack.enter_context(subprocess.Popen(
                [str(python), "-m", "bench.client", module, url], cwd=servers.ROOT, text=True, stdin=subprocess.PIPE,
                stdout=subprocess.PIPE, env={**os.environ, "PYTHONPATH": str(servers.ROOT), **(env or {})}))
            running.append(process)
            _line(process)  # it is ready; the next finds what this one has made
        yield Clients(running)
        for process in running:
            assert process.stdin
            process.stdin.close()


def _line(process: "subprocess.Popen[str]") -> str:
    assert process.stdout
    said = process.stdout.readline()
    if not said:
        raise servers.CannotMeasure(f"a client ended with {process.wait(10)}")
    return said
