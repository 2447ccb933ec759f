"""What a process does not load before it needs it."""

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[3]
IDLE = """
import os
import sys
from pathlib import Path
from bot.runtime import lean
lean.leave_out()
import bot.runtime.worker
from bot.runtime import bootstrap
from bot.runtime.gateways.vault import Vault
from bot.runtime.settings import load
bootstrap.build(load(os.environ, Path.cwd()))
large = ("cryptography.hazmat.bindings._rust", "numpy", "opencc", "qrcode", "rapidfuzz", "zxingcpp", "wechatpayv3")
print(*[name for name in large if name in sys.modules])
vault = Vault(b"k" * 32)
print(vault.open(vault.seal("token", "main"), "main"), large[0] in sys.modules)
"""


WATCHED = """
import gc
import os
import threading
import time
from pathlib import Path
from bot.runtime import worker
from bot.runtime.settings import load

def watch():
    deadline = time.monotonic() + 30
    while not gc.get_freeze_count() and time.monotonic() < deadline:
        time.sleep(0.05)
    print(gc.get_freeze_count() > 100_000, flush=True)
    os._exit(0)

threading.Thread(target=watch).start()
worker.main(load(os.environ, Path.cwd()), ("fast",))
"""


def test_a_worker_that_has_done_nothing_has_loaded_neither_ciphers_nor_what_draws(tmp_path: Path) -> None:
    assert run(IDLE, tmp_path) == ["", "token True"]


def test_what_a_worker_has_loaded_is_left_alone_by_the_collector(tmp_path: Path) -> None:
    """Before its first job, and whether or not there is a database to find one in."""
    assert run(WATCHED, tmp_path)[-1] == "True"


def run(script: str, home: Path) -> list[str]:
    """What ``script`` prints as a process of a new demo without servers."""
    env = {name: value for name, value in os.environ.items() if not name.startswith(("HUITOU_", "DATABASE_", "REDIS_"))}
    env |= {"HUITOU_HOME": str(home), "HUITOU_DEMO": "1"}
    command = [sys.executable, "-c", script]
    done = subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True, check=False)
    assert not done.returncode, done.stderr
    return done.stdout.splitlines()
