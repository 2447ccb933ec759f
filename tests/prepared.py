"""A home whose PostgreSQL is initialised and migrated, made once a run and copied by whoever needs one.

initdb and all migrations cost three seconds of CPU; a copy costs a twentieth. The processes of a run share it. The
shelf of finished pictures, which a house begins to fill as soon as it runs, ten seconds' work, is one for all houses.
"""

import fcntl
import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sqlalchemy import create_engine

from bot.runtime import embedded
from domain import migrations
from tests import scratch


@contextmanager
def shared() -> Iterator[Path]:
    """The home of this run, stopped; gone when the last process of the run has left it."""
    run = os.environ.get("PYTEST_XDIST_TESTRUNUID", f"alone-{os.getpid()}")
    home = scratch.base() / f"huitou-prepared-{run}"
    home.mkdir(mode=0o755, exist_ok=True)
    with _locked(home):
        if not (home / "users").is_dir():
            _prepare(home)
            (home / "users").mkdir()
        (home / "users" / str(os.getpid())).touch()
    yield home
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
    """Alone among the processes of this run."""
    with (home / "lock").open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


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
