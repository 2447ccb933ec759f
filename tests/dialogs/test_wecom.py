"""L3: a customer adds an employee. They are welcomed at once, tagged in WeCom itself, and nurtured; whatever is told
twice, late or in the wrong order ends the same."""

import time
from datetime import UTC, datetime

from bot.kit.gateway import Outcome, SendResult
from bot.runtime.courier import Courier
from domain.people import leaving
from domain.workflows.forgetting import Leaver, forget
from tests.fakes.corp import Corp, external
from tests.fakes.wechat_api import EMPTY, Code, Raw, Reset

WELCOME, MARK, GET = ("externalcontact/" + name for name in ("send_welcome_msg", "mark_tag", "get"))


def coupons(corp: Corp) -> int:
    """Newcomers' coupons that were ever given and not taken back."""
    return corp.rows("select count(*) from coupon where kind = 'newcomer' and state <> 'revoked'")[0][0]


def inside(corp: Corp) -> list[str]:
    """The journeys that customers are in."""
    return [row[0] for row in corp.rows("select j.key from enrolment e join journey j on j.id = e.journey_id"
                                        " where e.state <> 'ended' order by 1")]


def states(corp: Corp, kind: str) -> list[tuple[str, str]]:
    return corp.rows(f"select state, reason from outbox where kind = '{kind}' order by id")


def test_the_story(corp: Corp) -> None:
    li = corp.shop.person("李姐")
    corp.shop.journeys("nurture", "welcome")
    corp.adds("小新", corp.way(sharer="李姐", sku="RICE-5KG"))
    welcome, = corp.welcome("小新")
    assert "来自@李姐的推荐" in welcome
    assert "新人礼包" in welcome
    assert corp.tags("小新") == {"李姐推荐", "兴趣-日用食品"}
    assert corp.contact("小新").welcome == "sent"
    new = corp.person("小新")
    assert (new["nickname"], new["referrer_id"]) == ("小新", corp.of(li)["id"])
    li.says("团队").sees("1 位客户", "小*")
    assert (inside(corp), coupons(corp)) == (["nurture"], 2)
    # What they buy is 李姐's, and the goal of the journey.
    corp.shop.wait(minutes=1)
    corp.shop.event("order.paid", {
        "order_id": "W1", "channel": "mall", "currency": "CNY", "paid_at": corp.shop.clock.now().isoformat(),
        "buyer": {"external_userid": external("小新")}, "paid_fen": 10_000, "shipping_fen": 0, "lines": [
            {"line_id": "1", "sku": "LAMP", "title": "台灯", "category": "digital", "quantity": 1,
             "paid_fen": 10_000}]})
    li.says("佣金").sees("待结算 ¥")
    assert inside(corp) == []
    corp.shop.received("W1")
    assert corp.tags("小新") >= {"李姐推荐", "兴趣-日用食品", "兴趣-数码家电"}


def test_told_twice_late_and_in_one_second(corp: Corp) -> None:
    corp.shop.person("李姐")
    state = corp.way(sharer="李姐")
    # Two customers of one second, and each event told three times.
    events = [corp.adds(name, state, work=False) for name in ("甲", "乙")]
    for event in events * 2:
        corp.tells(event, work=False)
    corp.shop.work()
    assert [len(corp.welcome(name)) for name in ("甲", "乙")] == [1, 1]
    assert corp.api.count(WELCOME) == 2
    # Added again, without having parted: nobody is welcomed as a newcomer twice.
    corp.second += 60
    corp.adds("甲", state, code=False)
    assert (corp.contact("甲").stint, coupons(corp), corp.api.count(WELCOME)) == (1, 3, 2)
    # The end is told before the beginning: they have parted.
    corp.second += 60
    corp.leaves("丙")
    corp.second -= 30
    corp.adds("丙", state)
    assert (corp.contact("丙").ended_by, corp.welcome("丙"), corp.contact("丙").stint) == ("customer", [], 1)
    assert corp.person("丙")["referrer_id"] == corp.of(corp.shop.people["李姐"])["id"]
    assert corp.rows("select count(*) from identity where kind = 'external_userid' and followed_at is not null"
                     " and unfollowed_at is null") == [(2,)]


