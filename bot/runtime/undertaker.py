"""Ends child processes whose parent died without a word, so that no server outlives a killed supervisor.

Two halves in one file. In the parent, an ``Undertaker`` starts this file as a small process of its own and tells it
over a pipe which children to mind. There, ``mind`` waits: the kernel closes the pipe when the parent ends, however
it ends, and whoever is still listed is then asked to stop and, after a while, killed with its process group.
Portable, and free of the threads-and-setuid traps of PR_SET_PDEATHSIG. Standard library only: it starts in 20 ms.
"""

import atexit
import contextlib
import functools
import os
import signal
import subprocess
import sys
import time
from typing import IO

PATIENCE = 20.0
"""Seconds that minded processes get between being asked and being killed."""


DYING = 2.0
"""Seconds that a killed process may take until it is gone: one that yields to all others gets there late."""


class Undertaker:
    """Mind children of this process. ``mind(pid, signal)`` after each start, ``forget(pid)`` after each end."""

    def __init__(self, patience: float = PATIENCE) -> None:
        self._process: subprocess.Popen[bytes] = subprocess.Popen(
            [sys.executable, "-I", "-S", os.path.abspath(__file__), str(patience)],
            stdin=subprocess.PIPE, cwd="/", start_new_session=True)

    @property
    def pid(self) -> int:
        return self._process.pid

    def mind(self, pid: int, stop_signal: int) -> None:
        """From now on ``pid`` (leader of its own process group) gets ``stop_signal`` should we die."""
        self._tell(f"+ {pid} {stop_signal}\n")

    def forget(self, pid: int) -> None:
        """``pid`` has ended and was reaped: its number may belong to somebody else soon."""
        self._tell(f"- {pid} 0\n")

    def close(self) -> None:
        """All is over: it ends what is still listed and goes."""
        with contextlib.suppress(BrokenPipeError):
            self._pipe.close()
        self._process.wait()

    @property
    def _pipe(self) -> IO[bytes]:
        assert self._process.stdin is not None
        return self._process.stdin

    def _tell(self, line: str) -> None:
        # One write below PIPE_BUF: atomic, and in the pipe even if we die right after.
        with contextlib.suppress(BrokenPipeError, ValueError):
            os.write(self._pipe.fileno(), line.encode())


@functools.cache
def shared() -> Undertaker:
    """The undertaker of this process; it ends what is left when the process ends, even after an orderly exit."""
    undertaker = Undertaker()
    atexit.register(undertaker.close)
    return undertaker


def end_session(leader: int) -> None:
    """Kill whatever is left of the process group and the session that ``leader`` began (Linux: all of it), and wait
    until it is gone, for at most DYING seconds."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(leader, signal.SIGKILL)
    deadline = time.monotonic() + DYING
    while (left := _members(leader)) and time.monotonic() < deadline:
        for pid in left:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.kill(pid, signal.SIGKILL)
        time.sleep(0.01)


def _members(session: int) -> list[int]:
    """Processes of a session that run, also those that moved to a group of their own; [] where /proc is not."""
    found = []
    for name in os.listdir("/proc") if os.path.isdir("/proc/self") else []:
        with contextlib.suppress(OSError, ValueError, IndexError), open(f"/proc/{int(name)}/stat", "rb") as stat:
            state, _parent, _group, its_session, *_ = stat.read().rpartition(b")")[2].split()
            if int(its_session) == session and state != b"Z":
                found.append(int(name))
    return found


def mind(orders: IO[str], patience: float) -> None:
    """Read ``+ pid signal`` and ``- pid 0`` lines until the parent is gone, then end what is still listed."""
    minded: dict[int, int] = {}
    for line in orders:
        sign, pid, stop_signal = line.split()
        if sign == "+":
            minded[int(pid)] = int(stop_signal)
        else:
            minded.pop(int(pid), None)
    for leader, wanted in minded.items():
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.kill(leader, wanted)
    deadline = time.monotonic() + patience
    while any(_is_alive(leader) for leader in minded) and time.monotonic() < deadline:
        time.sleep(0.05)
    for leader in minded:
        end_session(leader)


def _is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except (ProcessLookupError, PermissionError):
        return False
    return True


if __name__ == "__main__":
    for ignored in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(ignored, signal.SIG_IGN)
    mind(sys.stdin, float(sys.argv[1]))
