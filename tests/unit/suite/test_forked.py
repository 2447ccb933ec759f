"""Forked processes tell what became of every test, also of those that cannot tell any more."""

import subprocess
import sys
from collections import Counter, defaultdict
from pathlib import Path
from xml.etree import ElementTree

import pytest

ROOT = Path(__file__).parents[3]
CONFTEST = """
import os
import pytest

@pytest.fixture(scope="session")
def of_the_process(tmp_path_factory):
    yield os.getpid()
    if (tmp_path_factory.getbasetemp() / "leaves badly").exists():
        raise RuntimeError("cannot leave")

@pytest.fixture(scope="module")
def of_the_file(of_the_process):
    return os.getpid()
"""
ORDINARY = """
import os
import pytest

@pytest.mark.parametrize("number", range(20))
def test_passes(number, of_the_file, tmp_path, record_property):
    print("said by", __name__)
    assert of_the_file == os.getpid()
    record_property("process", os.getpid())
"""
VARIED = """
import pytest

@pytest.fixture
def broken():
    raise RuntimeError("no fixture")

@pytest.fixture
def breaks():
    yield
    raise RuntimeError("no way out")

def test_fails():
    print("said before it failed")
    assert {"one": 1} == {"one": 2}

def test_without_fixture(broken): pass
def test_whose_fixture_ends_badly(breaks): pass
def test_passes(capfd, tmp_path):
    print("heard")
    assert capfd.readouterr().out == "heard\\n"

@pytest.mark.skip(reason="of its own")
def test_is_skipped(): pass
"""
MEETS = """
import os, time
from pathlib import Path

def test_meets(record_property):
    here = Path(__file__)
    (here.parent / f"{here.stem}.met").touch()
    until = time.monotonic() + 30
    while len(list(here.parent.glob("*.met"))) < 2 and time.monotonic() < until:
        time.sleep(0.01)
    record_property("process", os.getpid())
    assert len(list(here.parent.glob("*.met"))) == 2
"""
KILLED = """
import os, signal

def test_before(): pass
def test_that_is_killed(): os.kill(os.getpid(), signal.SIGKILL)
def test_after(): pass
"""
LEAVES_BADLY = """
def test_passes(of_the_process, tmp_path_factory): (tmp_path_factory.getbasetemp() / "leaves badly").touch()
"""


def run(folder: Path, files: dict[str, str]) -> tuple[int, str, dict[str, set[str]], dict[str, set[str]]]:
    """Exit code, what was printed, what each test became, and which processes ran the tests of a file."""
    (folder / "conftest.py").write_text(CONFTEST)
    for name, text in files.items():
        (folder / f"{name}.py").write_text(text)
    ended = subprocess.run(
        [sys.executable, "-m", "pytest", "-p", "tests.forked", "--processes", "2", "-p", "no:randomly",
         "--rootdir", folder, "-c", "/dev/null", "--confcutdir", folder, "--junit-xml", folder / "report.xml",
         "--basetemp", folder / "temporary", folder], cwd=ROOT, capture_output=True, text=True, timeout=60)
    became, ran = defaultdict[str, set[str]](set), defaultdict[str, set[str]](set)
    for case in ElementTree.parse(folder / "report.xml").iter("testcase"):
        name = f"{case.get('classname')}::{case.get('name')}"
        became[name] |= {part.tag for part in case} & {"failure", "error", "skipped"} or {"passed"}
        ran[str(case.get("classname"))] |= {str(one.get("value")) for one in case.iter("property")}
    return ended.returncode, ended.stdout + ended.stderr, became, ran


def test_what_became_of_each_is_told(tmp_path: Path) -> None:
    code, printed, became, ran = run(tmp_path, {"test_varied": VARIED} | {f"test_{n}": ORDINARY for n in range(3)})
    assert code == 1 and "1 failed, 62 passed, 1 skipped, 2 errors" in printed
    assert {name.split("::")[1]: what for name, what in became.items() if name.startswith("test_varied")} == {
        "test_fails": {"failure"}, "test_without_fixture": {"error"}, "test_whose_fixture_ends_badly": {"error"},
        "test_passes": {"passed"}, "test_is_skipped": {"skipped"}}
    assert "assert {'one': 1} == {'one': 2}" in printed and "said before it failed" in printed
    assert Counter(map(len, ran.values())) == {1: 3, 0: 1}, "a file is one process's, with its fixtures"
    assert "said by" not in printed, "what passes is silent"


def test_two_files_run_at_once(tmp_path: Path) -> None:
    code, _, _, ran = run(tmp_path, {"test_one": MEETS, "test_two": MEETS})
    assert code == 0 and len(ran["test_one"] | ran["test_two"]) == 2


@pytest.mark.parametrize(("files", "told", "passed"), [
    ({"test_killed": KILLED, "test_others": ORDINARY}, "test_that_is_killed", {"test_killed::test_before"}),
    ({"test_badly": LEAVES_BADLY, "test_others": ORDINARY}, "cannot leave", {"test_badly::test_passes"}),
], ids=["killed", "at the end"])
def test_a_process_that_ends_badly_is_a_failure(
    tmp_path: Path, files: dict[str, str], told: str, passed: set[str]
) -> None:
    code, printed, became, _ = run(tmp_path, files)
    assert code == 1 and told in printed and "It ended with" in printed
    assert {name for name, what in became.items() if what == {"passed"}} == passed | {
        f"test_others::test_passes[{number}]" for number in range(20)}


def test_what_cannot_be_collected_fails_as_ever(tmp_path: Path) -> None:
    code, printed, _, _ = run(tmp_path, {"test_broken": "import nothing_of_this_name", "test_others": ORDINARY})
    assert code == 2 and "nothing_of_this_name" in printed and "passed" not in printed
