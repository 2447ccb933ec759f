"""The whole service as an operator runs it: ``python -m bot up`` in a home of its own, watched from outside.

Finds its processes through /proc, kills them, and reads the database behind the service's back for audits.
"""

import os
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import psycopg
import redis

from bot.runtime import embedded, undertaker
from tests import scratch
from tests.e2e.waiting import until

REPOSITORY = Path(__file__).parents[2]
Part = Literal["web", "fast", "slow", "clock", "postgres", "valkey"]

_MARKS: dict[Part, str] = {
    "web": "huitou-web ", "fast": "huitou-fast ", "slow": "huitou-slow ", "clock": "huitou-clock ",
    "postgres": "postgres -D", "valkey": "valkey-server",
}
STOP_SECONDS = 30


@dataclass
class House:
    """One running service. ``start()`` it, use it, ``stop()`` it; ``home`` survives until ``remove()``."""

    accounts: str
    port: int = field(default_factory=embedded.free_port)
    home: Path = field(default_factory=lambda: scratch.directory("huitou-e2e-"))
    lines: list[str] = field(default_factory=list)
    _process: "subprocess.Popen[str] | None" = None
    _reader: threading.Thread | None = None
    _asked: "psycopg.Connection[tuple[Any, ...]] | None" = None
    _asking: threading.Lock = field(default_factory=threading.Lock)

    def start(self) -> "House":
        """Start and wait for ``ready:``."""
        path = self.home / "accounts.toml"
        path.write_text(self.accounts, encoding="utf-8")
        self.lines.clear()
        self._process = subprocess.Popen(
            [sys.executable, "-m", "bot", "up"], cwd=REPOSITORY, env=self.environment(), text=True, bufsize=1,
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, start_new_session=True)
        undertaker.shared().mind(self._process.pid, signal.SIGTERM)  # a test run that is killed leaves nothing either
        self._reader = threading.Thread(target=self._read, args=(self._process,), daemon=True)
        self._reader.start()
        until(lambda: self._is_up() or self._process.poll() is not None, "ready:", 60)  # type: ignore[union-attr]
        assert self._is_up(), "did not start:\n" + self.tail()
        return self

    def environment(self) -> dict[str, str]:
        """Our environment without a trace of another instance."""
        strange = ("HUITOU_", "DATABASE_URL", "REDIS_URL", "PORT", "HOST", "PUBLIC_URL", "WEB_", "PROMETHEUS_",
                   "METRICS_")
        kept = {name: value for name, value in os.environ.items() if not name.startswith(strange)}
        return kept | {"PORT": str(self.port), "HUITOU_HOME": str(self.home), "HUITOU_DEMO": "0",
                       "HUITOU_ACCOUNTS": str(self.home / "accounts.toml"), "DATABASE_URL": "", "REDIS_URL": "",
                       "LOG_FORMAT": "json"}

    def run(self, *arguments: str) -> "subprocess.CompletedProcess[str]":
        """A command of the house beside the running one: ``run("doctor", "--json")``."""
        return subprocess.run([sys.executable, "-m", "bot", *arguments], cwd=REPOSITORY, env=self.environment(),
                              capture_output=True, text=True, timeout=60, check=False)

    def _read(self, process: "subprocess.Popen[str]") -> None:
        assert process.stdout is not None
        with process.stdout:
            for line in process.stdout:
                self.lines.append(line.rstrip())

    def _is_up(self) -> bool:
        return any(line.startswith("ready: ") for line in list(self.lines))

    def tail(self, count: int = 40) -> str:
        return "\n".join(self.lines[-count:])

    # Processes

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    def pids(self, part: Part) -> list[int]:
        """The part's process and its own children, the oldest first; [] while it is down."""
        table = _processes()
        top = [pid for pid, (parent, command) in table.items() if parent == self.pid and _MARKS[part] in command]
        return sorted(top) + [pid for leader in sorted(top) for pid in _below(leader, table)]

    def kill(self, part: Part) -> None:
        """SIGKILL the part's own process, as soon as it runs, and see it die."""
        self.kill_pid(until(lambda: self.pids(part), f"{part} runs")[0])

    def kill_pid(self, pid: int) -> None:
        os.kill(pid, signal.SIGKILL)
        until(lambda: pid not in _processes(), f"{pid} is dead", 10)

    def freeze(self, part: Part) -> None:
        for pid in self.pids(part):
            os.kill(pid, signal.SIGSTOP)

    def thaw(self, part: Part) -> None:
        for pid in self.pids(part):
            os.kill(pid, signal.SIGCONT)

    def kill_all(self) -> None:
        """SIGKILL the supervisor: nobody is told anything."""
        assert self._process is not None
        self._process.kill()
        self._process.wait(10)
        self._join()

    def stop(self) -> None:
        """SIGTERM, as an operator stops it: gone within 30 s with status 0, and nothing of it left."""
        assert self._process is not None
        self._process.terminate()
        try:
            code = self._process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self.kill_all()
            raise AssertionError("still there 30 s after SIGTERM:\n" + self.tail()) from None
        self._join()
        assert code == 0, f"status {code} after SIGTERM:\n{self.tail()}"
        assert not self.left_behind(), f"left behind: {self.left_behind()}"

    def _join(self) -> None:
        undertaker.shared().forget(self.pid)
        assert self._reader is not None
        self._reader.join(10)

    def left_behind(self) -> dict[int, str]:
        """Processes that still work for this home, whoever their parent is now."""
        return {pid: command for pid, (_, command) in _processes().items() if self._is_ours(pid, command)}

    def _is_ours(self, pid: int, command: str) -> bool:
        home = str(self.home)
        with suppress(OSError):
            if home in command or os.readlink(f"/proc/{pid}/cwd").startswith(home):
                return True
            return f"HUITOU_HOME={home}\0" in Path(f"/proc/{pid}/environ").read_text(errors="replace")
        return False

    def remove(self) -> None:
        """End whatever a failed test left, and the home with it."""
        if self._asked is not None:
            self._asked.close()
        if self._process is not None and self._process.poll() is None:
            self.kill_all()
        for pid in self.left_behind():
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        shutil.rmtree(self.home, ignore_errors=True)
        shutil.rmtree(embedded.socket_dir(self.home), ignore_errors=True)

    # Behind its back

    def connect(self) -> "psycopg.Connection[tuple[Any, ...]]":
        """A connection of our own to its database."""
        return psycopg.connect(f"host={embedded.socket_dir(self.home)} user=postgres dbname=huitou", connect_timeout=5)

    def sql(self, query: str, *values: object) -> list[tuple[Any, ...]]:
        """Rows of a query, for audits. Whoever waits asks fifty times a second: on one connection, which is made anew
        when the database has been away."""
        with self._asking:
            if self._asked is not None:
                with suppress(psycopg.OperationalError):
                    return self._asked.execute(query, values).fetchall()
                self._asked.close()
                self._asked = None
            asked = self.connect()
            asked.autocommit = True
            self._asked = asked
            return asked.execute(query, values).fetchall()

    def count(self, query: str, *values: object) -> int:
        return int(self.sql(f"select count(*) from {query}", *values)[0][0])

    @contextmanager
    def standing(self, *statements: tuple[str, Sequence[object]]) -> Iterator["Standing"]:
        """Hold what these statements lock, so that the service comes to stand at that very step; then undo them."""
        with self.connect() as db:
            for statement, values in statements:
                db.execute(statement, values)
            pid = db.info.backend_pid
            try:
                yield Standing(self, pid)
            finally:
                db.rollback()

    def valkey(self) -> "redis.Redis":
        return redis.Redis.from_url(embedded.valkey_url(self.home))


@dataclass(frozen=True)
class Standing:
    """A lock of ours, and who waits for it."""

    house: House
    pid: int

    def reached(self, count: int = 1) -> None:
        """Wait until ``count`` of the service's transactions stand at our lock."""
        query = "pg_stat_activity where %s = any(pg_blocking_pids(pid))"
        until(lambda: self.house.count(query, self.pid) >= count, f"{count} stand at the lock", 20, 0.05)


def _processes() -> dict[int, tuple[int, str]]:
    """pid → (parent, name and command line) of every living process."""
    found = {}
    for name in os.listdir("/proc"):
        if not name.isdigit():
            continue
        with suppress(OSError, ValueError, IndexError):
            state, parent = Path(f"/proc/{name}/stat").read_text(errors="replace").rpartition(")")[2].split()[:2]
            command = Path(f"/proc/{name}/comm").read_text().strip() + " "
            command += Path(f"/proc/{name}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
            if state not in "ZX":
                found[int(name)] = (int(parent), command)
    return found


def _below(leader: int, table: dict[int, tuple[int, str]]) -> list[int]:
    children = [pid for pid, (parent, _) in table.items() if parent == leader]
    return children + [pid for child in children for pid in _below(child, table)]
