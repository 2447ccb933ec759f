"""Customers' pictures through the operator API and at the terminal: seen, shown around or not, in the log by name."""

import io
import json
from datetime import datetime
from pathlib import Path

import pytest
from click.testing import CliRunner
from PIL import Image
from sqlalchemy import Engine
from sqlalchemy.orm import Session

from bot.pictures import incoming
from bot.runtime.cli import main
from domain.catalog.models import Product
from domain.shared.clock import FixedClock
from domain.shared.errors import DomainError
from domain.shots import service
from domain.shots.rules import ShotRules, load
from tests.fakes.album import photo
from tests.integration.people.crowd import crowd
from tests.integration.platform.test_rewards_cli import quiet
from tests.web.operators import PREFIX, Office

__all__ = ["quiet"]

WORDING = "可以吗？1. 可以，写上「来自@【您的昵称】」"


def sent(session: Session, person_id: int, colour: str, words: str, now: datetime) -> int:
    """A picture that its author allows to be shown by name."""
    rules = ShotRules()
    number = service.begin(session, person_id, "demo", "m1", rules, now).number
    service.about(session, [number], person_id, "RICE-5KG")
    service.say(session, [number], person_id, words, rules)
    service.allow(session, [number], person_id, "named", WORDING, now)
    taken = incoming.taken(photo(colour))
    assert service.keep(session, number, taken.jpeg, (taken.width, taken.height), colour.encode().ljust(32), now)
    return number


@pytest.fixture
def office(engine: Engine, clock: FixedClock) -> Office:
    return Office(engine, clock)


@pytest.fixture
def author(engine: Engine, clock: FixedClock) -> int:
    with Session(engine) as session:
        (li,) = crowd(session, 1)
        session.add(Product(sku="RICE-5KG", no=1, title="五常有机大米 5kg", category="fmcg", price_fen=6_800,
                            image_url="", told_by="test", told_at=clock.now()))
        session.flush()
        for colour, words in (("#8a5a2b", "真香"), ("#2040a0", "全国第一"), ("#20a040", "糯")):
            sent(session, li, colour, words, clock.now())
        session.commit()
    return li


def test_looked_at_shown_declined_and_stopped(office: Office, author: int) -> None:
    waiting = office.get("operator", "/shots")["shots"]
    assert [(one["id"], one["words"], one["consent"]) for one in waiting] == [
        (3, "糯", "named"), (2, "全国第一", "named"), (1, "真香", "named")]
    assert office.get("operator", f"/shots?state=all&person={author}")["shots"] == waiting
    assert office.get("operator", "/shots?state=approved")["shots"] == []
    story = office.get("operator", "/shots/1")
    assert [(word["word"], word["wording"]) for word in story["consents"]] == [("named", WORDING)]
    answer = office.client.get(f"{PREFIX}/shots/1/picture", headers=office.bearer("operator"))
    assert (answer.status_code, answer.content_type) == (200, "image/jpeg")
    assert Image.open(io.BytesIO(answer.data)).size == (900, 1_200)
    done = office.post("operator", "/shots/1/approve", {})
    assert (done["state"], done["reviewed_by"], done["title"]) == ("approved", "wu", "五常有机大米 5kg")
    assert office.post("operator", "/shots/1/approve", {}, expect=409)["error"]["code"] == "shot_reviewed"
    assert "全国第一" in office.post("operator", "/shots/2/approve", {}, expect=409)["error"]["message"]
    assert office.post("operator", "/shots/2/approve", {"with_words": False})["words"] == ""
    unknown = office.post("operator", "/shots/3/approve", {"sku": "NOPE"}, expect=404)
    assert unknown["error"]["code"] == "product_unknown"
    office.post("operator", "/shots/3/decline", {"reason": "because"}, expect=422)
    assert office.post("operator", "/shots/3/decline", {"reason": "other"}, expect=409)["error"]["code"] == (
        "words_missing")
    gone = office.post("owner", "/shots/3/decline", {"reason": "unclear"})
    assert (gone["state"], gone["why"], gone["has_picture"]) == ("declined", "unclear", False)
    office.get("operator", "/shots/3/picture", expect=404)
    office.post("operator", "/shots/2/retire", {"reason": ""}, expect=422)
    assert office.post("operator", "/shots/2/retire", {"reason": "旧包装"})["state"] == "retired"
    office.post("operator", "/shots/3/retire", {"reason": "x"}, expect=409)
    office.get("operator", f"/shots/{10**25}", expect=404)
    assert office.client.get(f"{PREFIX}/shots/1/picture").status_code == 401
    log = office.rows("select act, operator, detail::text as detail from audit_event where act like 'shot%'")
    assert [(row.act, row.operator) for row in log] == [
        ("shot.look", "wu"), ("shot.approve", "wu"), ("shot.approve", "wu"), ("shot.decline", "lin"),
        ("shot.retire", "wu")]
    assert not any("真香" in row.detail for row in log), "the log is never erased"


