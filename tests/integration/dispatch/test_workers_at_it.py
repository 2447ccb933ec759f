"""Workers in the middle of something for a person keep nobody from being answered; messages of one person wait for
each other all the same."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest
from sqlalchemy import text
from sqlalchemy.orm import Session

from bot.kit.messages import Incoming
from bot.runtime import reception
from domain.points import service as points
from domain.points.rules import Life
from domain.points.service import Earning
from domain.roles import service as roles
from domain.settlements import milestones
from tests.fakes.shop import Person, Shop
from tests.together import until_waiting

Message = Callable[..., Incoming]
Work = Callable[[Shop, Session, int], object]
WORDS = ("佣金", "明细", "为什么", "规则", "团队", "排行", "等级", "进度", "积分", "会员", "优惠券", "订单", "商城",
         "提现", "签到")
"""Who asks, and who is asked back."""


def _points(shop: Shop, session: Session, person: int) -> object:
    now = shop.clock.now()
    points.earn(session, [Earning(person, 9, "order:1", now)], Life(), now)
    points.activate(session, now)
    return points.reverse(session, "order:1", 9, "refund:1", now)


def _promoter(shop: Shop, session: Session, person: int) -> object:
    session.execute(text("update role_grant set revoked_at = granted_at, revoke_reason = 'test'"
                         " where person_id = :person and revoked_at is null"), {"person": person})
    return roles.grant(session, person, "promoter", roles.Cause("operator", "test"), shop.clock.now(), shop.clock.now())


def _milestones(shop: Shop, session: Session, person: int) -> object:
    session.execute(text("insert into milestone_due (person_id) values (:person)"), {"person": person})
    return milestones.tend(session, shop.clock.now(), 100)


@pytest.fixture
def seller(shop: Shop) -> Person:
    """Has bought, sold and earned, and wrote before."""
    seller = shop.person("seller", shop.person("top").name)
    shop.paid("A1", seller, 9_900)
    shop.received("A1")
    shop.paid("A2", shop.person("buyer", "seller"), 29_900)
    return seller.says("你好")


def number(shop: Shop, person: Person) -> int:
    found = text("select person_id from identity where value = :value")
    with shop.runtime.engine.connect() as db:
        return int(db.execute(found, {"value": person.openid}).scalar_one())


@pytest.mark.parametrize("work", [_points, _promoter, _milestones])
def test_a_worker_in_the_middle_of_something_keeps_no_answer_back(
    shop: Shop, message: Message, seller: Person, work: Work
) -> None:
    person, heard = number(shop, seller), list[str]()
    with ThreadPoolExecutor(1) as pool, shop.runtime.sessions() as session:
        assert work(shop, session, person)
        for words in WORDS:
            if (words, work) == ("签到", _points):
                continue  # changes their points as well, and waits
            reply = pool.submit(shop.runtime.dispatcher.handle, message(words, seller.openid, f"{words}:")).result(20)
            assert reply.kind == "text" and reply.text, words
            heard.append(reply.text)
        session.rollback()
    with shop.runtime.engine.connect() as db:
        assert db.execute(text("select count(*) from inbox_message where state <> 'done'")).scalar_one() == 0
    assert len(set(heard)) == len(heard), "each hears of what was asked"


def test_while_a_message_of_theirs_is_handled_all_others_wait(shop: Shop, message: Message, seller: Person) -> None:
    """Whatever is asked is asked after what was said before: nothing is answered ahead of it."""
    words, person, now = ("明细", "积分", "团队"), number(shop, seller), shop.clock.now()
    first, *others = (message(one, seller.openid, f"{one}:") for one in ("签到", *words))
    with ThreadPoolExecutor(len(words)) as pool:
        with shop.runtime.sessions.begin() as session:
            reception.meet(session, first, seller.identity["app_id"], now)
            asked = [pool.submit(shop.runtime.dispatcher.handle, one) for one in others]
            assert until_waiting(shop.runtime.engine, len(asked), lambda: any(one.done() for one in asked))
            points.earn(session, [Earning(person, 7_777, "test", now)], Life(), now)
            points.activate(session, now)
        said = [one.result(20).text for one in asked]
    assert ["7777" in one for one in said] == [False, True, False], said
