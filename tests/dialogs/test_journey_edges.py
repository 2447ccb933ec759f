"""Journeys at their edges: wishes said in mid-run, the other branch, two people who are one, the frozen star."""

import shutil
from pathlib import Path

import pytest
from click.testing import CliRunner
from sqlalchemy import text

from bot.runtime import bootstrap
from bot.runtime.cli import main
from domain.risk import service as risk
from tests.dialogs.test_journeys import count
from tests.dialogs.test_shipped_journeys import awake, ends, shipped
from tests.fakes.shop import Person, Shop


def id_of(shop: Shop, person: Person) -> int:
    return int(shop.get(f"/people?openid={person.openid}&app_id={person.identity['app_id']}")["id"])


def test_two_parcels_of_one_product_bring_one_set_of_advice(shop: Shop) -> None:
    shop.journeys("care")
    li = shop.person("李姐")
    for order in ("A1", "A2"):
        shop.paid(order, by=li, fen=5_980)
        shipped(shop, order)
    for order in ("A1", "A2"):
        shop.received(order)
    li.says("帮助")
    awake(shop, li, days=1)
    assert count(li, "到家了吧") == 1
    with shop.runtime.sessions() as session:
        told = session.execute(text("select state, reason from outbox where payload ->> 'key' = 'journey.care.tutorial'"
                                    " order by id")).all()
    assert [tuple(one) for one in told] == [("done", ""), ("refused", "said_before")]


def test_a_frozen_seller_is_not_praised_in_public(shop: Shop) -> None:
    """The one who sold most is looked into; the star of the month is the next."""
    shop.journeys("star")
    li, wang = shop.person("李姐"), shop.person("小王")
    for number, (sharer, fen) in enumerate(((li, 40_000), (wang, 30_000))):
        shop.paid(f"S{number}", by=sharer, fen=5_980)
        shop.received(f"S{number}")
        shop.paid(f"F{number}", by=shop.person(f"友{number}", invited_by=sharer.name), fen=fen)
    with shop.runtime.sessions.begin() as session:
        risk.freeze(session, id_of(shop, li), "lin", "looks odd", shop.clock.now())
    shop.wait(days=13)
    for person in (li, wang):
        person.says("帮助")
    awake(shop, li, wang, days=2)
    assert (count(li, "推荐之星"), count(wang, "推荐之星")) == (0, 1)


def test_wishes_said_in_mid_run_end_every_journey_of_that_purpose(shop: Shop) -> None:
    """少发点 twice ends what sells and leaves the care of an order; 退订 ends that too; 恢复 revives none of them."""
    shop.journeys("restock", "care")
    li, wang = shop.person("李姐"), shop.person("小王")
    for person in (li, wang):
        shop.paid(f"A{person.name}", by=person, fen=5_980, sku="MILK-12")
        shipped(shop, f"A{person.name}")
        shop.received(f"A{person.name}")
    li.says("少发点").says("少发点")
    wang.says("退订")
    awake(shop, li, wang, days=11)
    assert (count(li, "到家了吧"), count(wang, "到家了吧")) == (1, 0)
    assert count(li, "用完") + count(wang, "用完") == 0
    assert ends(shop) == ["finished", "opted_out", "opted_out", "opted_out"]
    wang.says("恢复")
    awake(shop, li, wang, days=4)
    assert count(wang, "用完") == 0, "what ended stays ended; the next purchase begins anew"


def test_who_earns_a_third_less_hears_of_that_and_not_of_silence(shop: Shop) -> None:
    shop.journeys("at_risk")
    li = shop.person("李姐")
    shop.paid("S0", by=li, fen=5_980)
    shop.received("S0")
    friend = shop.person("友", invited_by="李姐")
    shop.paid("F1", by=friend, fen=59_800, sku="MILK-12")
    for bought, fen in (("F2", 59_800), ("F3", 29_800)):
        for _ in range(3):
            shop.wait(days=5)
            li.says("帮助")
        shop.paid(bought, by=friend, fen=fen)
    for _ in range(3):
        shop.wait(days=5)
        li.says("帮助")
    awake(shop, li, days=4)
    li.saw("最近一个月的推荐比之前少了些", "这款最近挺受欢迎")
    assert count(li, "有几天没见您啦") == 0
    with shop.runtime.sessions() as session:
        seen = session.execute(text("select data ->> 'why' as why, (data ->> 'earned_fen')::int as earned,"
                                    " (data ->> 'before_fen')::int as before from journey_event"
                                    " where kind = 'promoter.at_risk'")).one()
    assert seen.why == "earnings" and seen.earned * 10 <= seen.before * 7


