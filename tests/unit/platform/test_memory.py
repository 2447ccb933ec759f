"""Giving memory back."""

import subprocess
import sys

import pytest

from tests.integration.platform.test_embedded import ROOT

PIECES = """
from bot.runtime.memory import give_back
def held():
    return next(int(line.split()[1]) for line in open("/proc/self/status") if line.startswith("VmRSS:"))
pieces = [bytearray(100_000) for _ in range(500)]
kept = pieces[::50]
del pieces
before = held()
give_back()
print(before - held())
"""


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere nothing is given back")
def test_what_was_freed_between_what_stays_returns_to_the_system() -> None:
    done = subprocess.run([sys.executable, "-c", PIECES], cwd=ROOT, capture_output=True, text=True, check=True)
    assert int(done.stdout) > 20_000, "of 45 MB that were freed"
