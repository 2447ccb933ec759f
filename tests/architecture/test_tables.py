"""What a process has loaded is enough to write with: no table points at one whose room's tables are not there."""

import subprocess
import sys

ASK = """
import bot.runtime.bootstrap
from domain.shared.db import Base
for table in Base.metadata.tables.values():
    for key in table.foreign_keys:
        try:
            key.column
        except Exception as fault:
            print(fault)
"""


def test_the_tables_of_a_worker_find_each_other() -> None:
    """In a process of its own: a test run has loaded every room's tables for one reason or another."""
    asked = subprocess.run([sys.executable, "-c", ASK], capture_output=True, text=True, check=True)
    assert asked.stdout == ""
