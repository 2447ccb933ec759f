"""What customers said, through the operator API and at the terminal: the same acts, under a name, in the log."""

import json
from pathlib import Path

import pytest
from click.testing import CliRunner
from sqlalchemy import Engine, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session

from bot.runtime.cli import main
from domain.feedback import service
from domain.feedback.rules import FeedbackRules, load
from domain.shared.clock import FixedClock
from domain.shared.errors import DomainError
from tests.integration.people.crowd import crowd
from tests.integration.platform.test_rewards_cli import quiet
from tests.web.operators import Office

__all__ = ["quiet"]


@pytest.fixture
def office(engine: Engine, clock: FixedClock) -> Office:
    return Office(engine, clock)


@pytest.fixture
def author(engine: Engine, clock: FixedClock) -> int:
    with Session(engine) as session:
        (li,) = crowd(session, 1)
        for words in ("米袋太薄", "太甜"):
            service.file(session, li, words, [{"media_id": "m1"}], FeedbackRules(), clock.now())
        session.commit()
    return li


def test_read_adopted_taken_back_and_answered(office: Office, author: int) -> None:
    assert [one["words"] for one in office.get("operator", "/feedback?state=new")["feedback"]] == ["太甜", "米袋太薄"]
    assert office.get("operator", "/feedback?person=99")["feedback"] == []
    assert office.post("operator", "/feedback/1/read")["state"] == "read"
    done = office.post("operator", "/feedback/1/adopt", {"outcome": "换厚的"})
    assert (done["state"], done["adopted_by"], done["outcome"]) == ("adopted", "wu", "换厚的")
    assert office.post("operator", "/feedback/1/adopt", {}, expect=409)["error"]["code"] == "feedback_adopted"
    assert office.post("operator", "/feedback/1/withdraw", {"reason": "点错了"})["state"] == "read"
    office.post("operator", "/feedback/1/withdraw", {"reason": ""}, expect=422)
    told = office.post("finance", "/feedback/2/answer", {"words": "已经少放糖"})
    assert (told["state"], told["answered_by"], told["answer"]) == ("read", "zhou", "已经少放糖")
    office.post("operator", "/feedback/99/answer", {"words": "x"}, expect=404)
    office.get("operator", f"/feedback/{10**25}", expect=404)
    log = office.rows("select act, operator, detail::text as detail from audit_event where act like 'feedback%'")
    assert [(row.act, row.operator) for row in log] == [
        ("feedback.read", "wu"), ("feedback.adopt", "wu"), ("feedback.withdraw", "wu"), ("feedback.answer", "zhou")]
    assert not any("米袋" in row.detail or "糖" in row.detail for row in log), "the log is never erased"


def test_the_database_thanks_once(engine: Engine, author: int, office: Office) -> None:
    office.post("owner", "/feedback/1/adopt", {})
    with engine.begin() as db:
        db.execute(text("update feedback set thanked_at = now() where id = 1"))
    with pytest.raises(DBAPIError, match="was thanked"), engine.begin() as db:
        db.execute(text("update feedback set thanked_at = null where id = 1"))


def test_at_the_terminal(office: Office, author: int, database_url: str, valkey_url: str, tmp_path: Path) -> None:
    env = {"HUITOU_HOME": str(tmp_path), "DATABASE_URL": database_url, "REDIS_URL": valkey_url}

    def run(line: str, expect: int = 0) -> str:
        result = CliRunner().invoke(main, line.split(), env=env, catch_exceptions=False)
        assert result.exit_code == expect, result.output
        return result.output

    assert "米袋太薄" in run("feedback list --state new") and "m1" in run("feedback show 1")
    assert json.loads(run("feedback read 1 --as wu --json"))["state"] == "read"
    assert json.loads(run("feedback adopt 1 --outcome 换厚的 --as wu --json"))["outcome"] == "换厚的"
    assert "adopted" in run("feedback list --state adopted")
    assert "已经采纳过" in run("feedback adopt 1 --as wu", expect=1)
    run("feedback withdraw 1 --why 点错了 --as wu")
    assert "answered by wu" in run("feedback answer 1 --say 收到 --as wu")
    assert json.loads(run("feedback list --person 99 --json")) == []


@pytest.mark.parametrize("toml", ["per_day = 0", "longest = 9999", "wrong = 1", "per_day = "])
def test_a_wrong_file_is_refused(toml: str) -> None:
    with pytest.raises(DomainError):
        load(toml)
