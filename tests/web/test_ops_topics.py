"""Topics through the operator API and at the terminal: the same acts, under a name, in the log."""

import json
from pathlib import Path

import pytest
from click.testing import CliRunner
from sqlalchemy import Engine
from sqlalchemy.orm import Session

from bot.runtime.cli import main
from domain.shared.clock import FixedClock
from domain.topics import service
from domain.topics.rules import TopicRules
from tests.integration.people.crowd import crowd
from tests.integration.platform.test_rewards_cli import quiet
from tests.web.operators import Office

__all__ = ["quiet"]


@pytest.fixture
def office(engine: Engine, clock: FixedClock) -> Office:
    return Office(engine, clock)


def said(office: Office, *lines: str) -> None:
    """What somebody each says to topic 1."""
    with Session(office.engine) as session:
        for person, words in zip(crowd(session, len(lines)), lines, strict=True):
            service.say(session, 1, person, words, TopicRules(), office.clock.now())
        session.commit()


def test_opened_announced_judged_and_closed(office: Office) -> None:
    topic = office.post("operator", "/topics", {"title": "早餐吃什么", "days": 7})
    assert (topic["id"], topic["points"], topic["opened_by"], topic["people"]) == (1, 10, "wu", 0)
    assert office.post("operator", "/topics", {"title": "再来"}, expect=409)["error"]["code"] == "topic_open"
    office.post("operator", "/topics", {"title": "x"}, expect=422)
    office.post("operator", "/topics", {"title": "好题", "points": 501}, expect=422)
    office.post("finance", "/topics", {"title": "好题"}, expect=403)
    said(office, "小米粥", "包治百病的粥", "油条")
    assert office.get("reviewer", "/topics/1")["waiting"] == 3
    words = {one["words"]: one["id"] for one in office.get("operator", "/topics/1/words?state=new")["words"]}
    done = office.post("operator", f"/topic-words/{words['小米粥']}/pick")
    assert (done["state"], done["points"], done["judged_by"]) == ("picked", 10, "wu")
    again = office.post("operator", f"/topic-words/{words['小米粥']}/pick", expect=409)
    assert again["error"]["code"] == "topic_word_picked"
    refused = office.post("operator", f"/topic-words/{words['包治百病的粥']}/pick", expect=409)
    assert "包治" in refused["error"]["message"]
    office.post("operator", f"/topic-words/{words['包治百病的粥']}/pass")
    office.post("operator", f"/topic-words/{words['包治百病的粥']}/pass", expect=409)
    office.post("finance", f"/topic-words/{words['油条']}/pick", expect=403)
    assert [one["words"] for one in office.get("operator", "/topics/1/words?state=picked")["words"]] == ["小米粥"]
    office.get("operator", "/topics/1/words?state=wrong", expect=422)
    assert office.post("operator", "/topics/1/announce", {})["broadcast"] == 1
    office.post("operator", "/topics/1/announce", {"segment": "nobody"}, expect=422)
    assert office.post("operator", "/topics/1/close")["closed_by"] == "wu"
    office.post("operator", "/topics/1/close", expect=409)
    office.post("operator", "/topics/1/announce", {}, expect=409)
    for path in ("/topics/9/close", f"/topics/{10**25}/close", "/topic-words/9/pick", "/topic-words/9/pass"):
        office.post("operator", path, expect=404)
    office.get("operator", "/topics/9/words", expect=404)
    assert [one["picked"] for one in office.get("operator", "/topics")["topics"]] == [1]
    log = office.rows("select act, detail::text as detail from audit_event where act like 'topic%' order by id")
    assert [row.act for row in log] == ["topic.open", "topic.picked", "topic.passed", "topic.close"]
    assert not any("小米" in row.detail for row in log), "the log is never erased"


def test_at_the_terminal(office: Office, database_url: str, valkey_url: str, tmp_path: Path) -> None:
    env = {"HUITOU_HOME": str(tmp_path), "DATABASE_URL": database_url, "REDIS_URL": valkey_url}

    def run(line: str, expect: int = 0) -> str:
        result = CliRunner().invoke(main, line.split(), env=env, catch_exceptions=False)
        assert result.exit_code == expect, result.output
        return result.output

    assert "none" in run("topic list")
    assert json.loads(run("topic open 早餐吃什么 --intro 说说看 --days 3 --as wu --json"))["points"] == 10
    assert "已经有一个话题开着" in run("topic open 再来一个 --as wu", expect=1)
    said(office, "小米粥", "油条")
    assert "2 people, 0 picked, 2 wait" in run("topic list")
    assert "小米粥" in run("topic words 1 --state new")
    assert "thanked, 10 points" in run("topic pick 1 --as wu")
    assert "已经是精选" in run("topic pick 1 --as wu", expect=1)
    assert json.loads(run("topic pass 2 --as wu --json"))["state"] == "passed"
    assert "there is no segment" in run("topic announce 1 --segment nobody --as wu", expect=1)
    assert "broadcast 1 begins" in run("topic announce 1 --as wu")
    assert "closed" in run("topic close 1 --as wu")
    assert "没有编号为 9 的话题" in run("topic words 9", expect=1)
