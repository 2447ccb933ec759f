"""The supervisor as a real process over small stand-ins: order of starting, healing, stopping, and no orphan."""

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from bot.runtime import embedded
from tests.integration.platform.test_embedded import ROOT, gone, is_alive

pytestmark = pytest.mark.e2e


class Run:
    """A running supervisor: its lines so far, and the pids that its children left in the home."""

    def __init__(self, home: Path, names: tuple[str, ...]) -> None:
        self.home = home
        command = [sys.executable, "-m", "tests.integration.platform.stand_in", str(home), str(embedded.free_port())]
        self.process = subprocess.Popen([*command, *names], cwd=ROOT, stdout=subprocess.PIPE,
                                        stderr=subprocess.STDOUT, text=True)
        self.lines: list[str] = []
        self._reader = threading.Thread(target=self._read)
        self._reader.start()

    def _read(self) -> None:
        assert self.process.stdout is not None
        with self.process.stdout as lines:
            for line in lines:
                self.lines.append(line.rstrip("\n"))

    def pid(self, name: str) -> int:
        """The newest process of that name."""
        self.until((self.home / name).exists)
        return int((self.home / name).read_text() or 0)

    def until(self, condition: Callable[[], bool], seconds: float = 20.0) -> None:
        deadline = time.monotonic() + seconds
        while not condition():
            assert time.monotonic() < deadline, self.lines
            time.sleep(0.02)

    def ready(self) -> "Run":
        self.until(lambda: "ready: yes" in self.lines)
        return self

    def end(self, number: signal.Signals = signal.SIGTERM) -> int:
        self.process.send_signal(number)
        return self.finished()

    def finished(self) -> int:
        code = self.process.wait(30)
        self._reader.join()
        return code


@pytest.fixture
def supervise(tmp_path: Path) -> Iterator[Callable[..., Run]]:
    runs: list[Run] = []

    def start(*names: str) -> Run:
        runs.append(Run(tmp_path, names))
        return runs[-1]

    yield start
    for run in runs:
        if run.process.poll() is None:
            run.process.kill()
        run.finished()


def test_starts_in_order_says_ready_once_and_stops_on_sigterm(supervise: Callable[..., Run]) -> None:
    run = supervise("prepare-ok", "web", "steady").ready()
    children = [run.pid("web"), run.pid("steady")]
    assert run.end() == 0
    assert [line for line in run.lines if "prepared" in line or "listening" in line or "ready" in line] == [
        "prepare-ok | prepared", "web      | listening", "ready: yes"]
    assert not any(map(is_alive, children))


def test_control_c_stops_too(supervise: Callable[..., Run]) -> None:
    run = supervise("steady").ready()
    assert run.end(signal.SIGINT) == 0 and not is_alive(run.pid("steady"))


def test_a_dead_child_is_started_again_with_a_line_that_says_so(supervise: Callable[..., Run]) -> None:
    run = supervise("web", "steady").ready()
    first = run.pid("web")
    os.kill(first, signal.SIGKILL)
    run.until(lambda: run.pid("web") not in (0, first))
    run.until(lambda: sum("listening" in line for line in run.lines) == 2)
    assert any(line.startswith("web ended (SIGKILL); starting it again") for line in run.lines)
    assert run.end() == 0
    assert run.lines.count("ready: yes") == 1


def test_what_a_dead_child_left_behind_goes_with_it(supervise: Callable[..., Run]) -> None:
    run = supervise("parent").ready()
    first, offspring = run.pid("parent"), run.pid("offspring")
    os.kill(first, signal.SIGKILL)
    assert gone([offspring])
    run.until(lambda: run.pid("offspring") not in (0, offspring))
    second = run.pid("offspring")
    assert run.end() == 0 and gone([second])


def test_a_stubborn_child_is_killed_in_the_end(supervise: Callable[..., Run]) -> None:
    run = supervise("stubborn").ready()
    pid = run.pid("stubborn")
    assert run.end() == 0 and not is_alive(pid)
    assert "stubborn did not stop in time: killed" in run.lines


def test_a_second_signal_hurries(supervise: Callable[..., Run]) -> None:
    run = supervise("stubborn", "patient").ready()
    pid = run.pid("stubborn")
    run.process.send_signal(signal.SIGINT)
    run.until(lambda: run.lines[-1].startswith("stopping"))
    assert run.end(signal.SIGINT) == 0 and not is_alive(pid)


def test_a_server_that_still_writes_has_the_time_that_the_others_did_not_need(supervise: Callable[..., Run]) -> None:
    run = supervise("server", "steady", "patient").ready()
    assert run.end() == 0
    assert (run.home / "written").read_text() == "all" and not any("killed" in line for line in run.lines)


def test_a_failed_step_ends_the_start(supervise: Callable[..., Run]) -> None:
    run = supervise("prepare-bad", "web", "steady")
    assert run.finished() == 1
    assert "prepare-bad | will not do" in run.lines
    # Not the last line: what a child that was let down prints may come after it.
    assert "cannot start: prepare-bad ended with status 7; the lines above say why" in run.lines
    assert not (run.home / "steady").exists(), "nobody works on a database that is not prepared"
    assert not (run.home / "web").exists() or not is_alive(run.pid("web"))


def test_a_child_that_keeps_dying_ends_the_start(supervise: Callable[..., Run]) -> None:
    run = supervise("dying", "never-ready")
    assert run.finished() == 1
    assert sum("no reason" in line for line in run.lines) == 3
    assert run.lines[-1] == "cannot start: dying keeps ending; the lines above say why"


def test_two_on_one_home_are_refused(supervise: Callable[..., Run]) -> None:
    first = supervise("steady").ready()
    second = supervise("steady")
    assert second.finished() == 1
    assert any(f"in use by process {first.process.pid}" in line for line in second.lines)
    assert first.end() == 0


def test_nothing_outlives_a_supervisor_that_is_killed(supervise: Callable[..., Run]) -> None:
    run = supervise("web", "steady", "parent").ready()
    pids = [run.pid(name) for name in ("web", "steady", "parent", "offspring")]
    run.process.kill()
    assert gone(pids)


def test_a_start_that_is_interrupted_leaves_nothing(supervise: Callable[..., Run]) -> None:
    run = supervise("prepare-ok", "web", "steady")
    web = run.pid("web")
    assert run.end() == 0 and not is_alive(web)
