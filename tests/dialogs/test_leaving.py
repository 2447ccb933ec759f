"""Who leaves is erased after the grace, everywhere; who comes back is recognised; what is open puts it off."""

from typing import Any

import pytest
from sqlalchemy import text

from bot.runtime import demo_team
from domain.orders import service as orders
from domain.people import leaving as rows
from domain.people.leaving import ErasureView, Memory
from domain.shared.errors import DomainError
from domain.workflows import acts, forgetting, freezing, leaving
from domain.workflows.leaving import Leaving
from tests.dialogs.test_grants import granted, person_id
from tests.dialogs.test_membership import pays
from tests.fakes.shop import Person, Shop

NAME, AVATAR, PHONE = "夏侯独一", "https://img.example/xiahou.jpg", "13977665544"
MALL, UNION = "mall-xiahou-1", "u-xiahou-1"
REAL_NAME, ADDRESS, DEVICE, TRACKING = "夏侯元让", "云南省昆明市翠湖北路二号", "device-xiahou", "SF7788990011"


def scan(shop: Shop, *values: str) -> list[str]:
    """Every column of the schema in which one of ``values`` stands: table.column: value."""
    with shop.runtime.sessions() as session:
        tables = session.scalars(text("""
            select table_name from information_schema.tables
             where table_schema = 'public' and table_type = 'BASE TABLE' order by 1""")).all()
        return [f"{table}.{row.key}: {row.v}" for table in tables for row in session.execute(text(f"""
            select distinct e.key, v from "{table}" t cross join lateral jsonb_each_text(to_jsonb(t)) e
              join unnest(cast(:values as text[])) v on strpos(e.value, v) > 0"""), {"values": list(values)})]


def erasure(shop: Shop, one: int) -> ErasureView:
    with shop.runtime.sessions() as session:
        return rows.erasures(session, person_id=one)[0]


def full_life(shop: Shop) -> tuple[Person, Person, int]:
    """李姐 brought somebody of whom the shop knows all there is to know, and who then left."""
    li = shop.person("李姐")
    xia = shop.person(NAME, invited_by="李姐")
    known = xia.identity | {"unionid": UNION, "mall_user_id": MALL, "phone": PHONE}
    shop.event("customer.upserted", {"identities": known, "nickname": NAME, "avatar_url": AVATAR,
                                     "birthday": "1990-05-17", "phone_verified": True})
    shop.event("customer.upserted", {"identities": {"phone": PHONE}, "nickname": NAME})
    shop.event("order.paid", {
        "order_id": "X1", "channel": "mall", "currency": "CNY", "paid_at": shop.clock.now().isoformat(),
        "buyer": known, "share_code": "", "region": "530102", "paid_fen": 150_000, "shipping_fen": 0,
        "risk": {"device": DEVICE, "address": ADDRESS},
        "lines": [{"line_id": "1", "sku": "RICE-5KG", "title": "有机大米 5kg", "category": "fmcg", "quantity": 1,
                   "paid_fen": 150_000}]})
    shop.event("order.shipped", {"order_id": "X1", "channel": "mall", "carrier": "顺丰", "tracking_no": TRACKING})
    shop.received("X1")
    xia.says(f"我家住{ADDRESS}，电话{PHONE}")
    guest = shop.person("客人", invited_by=NAME)
    shop.paid("G1", by=guest, fen=200_000)
    shop.received("G1")
    li.says("佣金")
    shop.wait(days=8)
    xia.says("提现 160")
    xia.says("同意")
    xia.says(REAL_NAME)
    xia.says("确认")
    return li, xia, person_id(shop, xia)


