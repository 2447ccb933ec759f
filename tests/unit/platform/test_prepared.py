"""What the tests' own run stands on: the home that its processes share, and the order in which files are begun."""

import fcntl
import os
import shutil
import threading
import time
from multiprocessing import get_context
from multiprocessing.synchronize import Barrier
from pathlib import Path

import pytest

from tests import order, prepared


def fail(home: Path) -> None:
    (home / "half").touch()
    raise OSError("no room")


def once(home: Path) -> None:
    (home / "postgres").mkdir()  # a second time it would be there


def visit(home: Path, all_there: Barrier) -> None:
    with prepared.at(home, once):
        all_there.wait(30)
    raise SystemExit(0)


def test_where_preparing_fails_nothing_is_left_and_the_next_tries_again(tmp_path: Path) -> None:
    home = tmp_path / "home"
    with pytest.raises(OSError, match="no room"), prepared.at(home, fail):
        pass
    assert not home.exists()
    with prepared.at(home, once):
        assert sorted(os.listdir(home)) == ["lock", "postgres", "users"]
    assert not home.exists()


def test_it_is_gone_whatever_became_of_the_tests(tmp_path: Path) -> None:
    with pytest.raises(KeyError), prepared.at(tmp_path / "home", once):
        raise KeyError("a test")
    assert not (tmp_path / "home").exists()


def test_processes_that_come_together_share_it_and_the_last_one_removes_it(tmp_path: Path) -> None:
    processes = get_context("fork")
    all_there = processes.Barrier(3)
    visitors = [processes.Process(target=visit, args=(tmp_path / "home", all_there)) for _ in range(3)]
    for one in visitors:
        one.start()
    for one in visitors:
        one.join(60)
    assert [one.exitcode for one in visitors] == [0, 0, 0]
    assert not (tmp_path / "home").exists()


def test_a_home_that_was_removed_while_somebody_waited_for_it_is_made_anew(tmp_path: Path) -> None:
    home, found = tmp_path / "home", []

    def enter() -> None:
        with prepared.at(home, once):
            found.append(sorted(os.listdir(home)))

    home.mkdir()
    with (home / "lock").open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        waiting = threading.Thread(target=enter)
        waiting.start()
        place = f":{os.fstat(lock.fileno()).st_ino} "
        for _ in range(3_000):
            if any("->" in line and place in line for line in Path("/proc/locks").read_text().splitlines()):
                break
            time.sleep(0.01)
        else:
            raise AssertionError("nobody waited")
        shutil.rmtree(home)
    waiting.join(60)
    assert found == [["lock", "postgres", "users"]] and not home.exists()


def test_a_file_that_was_renamed_is_missed_in_the_order() -> None:
    assert order.nowhere(("e2e/test_kills.py", "e2e/test_no_more.py")) == ["e2e/test_no_more.py"]
    assert order.nowhere(order.LONGEST) == []
