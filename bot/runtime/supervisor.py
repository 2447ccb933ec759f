"""``python -m bot up``: database, cache, web, workers and clock as one thing that starts, heals and stops together.

One thread, one loop: it loads what the children are made of while the servers come up, bears them (see nursery),
reads what they print, notices who died, and moves through the phases of a start.
Everything that it starts is minded by the undertaker too, so a killed supervisor leaves nothing behind.
"""

import contextlib
import os
import selectors
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from types import FrameType
from typing import IO, TextIO

from bot.runtime import embedded, nursery, undertaker
from domain.shared.records import record

APPS_SECONDS = 25.0
"""How long web, workers and clock may take to finish what they are doing."""
SERVERS_SECONDS = 4.0
"""How long Valkey, then PostgreSQL may take after them, besides what they left of theirs: a database that was just made
writes for a while when it stops, and would have to be recovered otherwise."""
BACKOFF = (1.0, 2.0, 4.0, 8.0, 10.0)
"""Seconds before the first, second, … restart of a part; the last one repeats."""
HEALTHY_SECONDS = 60.0
"""A part that lived this long starts again with the first backoff."""
TICK = 0.03
"""Seconds between looks while starting or stopping."""
LINE_LIMIT = 65_536
"""Bytes of a line that never ends before it is printed in pieces."""
GO = b"go\n"
"""What an early child reads from its standard input when the servers are ready."""

_COLOURS = (36, 32, 33, 35, 34, 31)


class Abandoned(Exception):
    """The start failed; the message is for the person at the terminal."""


@record
class Child:
    """A program to keep running. An ``early`` one starts with the servers, loads, and waits for GO on its input.

    ``body`` is what the command would do, for a child that is born of this process instead of started as a program.
    """

    name: str
    command: tuple[str, ...]
    early: bool = False
    body: Callable[[], object] | None = None


@record
class House:
    """What to run. ``servers`` by name, in the order in which they start; they stop in reverse.

    ``load`` is called once the servers are on their way and before any child is made.
    ``prepare`` runs to its end when the servers are ready and before the children are let go. ``is_ready`` is asked
    until it says yes; then ``ready_line`` is printed, once.
    """

    servers: Mapping[str, Callable[[], embedded.Server]]
    prepare: Child | None
    children: Sequence[Child]
    is_ready: Callable[[], bool]
    ready_line: str
    load: Callable[[], object] | None = None


@dataclass
class _Part:
    """A child or server as it stands: running, waiting for a restart, or ended."""

    name: str
    launch: Callable[[], nursery.Process]
    process: nursery.Process | None = None
    started_at: float = 0.0
    failures: int = 0
    retry_at: float = 0.0

    def start(self, now: float) -> None:
        self.process, self.started_at = self.launch(), now

    def is_running(self) -> bool:
        return self.process is not None and self.process.poll() is None

    def bury(self, now: float) -> int:
        """It died: sweep up what it left and plan the restart. Returns its exit status."""
        assert self.process is not None
        code = self.process.wait()
        self.sweep()
        if now - self.started_at >= HEALTHY_SECONDS:
            self.failures = 0
        self.retry_at = now + BACKOFF[min(self.failures, len(BACKOFF) - 1)]
        self.failures += 1
        return code

    def sweep(self) -> None:
        """Nothing of its session may live on, least of all a web worker that still holds the port."""
        if self.process is not None:
            undertaker.end_session(self.process.pid)
            undertaker.shared().forget(self.process.pid)
            self.process = None