def test_F10_everything_is_erased_and_nobody_is_forgotten(shop: Shop) -> None:
    li, xia, one = full_life(shop)
    values = (NAME, AVATAR, PHONE, MALL, UNION, REAL_NAME, ADDRESS, DEVICE, TRACKING, xia.openid, "1990-05-17")
    assert {found.split(":")[0] for found in scan(shop, *values)} > {
        "person.nickname", "person.avatar_url", "identity.value", "inbox_message.payload", "commerce_event.payload",
        "customer_order.tracking_no", "withdrawal.openid"}
    xia.happens("unsubscribe")
    shop.wait(days=29)
    with shop.runtime.sessions() as session:
        assert rows.erasures(session) == []
    shop.wait(days=2)
    assert (erasure(shop, one).state, erasure(shop, one).waits_for) == ("waiting", "pending"), "the month's ladder"
    shop.wait(days=8)
    shop.wait(days=1, hours=1)
    assert erasure(shop, one).waits_for == "money"
    with shop.runtime.sessions.begin() as session:
        rows.plan(session, one, "asked", shop.clock.now(), shop.clock.now(), gives_up=True)
    before = shop.get(f"/people/{one}/statement")["lines"]
    shop.wait(days=1, hours=1)
    done = erasure(shop, one)
    assert (done.state, done.why) == ("done", "") and done.counts["identity"] == 4 and done.counts["vault_key"] == 1
    assert scan(shop, *values) == []
    after = shop.get(f"/people/{one}/statement")["lines"]
    assert [line["reason"] for line in after[1:]] == [line["reason"] for line in before], "the books stay"
    assert after[0]["reason"] == "wallet.given_up" and shop.get("/ledger/check")["balanced"]
    assert shop.get(f"/people/{one}")["nickname"] == ""
    li.says("团队").sees("1")

    xia.happens("subscribe")
    xia.sees("欢迎回来")
    assert person_id(shop, xia) == one, "who comes back is who they were"
    coupons = shop.get(f"/people/{one}/coupons")["coupons"]
    assert [coupon["kind"] for coupon in coupons].count("newcomer") == 1
    assert erasure(shop, one).state == "returned"
    xia.happens("unsubscribe")
    shop.wait(days=31)
    shop.wait(days=1, hours=1)
    assert erasure(shop, one).state == "done" and scan(shop, xia.openid) == []


def test_F10_frozen_stays_frozen_and_the_mall_may_know_them_first(shop: Shop) -> None:
    xia = shop.person(NAME)
    one = person_id(shop, xia)
    with shop.runtime.sessions.begin() as session:
        now = shop.clock.now()
        team = demo_team.hire(session, now)
        asked = freezing.ask_freeze(session, one, "举报", team["finance"], now)
        acts.decide(session, asked.id, True, team["owner"], now)
    xia.happens("unsubscribe")
    shop.wait(days=31)
    shop.wait(hours=2)
    assert erasure(shop, one).state == "done" and scan(shop, xia.openid, NAME) == []
    shop.paid("X1", by=xia, fen=9_900)
    shop.wait(minutes=6)
    assert person_id(shop, xia) == one, "recognised by an order, without following"
    with shop.runtime.sessions() as session:
        assert session.scalar(text("select person_id from account_hold where lifted_at is null")) == one
    guest = shop.person("客人", follows=False)
    shop.paid("X2", by=guest, fen=9_900, share_code=shop.get(f"/people/{one}")["referral_code"])
    line, = shop.get("/orders/mall/X2/commission")["lines"]
    assert (line["beneficiary_id"], line["state"]) == (one, "held")


def test_who_follows_again_within_the_grace_keeps_everything(shop: Shop) -> None:
    xia = shop.person(NAME)
    xia.happens("unsubscribe")
    shop.wait(days=20)
    xia.happens("subscribe")
    shop.wait(days=20)
    with shop.runtime.sessions() as session:
        assert rows.erasures(session) == []
    xia.says("佣金").sees("可提现")


