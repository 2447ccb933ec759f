"""``python -m bot notice``: why somebody heard nothing, and the switch."""

import json
import logging
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import structlog
from click.testing import CliRunner, Result
from sqlalchemy import Engine, text
from sqlalchemy.orm import Session

from bot.runtime.cli import main
from domain.notices import service as notices
from tests.conftest import MORNING
from tests.integration.people.crowd import crowd

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
    env = {"HUITOU_HOME": str(tmp_path), "DATABASE_URL": database_url, "REDIS_URL": valkey_url}
    return lambda *words: CliRunner().invoke(main, words, env=env, catch_exceptions=False)


def test_why_nothing_came(run: Run, session: Session) -> None:
    (li,) = crowd(session, 1)
    notices.stop(session, li, "marketing", "chat", MORNING)
    notices.tell(session, notices.Notice(li, "marketing", "ad", "chat.late", {"said": "x"}), MORNING)
    session.commit()
    told = json.loads(run("notice", "explain", str(li), "--json").stdout)
    assert told["now"]["marketing"]["reason"] in ("unfollowed", "no_consent")
    assert "said no" in told["now"]["marketing"]["because"]
    assert [one["state"] for one in told["notices"]] == ["waiting"]
    assert told["consent"][0]["given"] is False
    assert "consent" in run("notice", "explain", str(li)).output
    assert run("notice", "explain", "999999").exit_code == 1


def test_the_switch(run: Run, engine: Engine) -> None:
    assert run("operator", "add", "lin", "--role", "owner").exit_code == 0
    assert "is off" in run("notice", "off", "marketing", "--why", "wrong price", "--as", "lin").output
    assert "wrong price" in run("notice", "status").output
    assert "is on" in run("notice", "on", "marketing", "--as", "lin").output
    assert "everything is on" in run("notice", "status").output
    with engine.connect() as db:
        acts = db.execute(text("select act from audit_event where subject = 'notices:marketing' order by id")).scalars()
        assert list(acts) == ["notices.off", "notices.on"]


def test_a_no_that_an_employee_heard(run: Run, session: Session) -> None:
    (li,) = crowd(session, 1)
    session.commit()
    assert run("operator", "add", "lin", "--role", "owner").exit_code == 0
    said = run("notice", "refuse", str(li), "--why", "told xiaomei", "--as", "lin")
    assert "no marketing any more" in said.output
    assert "had said so already" in run("notice", "refuse", str(li), "--why", "again", "--as", "lin").output
    assert run("notice", "refuse", "999999", "--why", "x", "--as", "lin").exit_code == 1
    assert json.loads(run("notice", "explain", str(li), "--json").stdout)["now"]["marketing"]["what"] == "refuse"
    acts = session.execute(text("select act from audit_event where subject = :who"), {"who": f"person:{li}"}).scalars()
    assert list(acts) == ["notices.refused"]
    assert "no employee" in run("notice", "tasks").output
    assert json.loads(run("notice", "tasks", "--open", "--json").stdout) == []
