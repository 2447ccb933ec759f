"""``python -m bot up`` and the web server as real processes: ready, healed, stopped, and nothing left."""

import http.client
import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from bot.runtime import embedded
from tests import prepared
from tests.e2e.waiting import until
from tests.integration.platform.test_embedded import ROOT, gone, is_alive

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(300)]


def environment(home: Path, port: int, **more: str) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("HUITOU_", "PROMETHEUS_"))}
    return kept | {"HUITOU_HOME": str(home), "PORT": str(port)} | more


def answer(port: int, path: str) -> tuple[int, bytes]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    try:
        connection.request("GET", path)
        response = connection.getresponse()
        return response.status, response.read()
    finally:
        connection.close()


def is_open(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def names(pids: list[int]) -> set[str]:
    return {name(pid) for pid in pids if is_alive(pid)}


def name(pid: int) -> str:
    """'' of a process that has ended."""
    with suppress(OSError):
        return Path(f"/proc/{pid}/comm").read_text().strip()
    return ""


def family(pid: int, *, deep: bool = True) -> list[int]:
    """All descendants of a process; only its own children, unless ``deep``."""
    children: dict[int, list[int]] = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):  # it has ended meanwhile
            parent = stat.read_text(errors="replace").rpartition(")")[2].split()[1]
            children.setdefault(int(parent), []).append(int(stat.parent.name))
    if not deep:
        return children.get(pid, [])
    found, open_ = [], [pid]
    while open_:
        open_ += (born := children.get(open_.pop(), []))
        found += born
    return found


class Up:
    """A running ``python -m bot up``, or another command, and its lines. All its parts are told one METRICS_PORT."""

    def __init__(self, home: Path, command: str = "up") -> None:
        self.port, self.metrics_port = embedded.free_port(), embedded.free_port()
        self.process = subprocess.Popen(
            [sys.executable, "-m", "bot", command], cwd=ROOT,
            env=environment(home, self.port, METRICS_PORT=str(self.metrics_port)),
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        self.lines: list[str] = []

    def until(self, *words: str) -> str:
        """The next line that holds all ``words``."""
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.lines.append(line.rstrip("\n"))
            if all(word in line for word in words):
                return line
        raise AssertionError("\n".join(self.lines))

    def rest(self) -> int:
        """Read to the end; the exit status."""
        assert self.process.stdout is not None
        if not self.process.stdout.closed:
            with self.process.stdout as lines:
                self.lines += [line.rstrip("\n") for line in lines]
        return self.process.wait(60)


@pytest.fixture
def up(tmp_path: Path) -> Iterator[Up]:
    running = Up(tmp_path)
    yield running
    running.process.kill()
    running.rest()


def test_one_command_starts_heals_and_stops_everything(up: Up) -> None:
    assert up.until("first start in") == f"{up.lines[0]}\n", "at once, before there is anything to wait for"
    up.until(f"ready: http://127.0.0.1:{up.port}")
    assert answer(up.port, "/readyz")[0] == 200
    assert answer(up.metrics_port, "/metrics")[0] == 200, "one of the parts has it, and the others do without"
    everybody = family(up.process.pid)
    web = next(pid for pid in everybody if Path(f"/proc/{pid}/comm").read_text() == "huitou-web\n")
    if hasattr(os, "SCHED_BATCH"):
        assert {os.sched_getscheduler(pid) for pid in [web, *family(web)]} == {os.SCHED_BATCH}, "threads run on"
    os.kill(web, signal.SIGKILL)
    up.until("web ended (SIGKILL)")
    assert gone([web])
    everybody = family(up.process.pid)
    up.process.send_signal(signal.SIGINT)
    assert up.rest() == 0
    assert sum(line.startswith("ready:") for line in up.lines) == 1
    assert not any(map(is_alive, everybody))


def test_kill_dash_nine_leaves_nothing(prepared_home: Path, tmp_path: Path, request: pytest.FixtureRequest) -> None:
    prepared.copy(prepared_home, tmp_path)
    up: Up = request.getfixturevalue("up")
    up.until("starting")
    up.until("ready:")
    everybody = family(up.process.pid)
    assert len(everybody) >= 7, "two servers, web and its worker, two workers, clock"
    up.process.kill()
    assert gone(everybody)


def test_workers_of_both_pools_are_one_command(
    prepared_home: Path, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    prepared.copy(prepared_home, tmp_path)
    up: Up = request.getfixturevalue("up")
    up.until("ready:")
    everybody = family(up.process.pid, deep=False)  # theirs come and go
    workers = Up(tmp_path, "worker")
    try:
        workers.until("fast and slow are at work")
        until(lambda: {"huitou-fast", "huitou-slow"} <= names(family(workers.process.pid)), "both run")
        until(lambda: is_open(workers.metrics_port), "the counts of both are shown")
        theirs = family(workers.process.pid)
        workers.process.terminate()
        assert workers.rest() == 0
        assert gone(theirs) and {"huitou-fast", "huitou-slow"} <= names(everybody)
        assert all(map(is_alive, everybody)), "workers of their own come and go"
    finally:
        workers.process.kill()
        workers.rest()


def test_a_port_that_is_taken_is_told_at_once(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        for command in ("up", "web"):
            done = subprocess.run([sys.executable, "-m", "bot", command], cwd=ROOT, env=environment(tmp_path, port),
                                  capture_output=True, text=True, check=False)
            assert done.returncode == 1
            assert f"port {port} is in use" in done.stderr and "set PORT" in done.stderr
    assert not (tmp_path / "postgres").exists()


def test_a_request_that_runs_is_finished_before_the_web_stops(tmp_path: Path) -> None:
    port = embedded.free_port()
    server = subprocess.Popen([sys.executable, "-m", "tests.integration.platform.slow_wsgi", str(tmp_path), str(port)],
                              cwd=ROOT, stdout=subprocess.PIPE, text=True)
    assert server.stdout is not None
    while True:
        try:
            assert answer(port, "/") == (200, b"done")
            break
        except OSError:
            assert server.poll() is None
    answers: list[tuple[int, bytes]] = []
    asking = threading.Thread(target=lambda: answers.append(answer(port, "/slow")))
    asking.start()
    assert server.stdout.readline() == "in\n"
    server.send_signal(signal.SIGTERM)
    asking.join()
    assert answers == [(200, b"done")] and server.wait(30) == 0
    server.stdout.close()