def test_ones_own_request(shop: Shop) -> None:
    xia = shop.person(NAME)
    one = person_id(shop, xia)
    assert granted(shop, xia, "red_packet", 888) == "done"
    xia.says("注销").sees("不能恢复", "依法保留", "钱包还有 ¥8.88", "放弃余额并注销", "24 小时")
    xia.says("算了").says("注销").says("确认注销").sees("已登记注销", "钱包里还有余额")
    shop.wait(days=2)
    assert erasure(shop, one).waits_for == "money"
    xia.says("注销").sees("已登记注销", "还在等：钱包里还有余额")
    xia.says("取消注销").sees("一切照旧")
    xia.says("取消注销").sees("没有登记注销")
    xia.says("我要注销账号").says("放弃余额并注销").sees("已登记注销")
    shop.wait(days=1, hours=2)
    assert erasure(shop, one).state == "done" and scan(shop, xia.openid, NAME) == []
    wallet = shop.get(f"/people/{one}/wallet")
    assert wallet["available_fen"] == 0 and shop.get("/ledger/check")["balanced"]
    xia.says("佣金")
    shop.wait(minutes=6)
    assert person_id(shop, xia) == one


@pytest.mark.parametrize("what", ["debt", "pending", "case", "order"])
def test_what_is_open_puts_it_off(shop: Shop, what: str) -> None:
    xia = shop.person(NAME)
    guest = shop.person("客人", invited_by=NAME)
    one = person_id(shop, xia)
    if what == "order":
        shop.paid("O1", by=xia, fen=9_900)
    else:
        for n in range(5 if what == "case" else 1):
            shop.paid(f"A{n}", by=guest, fen=10_000)
    if what == "debt":
        shop.received("A0")
        shop.wait(days=8)
        with shop.runtime.sessions.begin() as session:
            from domain.ledger import service as ledger
            from domain.ledger.rules import Entry, Move, platform
            from domain.ledger.rules import person as side
            now = shop.clock.now()
            ledger.post(session, [Entry("spent", "test.spent", now, "test", 1, "", (
                Move(side(one, "available"), platform("writeoff"), 800),))], now)
        shop.refunded("A0", fen=10_000, quantity=3)
    shop.wait(minutes=2)
    xia.says("注销").says("放弃余额并注销")
    shop.wait(days=1, hours=2)
    assert (erasure(shop, one).state, erasure(shop, one).waits_for) == ("waiting", what)


def test_events_that_wait_for_a_human_name_nobody_who_is_gone(shop: Shop) -> None:
    """A payment that was given up puts an erasure off: somebody may have it booked. A second payment of one order is
    told without its buyer afterwards, and is still seen to be one; what is dismissed tells nothing of its buyer."""
    xia = shop.person(NAME)
    shop.event("customer.upserted", {"identities": xia.identity | {"mall_user_id": MALL}})
    one = person_id(shop, xia)
    guest = shop.person("客人")
    shop.paid("G1", by=guest, fen=5_000)
    buyer = {"mall_user_id": MALL}
    paid = {"channel": "mall", "currency": "CNY", "paid_at": shop.clock.now().isoformat(), "buyer": buyer,
            "region": "530102", "share_code": "", "shipping_fen": 0, "risk": {"address": ADDRESS}}
    line = {"line_id": "1", "sku": "RICE-5KG", "title": "米", "category": "fmcg", "quantity": 1}
    shop.event("order.paid", paid | {"order_id": "G1", "paid_fen": 700, "lines": [line | {"paid_fen": 700}]}, "second")
    with shop.runtime.sessions.begin() as session:  # whatever it is that breaks the booking of this one order
        session.execute(text("alter table customer_order add constraint broken check (order_no <> 'X9')"))
    shop.event("order.paid", paid | {"order_id": "X9", "paid_fen": 800, "lines": [line | {"paid_fen": 800}]},
               "given up")
    for _ in range(6):
        shop.wait(hours=2)
    assert states(shop) == {"second": "conflict", "given up": "dead"}
    xia.says("注销").says("确认注销")
    shop.wait(days=2)
    assert (erasure(shop, one).state, erasure(shop, one).waits_for) == ("waiting", "order")
    with shop.runtime.sessions.begin() as session:
        orders.dismiss(session, open_event(shop, "given up"), "paid back by the mall", shop.clock.now())
    assert scan(shop, MALL) != []
    shop.wait(days=2)
    assert erasure(shop, one).state == "done" and scan(shop, MALL, xia.openid, NAME) == []
    with shop.runtime.sessions.begin() as session:
        orders.retry(session, open_event(shop, "second"), shop.clock.now())
    shop.work()
    assert states(shop) == {"second": "conflict"} and shop.get("/ledger/check")["balanced"]


