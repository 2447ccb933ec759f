"""Servers under measurement: started alike, pinned alike, asked alike.

The web server has core 0 to itself; load and database share core 1. With one core, or where cores cannot be chosen,
nothing is pinned and ``pinned()`` says so. Clock ticks of the server's processes give its CPU time per request, which
a busy machine disturbs less than requests per second.
"""

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from bench.figures import Round
from bot.runtime import embedded

ROOT = Path(__file__).resolve().parents[1]
PEER_PYTHON = ROOT / ".venv-bench" / "bin" / "python"
SERVER_CORE, LOAD_CORE = 0, 1
THREADS = 16
"""Threads of every web server here; the service's own default."""
CONNECTIONS = 16
SECONDS = 2.0


class CannotMeasure(Exception):
    """Something a row needs is missing; the message says what."""


_CORES = os.sched_getaffinity(0) if hasattr(os, "sched_getaffinity") else set[int]()
"""What this process was given at its start: asked again inside ``on_core``, it would always be one."""


def pinned() -> bool:
    """Whether server and load can be kept on cores of their own."""
    return {SERVER_CORE, LOAD_CORE} <= _CORES


@contextlib.contextmanager
def on_core(core: int) -> Iterator[None]:
    """Whatever is started inside stays on ``core``."""
    if not pinned():
        yield
        return
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {core})
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


@contextlib.contextmanager
def home() -> Iterator[Path]:
    """An empty directory for servers and files, open to PostgreSQL's system user, gone afterwards."""
    folder = Path(tempfile.mkdtemp(prefix="huitou-bench-"))
    folder.chmod(0o755)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        shutil.rmtree(embedded.socket_dir(folder), ignore_errors=True)


@dataclass(frozen=True, slots=True)
class Web:
    """A running web server."""

    process: subprocess.Popen[bytes]
    port: int
    log: Path

    def ticks(self) -> float:
        """CPU seconds that its processes have used so far."""
        return cpu_seconds(self.process.pid)


@contextlib.contextmanager
def serving(command: Sequence[str | Path], port: int, env: Mapping[str, str], folder: Path, path: str) -> Iterator[Web]:
    """Start a web server on the server's core, wait until ``path`` answers, and end it afterwards."""
    # In ``folder``: whatever a server leaves where it was started goes with it, and no .env of ours is read.
    log_file = folder / f"{port}.log"
    with log_file.open("wb") as log, on_core(SERVER_CORE):
        process = subprocess.Popen([str(part) for part in command], env={**os.environ, "PYTHONPATH": str(ROOT), **env},
                                   cwd=folder, stdout=log, stderr=log, stdin=subprocess.DEVNULL, start_new_session=True)
    try:
        _await(process, f"http://127.0.0.1:{port}{path}", log_file)
        yield Web(process, port, log_file)
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def granian(target: str, port: int, python: Path | str = PEER_PYTHON, threads: int = THREADS) -> list[str]:
    """The command that serves a WSGI ``target`` as the service serves its own: one process, the same threads."""
    return [str(python), "-m", "granian", "--interface", "wsgi", "--http", "1", "--no-ws", "--host", "127.0.0.1",
            "--port", str(port), "--workers", "1", "--blocking-threads", str(threads), "--backlog", "2048",
            "--backpressure", "2048", "--log-level", "error", target]


def need_peers() -> None:
    """Raises CannotMeasure when the peers are not installed."""
    if not PEER_PYTHON.exists():
        raise CannotMeasure("the peers are not installed: run `make bench`")


def family(pid: int) -> list[int]:
    """A process and all that descend from it."""
    try:
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    except OSError:
        children = []
    return [pid, *(one for child in children for one in family(int(child)))]


def cpu_seconds(pid: int) -> float:
    """CPU seconds that a process and its descendants have used so far."""
    return sum(_cpu_seconds(one) for one in family(pid))


def press(web: Web, job: Mapping[str, object], seconds: float) -> Round:
    """Let the load process ask ``web`` for ``seconds``. Raises RuntimeError on a wrong answer.

    ``value`` is answers a second, ``cpu_us`` the server's CPU microseconds an answer, ``p99_ms`` what one in a hundred
    waited for longer.
    """
    asked = {"port": web.port, "connections": CONNECTIONS, "seconds": seconds, **job}
    with on_core(LOAD_CORE):
        load = subprocess.Popen([sys.executable, "-m", "bench.load"], cwd=ROOT, stdin=subprocess.PIPE,
                                stdout=subprocess.PIPE, text=True)
    assert load.stdin and load.stdout
    with load:
        load.stdin.write(json.dumps(asked) + "\n")
        load.stdin.flush()
        if load.stdout.readline().strip() != "ready":
            raise RuntimeError("the load process did not start")
        before = web.ticks()
        load.stdin.write("go\n")
        load.stdin.close()
        told = json.loads(load.stdout.readline() or "{}")
        used = web.ticks() - before
    if not told.get("answers") or told["wrong"]:
        raise RuntimeError(f"wrong answers: {told}\n{web.log.read_text(errors='replace')[-2000:]}")
    answers = told["answers"]
    return {"value": answers / told["seconds"], "cpu_us": used / answers * 1e6, "p99_ms": told["p99_ms"]}


def wait_for(condition: Callable[[], bool], seconds: float, what: str) -> None:
    """Raises RuntimeError when ``condition`` does not come true in time."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            raise RuntimeError(f"{what} took longer than {seconds:.0f} s")
        time.sleep(0.01)


def is_up(url: str) -> bool:
    """Whether a GET is answered with 200."""
    try:
        with urllib.request.urlopen(url, timeout=3) as response:
            return bool(response.status == 200)
    except OSError:
        return False


def _await(process: subprocess.Popen[bytes], url: str, log: Path) -> None:
    def ready() -> bool:
        if process.poll() is not None:
            raise RuntimeError(f"the server of {url} ended:\n{log.read_text(errors='replace')[-2000:]}")
        return is_up(url)

    wait_for(ready, 60, f"the server of {url}")


def _cpu_seconds(pid: int) -> float:
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return 0.0
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