def test_two_people_who_are_one_walk_once(shop: Shop) -> None:
    """Both are in the same journey when it turns out that they are one: one run goes on, and speaks once."""
    shop.journeys("restock")
    li = shop.person("李姐")
    mall = {"mall_user_id": "m-1"}
    now = shop.clock.now().isoformat()
    shop.event("order.paid", {
        "order_id": "M1", "channel": "mall", "currency": "CNY", "paid_at": now, "buyer": mall, "paid_fen": 5_980,
        "shipping_fen": 0, "lines": [{"line_id": "1", "sku": "MILK-12", "title": "牛奶", "category": "fmcg",
                                      "quantity": 1, "paid_fen": 5_980}]})
    shop.wait(days=1)
    shop.paid("A1", by=li, fen=5_980, sku="MILK-12")
    with shop.runtime.sessions() as session:
        assert session.execute(text("select count(*) from enrolment where state = 'open'")).scalar() == 2
    shop.event("customer.upserted", {"identities": li.identity | mall})
    with shop.runtime.sessions() as session:
        runs = session.execute(text("select person_id, state, end_reason, run_no from enrolment order by state")).all()
    assert [(run.state, run.end_reason) for run in runs] == [("ended", "merged"), ("open", "")]
    assert {run.person_id for run in runs} == {id_of(shop, li)} and len({run.run_no for run in runs}) == 2
    for _ in range(14):
        awake(shop, li, days=1)
    assert (count(li, "快用完了"), count(li, "可能已经用完")) == (1, 1)


def test_bad_occasions_are_refused_at_the_start_in_the_shops_language(
        tmp_path: Path, database_url: str, valkey_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever turned the numbers reads every fault at once, and nothing starts."""
    assets = tmp_path / "assets"
    assets.mkdir()
    for one in bootstrap.ASSETS.iterdir():
        (assets / one.name).symlink_to(one)
    (assets / "occasions.toml").unlink()
    shutil.copy(bootstrap.ASSETS / "occasions.toml", assets / "occasions.toml")
    with (assets / "occasions.toml").open("a") as file:
        file.write("\n[birthdays]\nrest_days = 0\n")
    monkeypatch.setattr(bootstrap, "ASSETS", assets)
    env = {"HUITOU_HOME": str(tmp_path), "DATABASE_URL": database_url, "REDIS_URL": valkey_url, "HUITOU_DEMO": "1"}
    refused = CliRunner().invoke(main, ["journey", "list"], env=env)
    assert refused.exit_code == 2, refused.output
    assert "日历提醒规则有错" in refused.output and "unknown table birthdays" in refused.output


def test_who_is_erased_walks_no_further_and_stops_nobody_else(shop: Shop) -> None:
    shop.journeys("welcome")
    xia = shop.person("夏侯独一")
    one = id_of(shop, xia)
    xia.says("注销").says("确认注销").sees("已登记注销")
    shop.wait(days=1, hours=2)
    assert ends(shop) == ["erased"]
    li = shop.person("李姐").says("帮助")
    shop.wait(days=1, minutes=1)
    li.saw("小指南")
    xia.says("帮助")
    shop.paid("A1", by=xia, fen=9_900)
    li.says("帮助")
    shop.paid("A2", by=li, fen=9_900)
    shop.wait(hours=1)
    assert (id_of(shop, xia), ends(shop).count("erased")) == (one, 1), "known again, and what is over stays over"


def test_a_run_that_was_emptied_before_it_ended_does_not_block_the_journey(shop: Shop) -> None:
    shop.journeys("welcome")
    xia, li = shop.person("夏侯独一"), shop.person("李姐").says("帮助")
    with shop.runtime.sessions.begin() as session:
        session.execute(text("update enrolment set ctx = '{}' where person_id = :id"), {"id": id_of(shop, xia)})
    shop.wait(days=1, minutes=1)
    li.saw("小指南")
