"""Tests in several processes that are forked from one that has imported them all: ``-p tests.forked --processes 3``.

pytest-xdist, which runs tests as well (``-n 3``), starts each process anew, and each imports all tests for itself: that
was a twentieth of a run's CPU where the tests had not been compiled yet. A process takes one file after another, in the
order in which they were collected, and tells the first one what became of each test.
"""

import atexit
import itertools
import os
import traceback
import uuid
import warnings
from collections.abc import Iterator
from multiprocessing.connection import Connection, Pipe, wait
from typing import Any, NoReturn

import pytest

_NUMBER = 4
"""Bytes of a file's number in the pipe from which the processes take: read at once, so each number goes to one."""

Files = list[list[pytest.Item]]


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--processes", type=int, default=0, help="run the tests in this many forked processes")


@pytest.hookimpl(tryfirst=True)
def pytest_runtestloop(session: pytest.Session) -> bool | None:
    """Run everything that was collected; without ``--processes``, or where collecting failed, pytest does as ever."""
    count = session.config.getoption("processes")
    if not count or session.testsfailed or session.config.option.collectonly:
        return None
    os.environ["PYTEST_XDIST_TESTRUNUID"] = uuid.uuid4().hex  # what the processes of one run share is called by it
    files = [list(items) for _, items in itertools.groupby(session.items, key=lambda item: item.nodeid.split("::")[0])]
    taken, put = os.pipe()
    os.write(put, b"".join(number.to_bytes(_NUMBER) for number in range(len(files))))
    os.close(put)
    temporary = session.config._tmp_path_factory.getbasetemp()  # type: ignore[attr-defined]
    children: dict[Connection, int] = {}
    for number in range(count):
        heard, told = Pipe(duplex=False)
        if not (child := _fork()):
            session.config._tmp_path_factory._basetemp = temporary / str(number)  # type: ignore[attr-defined]
            (temporary / str(number)).mkdir()
            _be_a_child(session, files, taken, told)
        told.close()
        children[heard] = child
    try:
        _listen(session, list(children), taken)
    finally:
        _take_all(taken)
        ends = [os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children.values()]
    for number, end in enumerate(ends):
        if end:
            _tell_failure(session, f"process {number}", ("", None, ""), f"It ended with {end}; why may stand above.")
    return True


def _fork() -> int:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of threads: numpy's are made for it, and nobody else has any yet
        return os.fork()


def _listen(session: pytest.Session, children: list[Connection], taken: int) -> None:
    """Report what the children tell until all have ended; a test that none told the end of has failed."""
    hook, silent = session.config.hook, {item.nodeid: item for item in session.items}
    while children:
        for child in wait(children):
            try:
                told = child.recv()  # type: ignore[union-attr]
            except EOFError:
                children.remove(child)  # type: ignore[arg-type]
                continue
            report = hook.pytest_report_from_serializable(config=session.config, data=told)
            if report.when == "teardown":
                silent.pop(report.nodeid, None)
            hook.pytest_runtest_logreport(report=report)
            if session.shouldfail:
                _take_all(taken)
    if session.shouldfail:
        raise session.Failed(session.shouldfail)
    for item in silent.values():
        _tell_failure(session, item.nodeid, item.location, "The process ended that should have run it to its end.")


def _tell_failure(session: pytest.Session, name: str, place: tuple[str, int | None, str], why: str) -> None:
    report = pytest.TestReport(name, place, {}, "failed", why, "call")
    session.config.hook.pytest_runtest_logreport(report=report)


def _take_all(taken: int) -> None:
    """Children find nothing more to do."""
    while os.read(taken, 1 << 16):
        pass


def _be_a_child(session: pytest.Session, files: Files, taken: int, told: Connection) -> NoReturn:
    code = 1
    try:
        # Old temporary directories are the parent's to remove.
        atexit.unregister(session.config._tmp_path_factory._exit_stack.close)  # type: ignore[attr-defined]
        plugins = session.config.pluginmanager
        plugins.unregister(name="terminalreporter")
        plugins.register(_Teller(session.config, told))
        if (captured := plugins.getplugin("capturemanager")) is not None:  # its files are the parent's
            captured.stop_global_capturing()
            captured.start_global_capturing()
            captured.suspend_global_capture(in_=True)
        try:
            for item, following in _taken(files, taken, session):
                session.config.hook.pytest_runtest_protocol(item=item, nextitem=following)
                if session.shouldfail or session.shouldstop:
                    break
        finally:
            session._setupstate.teardown_exact(None)
        atexit._run_exitfuncs()
        code = 0
    except KeyboardInterrupt:
        pass
    except BaseException:
        traceback.print_exc()
    finally:
        os._exit(code)


def _taken(files: Files, taken: int, session: pytest.Session) -> Iterator[tuple[pytest.Item, pytest.Item]]:
    """Each test with what comes after it, which decides what is torn down. Which file comes after this one is not known
    yet, as until this one has ended it is anybody's: what belongs to its folder stays until then."""
    while number := os.read(taken, _NUMBER):
        file = files[int.from_bytes(number)]
        session._setupstate.teardown_exact(file[0])
        yield from itertools.pairwise((*file, file[0].getparent(pytest.Module).parent))  # type: ignore[misc, union-attr]


class _Teller:
    """What the child's pytest reports goes to the parent's."""

    def __init__(self, config: pytest.Config, told: Connection) -> None:
        self._config, self._told = config, told

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        data: dict[str, Any] = self._config.hook.pytest_report_to_serializable(config=self._config, report=report)
        self._told.send(data)
