"""Everybody of a varied population hears from a crossing, to the byte, what they hear alone under their lock."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from datetime import timedelta

import pytest
from sqlalchemy import text
from sqlalchemy.orm import Session

from bot.kit.messages import Incoming, Reply
from domain.points import service as points
from domain.points.rules import Life
from domain.points.service import Earning
from domain.risk import service as risk
from domain.shared.late import Transactions
from tests.fakes.shop import Person, Shop
from tests.integration.dispatch.test_reading import replies_at_once

Message = Callable[..., Incoming]
WORDS = ("佣金", "积分", "帮助", "你好", "在吗", "谢谢", "再见")


def number(shop: Shop, person: Person) -> int:
    with shop.runtime.engine.connect() as db:
        return int(db.execute(text("select person_id from identity where value = :v"),
                              {"v": person.openid}).scalar_one())


@pytest.fixture
def people(shop: Shop) -> dict[str, Person]:
    """One in each situation that an answer may depend on."""
    top = shop.person("top")
    made = {"top": top, "seller": shop.person("seller", "top"), "buyer": shop.person("buyer", "seller")}
    made |= {name: shop.person(name, "top") for name in (
        "frozen", "ticket", "dialogue", "unsure", "left", "merged", "poor", "again", "plain")}
    for n, (name, fen) in enumerate({"seller": 90_000, "buyer": 12_345, "frozen": 70_000, "merged": 500_000}.items()):
        shop.paid(f"A{n}", shop.person(f"of {name}", name), fen)
        shop.received(f"A{n}")
    shop.paid("A9", made["poor"], 50_000)
    shop.refunded("A9", 50_000)
    shop.wait(days=9)
    shop.paid("B1", made["buyer"], 33_300)
    for person in made.values():
        person.says("帮助")
    for name in ("seller", "frozen", "merged", "again", "left", "dialogue"):
        made[name].says("签到")
    shop.wait(days=1)
    for name in ("seller", "again"):
        made[name].says("签到")
    _points(shop, made)
    made["ticket"].says("人工 发错货了").says("在吗")
    made["dialogue"].says("提现")
    made["unsure"].says("明细")
    made["left"].happens("unsubscribe")
    shop.event("customer.upserted", {"identities": made["merged"].identity | {"unionid": "u-1"}})
    shop.event("customer.upserted", {"identities": made["again"].identity | {"unionid": "u-1"}})
    with shop.runtime.sessions.begin() as session:
        risk.freeze(session, number(shop, made["frozen"]), "zhou", "looks odd", shop.clock.now())
    return made


def _points(shop: Shop, made: dict[str, Person]) -> None:
    """Some wait, some expire sooner than others, some were spent and then asked back."""
    now, life = shop.clock.now(), Life()
    who = {name: number(shop, made[name]) for name in ("top", "buyer", "poor", "seller")}
    with shop.runtime.sessions.begin() as session:
        points.earn(session, [Earning(who["buyer"], 30, "order:1", now + timedelta(days=3)),
                              Earning(who["top"], 40, "order:2", now), Earning(who["poor"], 9, "order:3", now),
                              Earning(who["seller"], 70, "order:4", now)], life, now)
        points.activate(session, now)
        points.spend(session, who["top"], 25, "goods", "bought:1", now)
        points.spend(session, who["poor"], 9, "goods", "bought:2", now)
        points.reverse(session, "order:3", 9, "refund:1", now)
        points.reverse(session, "order:2", 5, "refund:2", now)


@dataclass
class Counted:
    """Transactions of those who are met under their lock."""

    real: Transactions
    begun: int = 0

    def begin(self) -> AbstractContextManager[Session]:
        self.begun += 1
        return self.real.begin()


def test_who_travels_together_hears_what_they_hear_alone(
    shop: Shop, message: Message, people: dict[str, Person]
) -> None:
    """What they said before is forgotten between the two, so that both meet the same world."""
    locks = Counted(shop.runtime.dispatcher.sessions)
    together, alone = replace(shop.runtime.dispatcher, sessions=locks), replace(shop.runtime.dispatcher, reading=None)
    places = "select person_id, state, memory::text from conversation order by 1"
    heard: dict[str, dict[str, tuple[Reply, Reply]]] = {}
    for words in WORDS:
        with shop.runtime.engine.begin() as db:
            db.execute(text("create table place_before as select * from conversation"))
        crossed = replies_at_once(together, [
            message(words, one.openid, f"{words}:{name}:together") for name, one in people.items()])
        with shop.runtime.engine.begin() as db:
            after = db.execute(text(places)).all()
            db.execute(text("delete from conversation"))
            db.execute(text("insert into conversation select * from place_before"))
            db.execute(text("drop table place_before"))
        locked = [alone.handle(message(words, one.openid, f"{words}:{name}:alone")) for name, one in people.items()]
        with shop.runtime.engine.connect() as db:
            assert db.execute(text(places)).all() == after, words
        heard[words] = dict(zip(people, zip(crossed, locked, strict=True), strict=True))
    assert {(words, name): pair for words, those in heard.items() for name, pair in those.items()
            if pair[0] != pair[1]} == {}
    assert 0 < locks.begun < len(WORDS) * len(people) / 2, "most travel, some cannot"
    assert len({pair[0].text for pair in heard["佣金"].values()}) > 5, "the population is varied"
    assert len({pair[0].text for pair in heard["积分"].values()}) > 5, "here as well"
