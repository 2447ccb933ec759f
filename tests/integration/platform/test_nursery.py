"""Children by fork: what they get of their parent, what they do not, and what the parent must be for it."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.integration.platform.test_embedded import ROOT

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="children are born on Linux only")

HEAD = """
import os, signal, sys, time
from bot.runtime import nursery
def born(main, name="child"):
    return nursery.Forked(name, main)
"""
Run = Callable[[str], str]


@pytest.fixture
def run(tmp_path: Path) -> Run:
    """What a script of its own process prints: pytest's process has threads, ours must not."""

    def run(script: str) -> str:
        env = {**os.environ, "HUITOU_HOME": str(tmp_path), "HUITOU_DEMO": "1"}
        done = subprocess.run([sys.executable, "-c", HEAD + script], cwd=ROOT, capture_output=True, text=True,
                              check=True, env=env, timeout=60)
        assert not done.stderr, done.stderr
        return done.stdout

    return run


def test_a_child_speaks_and_hears_through_its_own_streams(run: Run) -> None:
    told = run("""
def main():
    print("heard", sys.stdin.readline().strip())
    print("and complains", file=sys.stderr)
child = born(main)
os.write(child.stdin.fileno(), b"go\\n")
print(child.wait(), child.stdout.read(), child.poll())
""")
    assert told == "0 b'heard go\\nand complains\\n' 0\n"


def test_how_a_child_ended_is_known_as_of_any_process(run: Run) -> None:
    told = run("""
def fall(): raise RuntimeError("on its nose")
fallen = born(fall)
print(born(lambda: sys.exit(3)).wait(), fallen.wait(), b"on its nose" in fallen.stdout.read())
lasting = born(lambda: time.sleep(60))
print(lasting.poll())
lasting.send_signal(signal.SIGTERM)
print(lasting.wait() == -signal.SIGTERM)
lasting.kill()
""")
    assert told == "3 1 True\nNone\nTrue\n"


def test_nothing_that_the_parent_holds_open_reaches_a_child(run: Run) -> None:
    told = run("""
reader, writer = os.pipe()
def main():
    print(sorted({os.readlink(f"/proc/self/fd/{n}") for n in os.listdir("/proc/self/fd")
                  if int(n) > 2 and os.path.exists(f"/proc/self/fd/{n}")} - {"/dev/null", f"/proc/{os.getpid()}/fd"}))
    print(os.getsid(0) == os.getpid(), open("/proc/self/comm").read().strip())
    sys.stdin.readline()
child = born(main)
os.close(writer)
print("the pipe ends while the child lives:", os.read(reader, 1) == b"", child.poll())
child.stdin.close()
child.wait()
print(child.stdout.read().decode(), end="")
""")
    assert told == "the pipe ends while the child lives: True None\n[]\nTrue huitou-child\n"


def test_requests_to_stop_find_the_childs_own_handlers(run: Run) -> None:
    told = run("""
signal.signal(signal.SIGTERM, lambda *_: print("the parent's", flush=True))
child = born(lambda: time.sleep(60))
child.send_signal(signal.SIGTERM)
print(child.wait())
""")
    assert told == f"{-signal.SIGTERM}\n"


def test_loading_the_house_starts_no_thread_and_opens_no_connection(run: Run) -> None:
    told = run("""
from pathlib import Path
from bot.runtime.cli import children
children._load(Path("nowhere"))
print(len(os.listdir("/proc/self/task")))
print([n for n in os.listdir("/proc/self/fd") if os.path.exists(f"/proc/self/fd/{n}")
       and os.readlink(f"/proc/self/fd/{n}").startswith("socket")])
print("alembic" in sys.modules, "numpy" in sys.modules)
""")
    assert told == "1\n[]\nFalse False\n"
