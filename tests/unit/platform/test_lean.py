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


def test_a_worker_that_has_done_nothing_has_loaded_neither_ciphers_nor_what_draws(tmp_path: Path) -> None:
    env = {name: value for name, value in os.environ.items() if not name.startswith(("HUITOU_", "DATABASE_", "REDIS_"))}
    env |= {"HUITOU_HOME": str(tmp_path), "HUITOU_DEMO": "1"}
    done = subprocess.run([sys.executable, "-c", IDLE], cwd=ROOT, env=env, capture_output=True, text=True, check=False)
    assert not done.returncode, done.stderr
    assert done.stdout.splitlines() == ["", "token True"]
