"""A home whose PostgreSQL is initialised and migrated, made once a run and copied by whoever needs one.

initdb and all migrations cost three seconds of CPU; a copy costs a twentieth. The processes of a run share it. The
shelf of finished pictures, which a house begins to fill as soon as it runs, ten seconds' work, is one for all houses.
"""

import fcntl
import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import IO

from sqlalchemy import create_engine

from bot.runtime import embedded
from domain import migrations
from tests import scratch


def shared() -> AbstractContextManager[Path]:
    """The home of this run, stopped; gone when the last process of the run has left it."""
    run = os.environ.get("PYTEST_XDIST_TESTRUNUID", f"alone-{os.getpid()}")
    return at(scratch.base() / f"huitou-prepared-{run}", _prepare)


@contextmanager
def at(home: Path, prepare: Callable[[Path], None]) -> Iterator[Path]:
    """``home``, which the first process that comes prepares and the last one that leaves removes. Where preparing
    fails, nothing is left of it, and the next process tries for itself."""
    with _locked(home):
        if not (home / "users").is_dir():
            try:
                prepare(home)
            except BaseException:
                shutil.rmtree(home, ignore_errors=True)
                raise
            (home / "users").mkdir()
        (home / "users" / str(os.getpid())).touch()
    try:
        yield home
    finally:
        with _locked(home):
            (home / "users" / str(os.getpid())).unlink()
            if not any((home / "users").iterdir()):
                shutil.rmtree(home, ignore_errors=True)


def copy(prepared: Path, home: Path) -> None:
    """Put the database of ``prepared`` into ``home``, whose servers have not been started yet."""
    subprocess.run(["cp", "-a", str(prepared / "postgres"), str(home)], check=True)
    share_pictures(prepared, home)


def share_pictures(prepared: Path, home: Path) -> None:
    """Whoever lives in ``home`` finds the pictures that other houses of this run have drawn."""
    (home / "pictures").symlink_to(prepared / "pictures")


@contextmanager
def _locked(home: Path) -> Iterator[None]:
    """Alone among the processes of this run. A home that was removed while we waited for it is made anew."""
    while True:
        home.mkdir(mode=0o755, exist_ok=True)
        try:
            lock = (home / "lock").open("a")
        except FileNotFoundError:
            continue
        with lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if _is_there(lock, home / "lock"):
                yield
                return


def _is_there(file: IO[str], path: Path) -> bool:
    """Whether ``path`` still leads to the open file."""
    try:
        return os.path.samestat(os.fstat(file.fileno()), path.stat())
    except FileNotFoundError:
        return False


def _prepare(home: Path) -> None:
    (home / "pictures").mkdir()
    server = embedded.start_postgres(home, settings=embedded.FAST_BUT_UNSAFE)
    try:
        engine = create_engine(server.url)
        migrations.upgrade(engine)
        engine.dispose()
    finally:
        server.stop()
        shutil.rmtree(embedded.socket_dir(home), ignore_errors=True)
