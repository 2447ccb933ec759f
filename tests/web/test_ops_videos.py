"""Videos of share kits through the operator API and at the terminal."""

import json
from pathlib import Path

import pytest
from click.testing import CliRunner
from sqlalchemy import Engine, text
from sqlalchemy.exc import DBAPIError

from bot.runtime.cli import main
from domain.shared.clock import FixedClock
from tests.integration.platform.test_rewards_cli import quiet
from tests.web.operators import Office

__all__ = ["quiet"]

FILM = "https://mall.example/films/1"


@pytest.fixture
def office(engine: Engine, clock: FixedClock) -> Office:
    office = Office(engine, clock)
    with engine.begin() as db:
        db.execute(text("insert into product (no, sku, title, category, price_fen, told_at, told_by)"
                        " values (1, 'TEA', '茶', 'fmcg', 100, now(), 'mall')"))
    return office


def test_given_replaced_and_taken_away(office: Office) -> None:
    assert office.post("operator", "/videos", {"url": FILM})["sku"] == ""
    office.post("operator", "/videos", {"url": FILM, "sku": "TEA"})
    assert office.post("owner", "/videos", {"url": FILM + "2", "sku": "TEA"})["set_by"] == "lin"
    assert [(one["sku"], one["url"]) for one in office.get("finance", "/videos")["videos"]] == [
        ("", FILM), ("TEA", FILM + "2")]
    assert [one["sku"] for one in office.post("operator", "/videos/remove", {"sku": "TEA"})["videos"]] == [""]
    office.post("operator", "/videos/remove", {"sku": "TEA"}, expect=404)
    office.post("operator", "/videos", {"url": FILM, "sku": "NONE"}, expect=404)
    office.post("finance", "/videos", {"url": FILM}, expect=403)
    wrong = office.post("operator", "/videos", {"url": "http://mall.example/1"}, expect=409)
    assert "https" in json.dumps(wrong, ensure_ascii=False)
    office.post("operator", "/videos", {"url": "https://x.example/" + "x" * 500}, expect=422)
    log = office.rows("select act, subject, operator from audit_event where act like 'video%' order by id")
    assert [tuple(row) for row in log] == [
        ("video.set", "video:", "wu"), ("video.set", "video:TEA", "wu"), ("video.set", "video:TEA", "lin"),
        ("video.remove", "video:TEA", "wu")]


def test_the_database_takes_no_other_address(office: Office) -> None:
    with pytest.raises(DBAPIError, match="ck_share_video_url"), office.engine.begin() as db:
        db.execute(text("insert into share_video (sku, url, set_at, set_by) values ('', 'javascript:x', now(), 'x')"))


def test_at_the_terminal(office: Office, database_url: str, valkey_url: str, tmp_path: Path) -> None:
    env = {"HUITOU_HOME": str(tmp_path), "DATABASE_URL": database_url, "REDIS_URL": valkey_url}

    def run(line: str, expect: int = 0) -> str:
        result = CliRunner().invoke(main, line.split(), env=env, catch_exceptions=False)
        assert result.exit_code == expect, result.output
        return result.output

    assert "none" in run("video list")
    run(f"video set {FILM} --as wu")
    run(f"video set {FILM} --sku TEA --as wu")
    assert "这个网址用不了" in run("video set ftp://x --as wu", expect=1)
    assert "没有编码为 NONE 的商品" in run(f"video set {FILM} --sku NONE --as wu", expect=1)
    assert [one["sku"] for one in json.loads(run("video list --json"))] == ["", "TEA"]
    run("video remove --sku TEA --as wu")
    assert "(the shop)" in run("video list") and "TEA" not in run("video list")
    assert "没有设置过视频" in run("video remove --sku TEA --as wu", expect=1)
