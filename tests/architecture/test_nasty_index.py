"""docs/NASTY.md promises a test for each case: the tests exist, and no case is without an answer."""

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "NASTY.md").read_text("utf-8")


def test_every_named_test_exists() -> None:
    named = re.findall(r"`(tests/[\w/]+\.py)::(\w+)`", PAGE)
    missing = [f"{path}::{name}" for path, name in named if f"def {name}(" not in (ROOT / path).read_text("utf-8")]
    assert len(named) > 60 and not missing, missing


def test_every_case_has_its_row() -> None:
    rows = re.findall(r"^\| ([LPJ]\d+) \| .+ \| \S.+ \|$", PAGE, re.M)
    cases = {"L": 30, "P": 20, "J": 23}
    assert rows == [f"{letter}{n}" for letter, most in cases.items() for n in range(1, most + 1)]