def test_parting_and_coming_back(corp: Corp) -> None:
    corp.shop.person("李姐")
    corp.shop.journeys("nurture")
    corp.adds("小新", corp.way(sharer="李姐"))
    corp.adds("小新", userid="seller02", code=False)
    corp.second += 10
    corp.leaves("小新", by="staff", Source="DELETE_BY_TRANSFER")
    assert (corp.contact("小新").ended_by, inside(corp)) == ("transfer", ["nurture"])
    corp.leaves("小新", userid="seller02")
    assert inside(corp) == []
    gone = corp.rows("select unfollowed_at is not null from identity where kind = 'external_userid' and scope <> ''")
    assert gone == [(True,)]
    corp.second += 10
    corp.adds("小新")
    one = corp.contact("小新")
    assert (one.stint, one.arrival["kind"], one.ended_at, coupons(corp)) == (2, "known", None, 2)
    corp.tells(corp.event("edit_external_contact", "老客"))
    corp.tells(corp.event("transfer_fail", "老客", FailReason="customer_refused"))
    assert (corp.contact("老客").arrival, corp.contact("老客").transfer_fault) == (
        {"kind": "noticed"}, "customer_refused")
    corp.adds("老客", corp.way(sharer="李姐"))  # told after an edit that came later
    assert "来自@李姐的推荐" in corp.welcome("老客")[0]
    assert (corp.api.count(WELCOME), corp.contact("老客").stint) == (3, 1)


def test_a_date_that_never_comes_keeps_nobody(corp: Corp) -> None:
    today = corp.second
    corp.second = 4_102_444_799  # the last second of 2099
    corp.adds("甲")
    corp.second = max(today, int(time.time())) + 1
    corp.leaves("甲")
    assert corp.contact("甲").ended_at is not None


def test_half_a_friend_is_welcomed_at_once_and_tagged_when_whole(corp: Corp) -> None:
    corp.shop.person("李姐")
    state = corp.way(sharer="李姐")
    corp.adds("小新", state, half=True)
    assert (len(corp.welcome("小新")), corp.tags("小新"), corp.api.count(MARK)) == (1, set(), 0)
    corp.second += 5
    corp.adds("小新", state, code=False)
    assert (len(corp.welcome("小新")), corp.tags("小新"), coupons(corp)) == (1, {"李姐推荐"}, 2)
    # The half one without a code, the whole one with it.
    corp.adds("小白", state, half=True, code=False)
    corp.second += 5
    corp.adds("小白", state)
    assert "来自@李姐的推荐" in corp.welcome("小白")[0]


def test_a_follower_who_adds_an_employee_is_one_person(corp: Corp) -> None:
    corp.shop.journeys("nurture", "welcome")
    li, wang = corp.shop.person("李姐"), corp.shop.person("王姐")
    corp.shop.event("customer.upserted", {"identities": wang.identity | {"unionid": "oU1"}})
    corp.adds("王", corp.way(sharer="李姐"), unionid="oU1")
    assert corp.person("王")["id"] == corp.of(wang)["id"]
    assert (corp.person("王")["nickname"], coupons(corp), inside(corp)) == ("王姐", 2, ["welcome", "welcome"])
    assert "来自@李姐的推荐" in corp.welcome("王")[0]
    assert "新人礼包" not in corp.welcome("王")[0]
    wang.says("客户归属").sees("李")
    # The other way round: first the employee, then the account.
    corp.adds("新", unionid="oU2")
    new = corp.shop.person("小新", follows=False)
    corp.shop.event("customer.upserted", {"identities": new.identity | {"unionid": "oU2"}})
    new.happens("subscribe").sees("欢迎回来")
    assert (coupons(corp), inside(corp)) == (3, ["nurture", "welcome", "welcome"])
    # What the Official Account itself tells is enough.
    corp.adds("花", unionid="oU4")
    corp.shop.gateway.unionids[(flower := corp.shop.person("小花", follows=False)).openid] = "oU4"
    flower.happens("subscribe")
    assert corp.person("花")["id"] == corp.of(flower)["id"]
    # Nobody brings themselves, not even by a name that is only known later.
    corp.shop.event("customer.upserted", {"identities": li.identity | {"unionid": "oU3"}})
    corp.adds("李", corp.way(sharer="李姐"), unionid="oU3")
    assert (corp.person("李")["referrer_id"], corp.tags("李")) == (None, set())
    assert "推荐" not in corp.welcome("李")[0]