@pytest.mark.parametrize("role", ["finance", "reviewer"])
@pytest.mark.parametrize(("act", "body"), [("approve", {}), ("decline", {"reason": "unclear"}),
                                           ("retire", {"reason": "旧包装"})])
def test_only_owners_and_operators_decide(
    office: Office, author: int, role: str, act: str, body: dict[str, str]
) -> None:
    if act == "retire":
        office.post("owner", "/shots/1/approve", {})
    before = office.get(role, "/shots/1")["shot"]["state"]
    assert office.post(role, f"/shots/1/{act}", body, expect=403)["error"]["code"]
    assert office.get(role, "/shots/1")["shot"]["state"] == before


def test_at_the_terminal(office: Office, author: int, database_url: str, valkey_url: str, tmp_path: Path) -> None:
    env = {"HUITOU_HOME": str(tmp_path), "DATABASE_URL": database_url, "REDIS_URL": valkey_url}

    def run(line: str, expect: int = 0) -> str:
        result = CliRunner().invoke(main, line.split(), env=env, catch_exceptions=False)
        assert result.exit_code == expect, result.output
        return result.output

    assert "真香" in run("shots list") and "【您的昵称】" in run("shots show 1")
    assert [one["word"] for one in json.loads(run("shots show 1 --json"))["consents"]] == ["named"]
    run(f"shots picture 1 --out {tmp_path}/one.jpg", expect=2)
    run(f"shots picture 1 --out {tmp_path}/one.jpg --as chen")
    assert [(row.operator, row.subject) for row in office.rows(
        "select operator, subject from audit_event where act = 'shot.look'")] == [("chen", "shot:1")]
    for name in ("zhou", "chen"):
        assert "你的角色不能做这件事" in run(f"shots approve 1 --as {name}", expect=1)
    assert Image.open(tmp_path / "one.jpg").size == (900, 1_200)
    assert "没有编码为 NOPE 的商品" in run("shots approve 1 --sku NOPE --as wu", expect=1)
    assert json.loads(run("shots approve 1 --as wu --json"))["state"] == "approved"
    assert "不在等待审核" in run("shots approve 1 --as wu", expect=1)
    assert "declined (private)" in run("shots decline 3 --reason private --say 只拍米饭就好 --as wu")
    assert "已经不在了" in run(f"shots picture 3 --out {tmp_path}/three.jpg --as wu", expect=1)
    assert "retired (shop)" in run("shots retire 1 --why 旧包装 --as wu")
    assert json.loads(run("shots list --state all --person 99 --json")) == []


@pytest.mark.parametrize("toml", ["per_day = 0", "longest = 9999", "wrong = 1", "points = "])
def test_a_wrong_file_is_refused(toml: str) -> None:
    with pytest.raises(DomainError):
        load(toml)
