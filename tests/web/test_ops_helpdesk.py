"""The helpdesk through the operator API and at the terminal: the same queue, the same acts."""

import json
from pathlib import Path

import pytest
from click.testing import CliRunner
from sqlalchemy import Engine
from sqlalchemy.orm import Session

from bot.runtime.cli import main
from domain.helpdesk import service
from domain.shared.clock import FixedClock
from tests.integration.people.crowd import crowd
from tests.integration.platform.test_rewards_cli import quiet
from tests.web.operators import Office

__all__ = ["quiet"]


@pytest.fixture
def office(engine: Engine, clock: FixedClock) -> Office:
    with Session(engine) as session:
        for one in crowd(session, 3):
            service.ask(session, one, "main", f"问题 {one}", clock.now())
            clock.advance(60)
        session.commit()
    return Office(engine, clock)


def test_the_queue_is_worked_off(office: Office) -> None:
    first, second, third = (one["id"] for one in office.get("operator", "/tickets")["tickets"])
    done = office.post("operator", f"/tickets/{first}/answer", {"words": "在的"})
    assert (done["waits_for"], done["taken_by"], done["answers"]) == ("person", "wu", 1)
    assert [one["id"] for one in office.get("operator", "/tickets")["tickets"]] == [second, third, first]
    assert [one["id"] for one in office.get("finance", "/tickets?which=mine")["tickets"]] == [second, third]
    talk = office.get("operator", f"/tickets/{first}")
    assert [(line["by"], line["words"], line["delivery"]) for line in talk["lines"]] == [("shop", "在的", "waits")]
    assert office.post("finance", f"/tickets/{first}/take")["taken_by"] == "zhou"
    assert office.post("operator", f"/tickets/{first}/close", {"reason": "办好了"})["closed_by"] == "wu"
    refused = office.post("operator", f"/tickets/{first}/answer", {"words": "还有"}, expect=409)
    assert refused["error"]["code"] == "ticket_closed" and "已经结束" in refused["error"]["message"]
    office.post("operator", f"/tickets/{second}/answer", {"words": ""}, expect=422)
    office.post("operator", f"/tickets/{second}/answer", {"words": "字" * 601}, expect=422)
    office.post("operator", f"/tickets/{10**30}/take", expect=404)
    office.get("operator", f"/tickets/{second}?lines=0", expect=422)
    assert len(office.get("operator", "/tickets?which=all")["tickets"]) == 3
    assert len(office.get("operator", f"/tickets?person={talk['ticket']['person_id']}")["tickets"]) == 1


def test_at_the_terminal(office: Office, database_url: str, valkey_url: str, tmp_path: Path) -> None:
    env = {"HUITOU_HOME": str(tmp_path), "DATABASE_URL": database_url, "REDIS_URL": valkey_url}

    def run(line: str, expect: int = 0) -> str:
        result = CliRunner().invoke(main, line.split(), env=env, catch_exceptions=False)
        assert result.exit_code == expect, result.output
        return result.output

    first = json.loads(run("helpdesk list --json"))[0]["id"]
    assert "waits for shop" in run("helpdesk list --mine wu")
    assert run(f"helpdesk take {first} --as wu").strip().endswith("wu")
    assert json.loads(run(f"helpdesk answer {first} --say 在的 --as wu --json"))["answers"] == 1
    assert "wu       在的  (waits)" in run(f"helpdesk show {first}")
    assert json.loads(run(f"helpdesk show {first} --json"))["lines"][0]["words"] == "在的"
    assert "closed (shop wu)" in run(f"helpdesk close {first} --why done --as wu")
    assert "已经结束" in run(f"helpdesk close {first} --why done --as wu", expect=1)
    assert "closed" in run("helpdesk list --all")
    assert "没有编号" in run("helpdesk show 999", expect=1)