def test_a_platform_in_trouble_holds_up_no_newcomer(corp: Corp) -> None:
    wang = corp.shop.person("王姐")
    corp.shop.event("customer.upserted", {"identities": wang.identity | {"unionid": "oU1"}})
    corp.api.fail_always(GET, Code(-1))
    corp.adds("王", unionid="oU1")
    assert len(corp.welcome("王")) == 1
    assert corp.person("王")["id"] != corp.of(wang)["id"]
    corp.api.fail_always(GET, None)
    corp.rest()
    corp.shop.wait(seconds=15)
    assert corp.person("王")["id"] == corp.of(wang)["id"]
    assert states(corp, "contact.learn") == [("done", "")]
    assert coupons(corp) == 1


def test_a_welcome_is_tried_again_and_arrives_once(corp: Corp) -> None:
    troubles = (Code(-1), Code(45033), Code(41096), Raw(502, b"x"), Reset(acted=False), Reset(acted=True), EMPTY)
    for number, trouble in enumerate(troubles):
        corp.api.fail(WELCOME, trouble)
        corp.now()
        corp.adds(f"客{number}")
        corp.shop.wait(seconds=1)
        assert len(corp.welcome(f"客{number}")) == 1, trouble
    assert states(corp, "contact.welcome") == [("done", "")] * len(troubles)


def test_a_welcome_that_is_too_late_is_an_outcome(corp: Corp) -> None:
    refused = (("甲", 41050, "too_late"), ("乙", 45009, "back_off:45009"), ("丙", 48002, "config:48002"))
    for name, code, reason in refused:
        corp.api.fail(WELCOME, Code(code))
        corp.adds(name)
        assert corp.contact(name).welcome == reason
    corp.api.fail(WELCOME, Code(41051))
    corp.adds("丁")
    assert corp.contact("丁").welcome == "welcomed"
    corp.second -= 16
    calls = corp.api.count(WELCOME)
    corp.adds("戊")
    assert (corp.contact("戊").welcome, corp.api.count(WELCOME), coupons(corp)) == ("too_late", calls, 5)
    assert states(corp, "contact.welcome")[-1] == ("refused", "too_late")


def test_the_process_that_heard_of_it_welcomes_at_once_and_two_of_them_only_once(corp: Corp) -> None:
    corp.shop.person("李姐")
    state, couriers = corp.way(sharer="李姐"), [Courier(corp.shop.runtime.outbox) for _ in range(2)]
    names = [f"客{number}" for number in range(12)]
    for number, name in enumerate(names):
        corp.now()
        corp.adds(name, state, work=False)
        for one in couriers[: 1 + number % 2]:
            one.hurry()
    for one in couriers:
        one.hurry()
        one.close()
    corp.shop.clock.advance(1)  # one's welcome while the other still met them: a second later
    couriers[0].hurry()
    couriers[0].close()
    assert [len(corp.welcome(name)) for name in names] == [1] * 12  # and no worker has done anything yet
    assert all("来自@李姐的推荐" in corp.welcome(name)[0] for name in names)
    corp.shop.work()
    assert (corp.api.count(WELCOME), coupons(corp)) == (12, 13)


def test_a_referral_code_as_the_channel_of_a_link_names_the_sharer_and_who_leaves_is_forgotten(corp: Corp) -> None:
    li = corp.shop.person("李姐")
    corp.adds("小新", corp.of(li)["referral_code"])
    assert corp.person("小新")["referrer_id"] == corp.of(li)["id"]
    assert corp.tags("小新") == {"李姐推荐"}
    corp.adds("小白", "somebody-elses-state")
    assert (corp.person("小白")["referrer_id"], corp.tags("小白")) == (None, set())
    ids = tuple(row[0] for row in corp.rows("select person_id from contact order by id"))
    with corp.shop.runtime.sessions.begin() as session:
        names = leaving.names(session, [corp.of(li)["id"]])
        forget(session, Leaver((corp.of(li)["id"],), tuple(names), "李姐"), corp.shop.clock.now())
        forget(session, Leaver(ids[1:], (), ""), corp.shop.clock.now())
    told = "select arrival ->> 'sharer', t.name from contact c join contact_tag t on t.contact_id = c.id"
    assert corp.rows(told) == [("", "")]
    assert corp.rows("select count(*) from contact") == [(1,)]


