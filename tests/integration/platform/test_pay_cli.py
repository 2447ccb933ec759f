"""``python -m bot pay``: what stops paying is shown in Chinese, explained by one person, agreed to by another."""

import json
import logging
from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime
from pathlib import Path

import pytest
import structlog
from click.testing import CliRunner, Result
from sqlalchemy import Engine
from sqlalchemy.orm import Session

from bot.runtime.cli import main
from bot.runtime.demo_keys import make_demo_pairs
from domain.audit import service as audit
from domain.paychannel.service import Difference
from domain.payouts import reconcile

Run = Callable[..., Result]


@pytest.fixture(autouse=True)
def quiet() -> Iterator[None]:
    """The commands set up logging for their process; put it back."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    structlog.reset_defaults()
    root.handlers[:], root.level = handlers, level


@pytest.fixture
def run(database_url: str, valkey_url: str, tmp_path: Path) -> Run:
    make_demo_pairs(tmp_path)
    env = {"HUITOU_HOME": str(tmp_path), "DATABASE_URL": database_url, "REDIS_URL": valkey_url}
    return lambda *words: CliRunner().invoke(main, [*words], env=env, catch_exceptions=False)


def test_a_stop_is_shown_explained_and_lifted(run: Run, engine: Engine) -> None:
    assert "main: pays" in run("pay", "status").stdout.splitlines()
    assert run("pay", "reconcile").stdout == "nothing is due\n"
    now = datetime.now(UTC)
    with Session(engine) as session, session.begin():
        boss = audit.add_operator(session, "lin", "owner", None, now)
        audit.add_operator(session, "zhou", "finance", boss, now)
        reconcile.halt(session, "main", [Difference("paid_twice", "HT1", date(2026, 11, 20), 100, 200)], now)
    told = run("pay", "status", "--json")
    account = next(one for one in json.loads(told.stdout) if one["account"] == "main")
    assert told.exit_code == 1 and account["stopped"] and "重复打款" in account["incidents"][0]["text"]
    number = str(account["incidents"][0]["id"])
    assert "STOPPED" in run("pay", "status").stdout
    assert "4 到 500" in run("pay", "explain", number, "--why", "x", "--as", "lin").stderr
    assert "没有编号" in run("pay", "explain", "999", "--why", "nothing", "--as", "lin").stderr
    asked = run("pay", "explain", number, "--why", "the platform corrected it", "--as", "lin", "--json")
    approval = str(json.loads(asked.stdout)["approval_id"])
    assert run("approvals", "approve", approval, "--as", "lin").exit_code == 1, "not by the same person"
    assert run("approvals", "approve", approval, "--as", "zhou").exit_code == 0
    assert run("pay", "status").exit_code == 0
    assert "已经处理过" in run("pay", "explain", number, "--why", "once more", "--as", "lin").stderr
    assert run("pay", "status", "--account", "other").exit_code == 2
    assert run("pay", "reconcile", "--date", "2026-11-19").exit_code == 1, "nobody to ask"
