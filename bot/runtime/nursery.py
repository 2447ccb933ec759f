"""Children by fork: a process that has loaded everything once bears the parts, which need not load it again.

The parent must have no threads and no open connection: only what was loaded is handed on. Nothing else of the parent
reaches a child: it leads a session of its own, with its own standard streams, and every other descriptor leads nowhere
(not closed: a forgotten object that closes "its" number later must not hit a socket of the child's).
"""

import contextlib
import multiprocessing
import os
import signal
import sys
from collections.abc import Callable
from multiprocessing.context import ForkProcess
from pathlib import Path
from typing import IO, Protocol

COMM_LENGTH = 15
"""Characters of a process's name that Linux keeps."""
REQUESTS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Process(Protocol):
    """What the supervisor needs of a child; ``subprocess.Popen`` has all of it."""

    @property
    def pid(self) -> int: ...

    def poll(self) -> int | None: ...

    def wait(self) -> int: ...

    def send_signal(self, sig: int, /) -> None: ...

    def kill(self) -> None: ...


class Forked:
    """A child that was born here. ``stdin`` and ``stdout`` (errors come there too) are our ends of its streams."""

    def __init__(self, name: str, main: Callable[[], object]) -> None:
        theirs_in, ours_in = os.pipe()
        ours_out, theirs_out = os.pipe()
        sys.stdout.flush()
        sys.stderr.flush()
        self._process = ForkProcess(target=_live, args=(name, main, theirs_in, theirs_out), name=name)
        before = signal.pthread_sigmask(signal.SIG_BLOCK, REQUESTS)  # one that comes meanwhile is for the child's own
        try:
            self._process.start()
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)
            os.close(theirs_in)
            os.close(theirs_out)
        self.stdin: IO[bytes] = os.fdopen(ours_in, "wb", buffering=0)
        self.stdout: IO[bytes] = os.fdopen(ours_out, "rb", buffering=0)

    @property
    def pid(self) -> int:
        assert self._process.pid is not None
        return self._process.pid

    def poll(self) -> int | None:
        """Its exit status, negative after a signal; None while it runs."""
        return self._process.exitcode

    def wait(self) -> int:
        """Its exit status once it has ended."""
        self._process.join()
        assert self._process.exitcode is not None
        return self._process.exitcode

    def send_signal(self, sig: int, /) -> None:
        if self.poll() is None:
            os.kill(self.pid, sig)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)


def is_possible() -> bool:
    """Whether children can be born here: elsewhere than on Linux system libraries do not survive a fork."""
    return sys.platform == "linux" and "fork" in multiprocessing.get_all_start_methods()


def _live(name: str, main: Callable[[], object], stdin: int, stdout: int) -> None:
    """The child's whole life; what ``main`` raises is its exit status (see multiprocessing)."""
    os.setsid()
    signal.set_wakeup_fd(-1)
    for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGCHLD):
        signal.signal(number, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, REQUESTS)
    for ours, standard in ((stdin, 0), (stdout, 1), (stdout, 2)):
        os.dup2(ours, standard)
    _forget_descriptors()
    sys.stdin = os.fdopen(0, encoding="utf-8", closefd=False)
    for stream in (sys.stdout, sys.stderr):
        stream.reconfigure(line_buffering=True)  # type: ignore[union-attr]
    with contextlib.suppress(OSError):
        Path("/proc/self/comm").write_text(f"huitou-{name}"[:COMM_LENGTH])
    main()


def _forget_descriptors() -> None:
    nowhere = os.open(os.devnull, os.O_RDWR)
    for name in os.listdir("/proc/self/fd"):
        number = int(name)
        with contextlib.suppress(OSError):  # the listing's own is gone by now
            if number > 2 and number != nowhere and os.fstat(number):
                os.dup2(nowhere, number, inheritable=False)
    os.close(nowhere)