def test_who_follows_and_adds_an_employee_within_seconds_gets_one_coupon(corp: Corp) -> None:
    """What the follower's name will tell in a moment is waited for."""
    flower = corp.shop.person("小花", follows=False)
    corp.shop.gateway.unionids[flower.openid] = "oU5"
    corp.shop.gateway.troubles.append(SendResult(Outcome.BACK_OFF, -1, retry_at=datetime.now(UTC)))
    flower.happens("subscribe").sees("新人礼包")
    assert states(corp, "follower.learn") == [("waiting", "back_off:-1")]
    corp.adds("花", unionid="oU5")
    assert states(corp, "contact.meet") == [("waiting", "followers")]
    corp.shop.wait(seconds=2)
    corp.shop.wait(seconds=2)
    assert corp.person("花")["id"] == corp.of(flower)["id"]
    assert corp.rows("select count(*) from coupon where kind = 'newcomer'") == [(1,)]
    assert "新人礼包" not in corp.welcome("花")[0]


def test_a_coupon_that_a_merge_takes_back_is_told_and_its_code_stays_good(corp: Corp) -> None:
    corp.adds("花", unionid="oU6")
    flower = corp.shop.person("小花", follows=False)
    corp.shop.gateway.unionids[flower.openid] = "oU6"
    flower.happens("subscribe").sees("新人礼包")
    assert (coupons(corp), corp.person("花")["id"]) == (1, corp.of(flower)["id"])
    (stays,), (gone,) = (corp.rows(f"select code from coupon where state = '{state}'")[0]
                         for state in ("issued", "revoked"))
    flower.saw("合成一个啦", "每位会员一张", f"留下的券码 {stays}", "填哪个都行")
    mall = {"Authorization": f"Bearer {corp.shop.runtime.settings.api['mall'].api_key.reveal()}"}

    def redeem(code: str, order: str) -> int:
        said = {"order_id": order, "channel": "mall"}
        return corp.shop.client.post(f"/api/v1/coupons/{code}/redeem", json=said, headers=mall).status_code

    assert redeem(gone, "A1") == 200
    assert redeem(gone, "A1") == 200
    assert redeem(stays, "A2") == 409
    assert sorted(corp.rows("select state from coupon")) == [("revoked",), ("used",)]


def test_a_unionid_that_is_told_later_makes_one_person_then(corp: Corp) -> None:
    """Neither the corp nor the account was bound to an open platform when they came: both are asked again, seldom."""
    corp.adds("花")
    flower = corp.shop.person("小花", follows=False)
    flower.happens("subscribe")
    corp.shop.wait(minutes=30)
    assert corp.person("花")["id"] != corp.of(flower)["id"]
    asked = len([call for call in corp.api.calls if call.api == GET])
    for _ in range(5):
        corp.shop.wait(minutes=59)
    assert len([call for call in corp.api.calls if call.api == GET]) == asked + 1, "not each hour"
    corp.api.friends("seller01", external("花"), unionid="oU7")
    corp.shop.gateway.unionids[flower.openid] = "oU7"
    corp.shop.wait(hours=2)
    corp.shop.wait(hours=1)
    assert corp.person("花")["id"] == corp.of(flower)["id"]
    asked = len([call for call in corp.api.calls if call.api == GET])
    corp.shop.wait(days=3)
    assert len([call for call in corp.api.calls if call.api == GET]) == asked, "known is known"


def test_an_employee_who_edits_a_customer_reminds_us_to_ask(corp: Corp) -> None:
    corp.adds("花")
    corp.api.friends("seller01", external("花"), unionid="oU8")
    for _ in range(2):
        corp.tells(corp.event("edit_external_contact", "花"))
    assert corp.rows("select value from identity where kind = 'unionid'") == [("oU8",)]
    assert states(corp, "contact.learn") == [("done", "")]