def states(shop: Shop) -> dict[str, str]:
    """The events that are open, by the ids that the mall gave them."""
    with shop.runtime.sessions() as session:
        return dict(session.execute(text(
            "select e.event_id, o.state from commerce_open o join commerce_event e using (id)")).all())


def open_event(shop: Shop, name: str) -> int:
    with shop.runtime.sessions() as session:
        return session.execute(text("select id from commerce_event where event_id = :name"),
                               {"name": name}).scalar_one()


def test_an_operator_erases_by_letter_but_not_while_money_is_on_its_way(shop: Shop) -> None:
    _, xia, one = full_life(shop)
    with shop.runtime.sessions.begin() as session:
        now, tool = shop.clock.now(), shop.runtime.context.tool
        team = demo_team.hire(session, now)
        with pytest.raises(DomainError, match="not_permitted"):
            leaving.order_erasure(session, one, team["finance"], "letter", now)
        with pytest.raises(DomainError, match="reason_missing"):
            leaving.order_erasure(session, one, team["owner"], " ", now)
        leaving.order_erasure(session, one, team["owner"], f"letter of {REAL_NAME}", now)
        found, = leaving.run_due(session, tool(Leaving), tool(Memory), now, 1, one)
        assert (found.state, found.waits_for, found.actor) == ("waiting", "withdrawal", "lin")
        assert leaving.keep(session, one, team["owner"], now) and not leaving.keep(session, one, team["owner"], now)
    xia.says("佣金").sees("提现中")


def test_every_table_that_names_somebody_is_thought_of(shop: Shop) -> None:
    with shop.runtime.sessions() as session:
        found = set(session.scalars(text("""
            select c.table_name from information_schema.columns c
             where c.table_schema = 'public'
               and c.column_name in ('person_id', 'referee_id', 'beneficiary_id', 'buyer_id')
               and exists (select from information_schema.columns d
                            where d.table_schema = 'public' and d.table_name = c.table_name
                              and d.data_type in ('text', 'jsonb', 'ARRAY'))""")))
    thought: dict[str, Any] = dict.fromkeys(forgetting.tables(), "emptied") | forgetting.KEPT
    assert found - set(thought) == set(), "new tables that say something of people: erase it or say why it stays"


def test_what_could_be_spent_is_forfeited_and_stays_so(shop: Shop) -> None:
    """Said before, gone with the data; who comes back is known, but has none of it."""
    xia = shop.person(NAME)
    one = person_id(shop, xia)
    xia.says("签到")
    pays(shop, xia, "V1", ("VIP-YEAR", "membership", 19_900))
    shop.wait(days=31)
    xia.says("注销").sees("注销后清零", "积分、", "会员权益", "以后再关注也不会恢复")
    xia.says("确认注销").sees("已登记注销")
    shop.wait(days=1, hours=2)
    done = erasure(shop, one)
    assert done.state == "done" and {"point_lot forfeited", "member_card forfeited"} <= set(done.counts)
    xia.happens("subscribe")
    xia.sees("欢迎回来", "我们重新开始")
    assert person_id(shop, xia) == one
    assert (shop.get(f"/people/{one}/wallet")["points"], shop.get(f"/people/{one}")["tier"]) == (0, None)
    assert {coupon["state"] for coupon in shop.get(f"/people/{one}/coupons")["coupons"]} <= {"revoked", "expired"}
    assert shop.get("/ledger/check")["balanced"]


def test_who_only_unfollowed_keeps_the_card_that_was_paid_for(shop: Shop) -> None:
    xia = shop.person(NAME)
    one = person_id(shop, xia)
    xia.says("签到")
    pays(shop, xia, "V1", ("VIP-YEAR", "membership", 19_900))
    xia.happens("unsubscribe")
    shop.wait(days=32)
    shop.wait(days=1, hours=1)
    assert erasure(shop, one).state == "done"
    assert (shop.get(f"/people/{one}/wallet")["points"], shop.get(f"/people/{one}")["tier"]) == (0, "annual")