@dataclass
class Supervisor:
    """Runs a House until it is told to stop. ``out`` takes the children's lines and our own."""

    house: House
    out: TextIO = field(default_factory=lambda: sys.stdout)
    start_seconds: float = 60.0
    _stops: int = 0
    _servers: dict[str, embedded.Server] = field(default_factory=dict)
    _parts: dict[str, _Part] = field(default_factory=dict)
    _inputs: dict[str, IO[bytes]] = field(default_factory=dict)
    _selector: selectors.BaseSelector = field(default_factory=selectors.DefaultSelector)
    _rests: dict[str, bytes] = field(default_factory=dict)

    def run(self) -> int:
        """Start, heal, stop. Returns the exit status: 0 after a stop that was asked for, 1 when the start failed."""
        with self._signals():
            try:
                self._start()
                while not self._stops:
                    self._pump(1.0)
                    self._heal()
            except (Abandoned, embedded.StartFailed) as reason:
                self._say(f"cannot start: {reason}")
                return 1
            finally:
                self._stop()
        return 0

    # Starting

    def _start(self) -> None:
        deadline = time.monotonic() + self.start_seconds
        for name, launch in self.house.servers.items():
            self._add(name, lambda name=name, launch=launch: self._serve(name, launch))  # type: ignore[misc]
        if self.house.load and not self._stops:
            self.house.load()
        for child in [child for child in (self.house.prepare, *self.house.children) if child and child.early]:
            self._add(child.name, lambda child=child: self._spawn(child))  # type: ignore[misc]
        self._wait("the servers", deadline, self._servers_are_ready)
        if self.house.prepare:
            self._prepare(self.house.prepare, deadline)
        for child in self.house.children:
            if child.name in self._parts:
                self._let_go(child.name)
            else:
                self._add(child.name, lambda child=child: self._spawn(child, at_once=True))  # type: ignore[misc]
            self._parts[child.name].launch = lambda child=child: self._spawn(child, at_once=True)  # type: ignore[misc]
        self._wait("the service", deadline, self.house.is_ready)
        if not self._stops:
            self._say(self.house.ready_line)

    def _wait(self, what: str, deadline: float, condition: Callable[[], bool]) -> None:
        """Pump and heal until ``condition``. Raises Abandoned when it takes too long or a part keeps dying."""
        while not self._stops and not condition():
            self._pump(TICK)
            self._heal()
            hopeless = [part.name for part in self._parts.values() if part.failures >= 3]
            if hopeless:
                raise Abandoned(f"{', '.join(hopeless)} keeps ending; the lines above say why")
            if time.monotonic() > deadline:
                raise Abandoned(f"{what} took longer than {self.start_seconds:.0f} s")

    def _servers_are_ready(self) -> bool:
        for name, server in self._servers.items():
            if server.process.poll() is not None:
                raise Abandoned(f"{name} ended at once:\n{server.last_words()}")
        return all(server.is_ready() for server in self._servers.values())

    def _prepare(self, child: Child, deadline: float) -> None:
        """Run the step to its end. Raises Abandoned when it fails."""
        if child.name in self._parts:
            self._let_go(child.name)
        else:
            self._add(child.name, lambda: self._spawn(child, at_once=True))
        part = self._parts.pop(child.name)
        self._wait(child.name, deadline, lambda: not part.is_running())
        if self._stops:
            self._parts[child.name] = part
            return
        self._pump(0.0)
        assert part.process is not None
        code = part.process.wait()
        part.sweep()
        if code:
            raise Abandoned(f"{child.name} ended with status {code}; the lines above say why")

    def _add(self, name: str, launch: Callable[[], nursery.Process]) -> None:
        part = self._parts[name] = _Part(name, launch)
        part.start(time.monotonic())

    def _serve(self, name: str, launch: Callable[[], embedded.Server]) -> nursery.Process:
        server = self._servers[name] = launch()
        return server.process

    def _spawn(self, child: Child, at_once: bool = False) -> nursery.Process:
        process = nursery.Forked(child.name, child.body) if child.body else subprocess.Popen(
            child.command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
            start_new_session=True, bufsize=0)
        undertaker.shared().mind(process.pid, signal.SIGTERM)
        assert process.stdout and process.stdin
        os.set_blocking(process.stdout.fileno(), False)
        self._selector.register(process.stdout, selectors.EVENT_READ, child.name)
        if left := self._inputs.pop(child.name, None):
            left.close()
        self._inputs[child.name] = process.stdin
        if at_once:
            self._let_go(child.name)
        return process

    def _let_go(self, name: str) -> None:
        gate = self._inputs.pop(name)
        with contextlib.suppress(BrokenPipeError):
            os.write(gate.fileno(), GO)
        gate.close()

    # Running

    def _heal(self) -> None:
        """Notice who died, start again whose time has come."""
        now = time.monotonic()
        for part in self._parts.values():
            if part.process is not None and not part.is_running():
                code = part.bury(now)
                self._say(f"{part.name} ended ({_cause(code)}); starting it again in {part.retry_at - now:.0f} s")
            elif part.process is None and now >= part.retry_at:
                try:
                    part.start(now)
                except (OSError, embedded.StartFailed) as error:
                    self._say(f"{part.name} does not start: {error}")
                    part.retry_at = now + BACKOFF[-1]

    def _pump(self, seconds: float) -> None:
        """Pass on what the children print, for at most ``seconds`` when they are silent."""
        for key, _ in self._selector.select(seconds):
            if key.data is None:
                os.read(key.fd, 512)  # the wake-up pipe of the signals
                continue
            chunk = os.read(key.fd, 65536)
            self._print(key.data, chunk)
            if not chunk:
                self._selector.unregister(key.fileobj)
                key.fileobj.close()  # type: ignore[union-attr]

    def _print(self, name: str, chunk: bytes) -> None:
        """Whole lines only, so that two children never share one."""
        *lines, rest = (self._rests.pop(name, b"") + chunk).split(b"\n")
        if rest and not chunk:
            lines, rest = [*lines, rest], b""
        if len(rest) > LINE_LIMIT:
            lines, rest = [*lines, rest], b""
        if rest:
            self._rests[name] = rest
        for line in lines:
            self._write(name, line.decode(errors="replace"))

    def _write(self, name: str, line: str) -> None:
        label = f"{name:<8} |"
        if self.out.isatty():
            colour = _COLOURS[list(self._parts).index(name) % len(_COLOURS)] if name in self._parts else 37
            label = f"\x1b[{colour}m{label}\x1b[0m"
        self._say(f"{label} {line}")

    def _say(self, line: str) -> None:
        with contextlib.suppress(BrokenPipeError, ValueError):
            print(line, file=self.out, flush=True)

    # Stopping

    def _stop(self) -> None:
        """Web, workers and clock first, together; then Valkey; then PostgreSQL. A second signal hurries."""
        servers = [self._parts[name] for name in self._servers if name in self._parts]
        apps = [part for part in self._parts.values() if part not in servers]
        if self._stops:
            self._say("stopping; once more to hurry")
        for gate in self._inputs.values():
            with contextlib.suppress(BrokenPipeError):
                gate.close()
        spared = time.monotonic() + APPS_SECONDS
        self._end(apps, signal.SIGTERM, APPS_SECONDS)
        for name in reversed(list(self._servers)):
            if name in self._parts:
                seconds = SERVERS_SECONDS + max(0.0, spared - time.monotonic())
                self._end([self._parts[name]], self._servers[name].stop_signal, seconds, final=True)
        self._pump(0.0)

    def _end(self, parts: list[_Part], ask: signal.Signals, seconds: float, final: bool = False) -> None:
        """Ask, wait, kill. ``final``: a second signal does not shorten the wait (data is being written)."""
        running = [part for part in parts if part.is_running()]
        for part in running:
            assert part.process is not None
            part.process.send_signal(ask)
        deadline = time.monotonic() + seconds
        while any(part.is_running() for part in running) and time.monotonic() < deadline:
            if self._stops > 1 and not final:
                break
            self._pump(TICK)
        for part in parts:
            late = part.process if part.is_running() else None
            if late is not None:
                self._say(f"{part.name} did not stop in time: killed")
                late.kill()
                late.wait()
            part.sweep()

    @contextlib.contextmanager
    def _signals(self) -> Iterator[None]:
        """Count requests to stop, and wake the loop for them and for every child that ends."""
        def request(number: int, frame: FrameType | None) -> None:
            self._stops += 1

        reader, writer = os.pipe()
        os.set_blocking(reader, False)
        os.set_blocking(writer, False)
        self._selector.register(reader, selectors.EVENT_READ, None)
        before = {number: signal.signal(number, request) for number in (signal.SIGINT, signal.SIGTERM)}
        if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:  # nohup: the terminal may go
            before[signal.SIGHUP] = signal.signal(signal.SIGHUP, request)
        before[signal.SIGCHLD] = signal.signal(signal.SIGCHLD, lambda number, frame: None)
        wakeup = signal.set_wakeup_fd(writer, warn_on_full_buffer=False)
        try:
            yield
        finally:
            signal.set_wakeup_fd(wakeup)
            for number, handler in before.items():
                signal.signal(number, handler)
            self._selector.close()
            os.close(reader)
            os.close(writer)


def _cause(code: int) -> str:
    return f"status {code}" if code >= 0 else signal.Signals(-code).name
