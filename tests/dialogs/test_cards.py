"""Cards: what leaves without a window, by a permission or a template that is allowed, and what never may."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text

from bot.kit.gateway import Outcome, SendResult
from domain.notices import service as notices
from domain.notices.rules import Purpose
from domain.shared.clock import FixedClock
from domain.subscriptions import service as subscriptions
from tests.fakes.frozen import Frozen, frozen
from tests.fakes.shop import ACCOUNT, Person, Shop


def _windows_close(shop: Shop) -> None:
    shop.person("李姐")
    shop.wait(days=3)


@pytest.fixture(scope="module")
def closed(new_shop: Frozen, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Frozen]:
    """The story of ``li``, told once."""
    with frozen(new_shop.postgres, tmp_path_factory.mktemp("closed"), _windows_close, new_shop, cards=True) as shop:
        yield shop


@pytest.fixture
def shop(closed: Frozen, tmp_path: Path, clock: FixedClock) -> Iterator[Shop]:
    with closed.shop(tmp_path, clock, cards=True) as shop:
        yield shop


@pytest.fixture
def li(shop: Shop) -> Person:
    """A follower whose windows are closed."""
    return shop.people["李姐"]


def tell(shop: Shop, person: Person, key: str, facts: dict[str, Any], purpose: Purpose = "service", idem: str = "n",
         days: int = 0) -> None:
    until = shop.clock.now() + timedelta(days=days) if days else None
    with shop.runtime.sessions.begin() as session:
        who = session.scalar(text("select person_id from identity where value = :v"), {"v": person.openid})
        assert who is not None
        notices.tell(session, notices.Notice(who, purpose, idem, key, facts, expires_at=until), shop.clock.now())
    shop.work()


def ended(shop: Shop, idem: str = "n") -> tuple[str, str, dict[str, str]]:
    with shop.runtime.sessions() as session:
        row = session.execute(text("select state, reason, result from outbox where key = :k"),
                              {"k": f"notice:{idem}"}).one()
    return row.state, row.reason, row.result.get("ways", {})


def refuse(shop: Shop, outcome: Outcome, code: int, retry_at: datetime | None = None) -> None:
    shop.gateway.refusals.append(SendResult(outcome, code, retry_at=retry_at))


def template(shop: Shop, name: str) -> str:
    """The id of a template message's template."""
    return shop.runtime.settings.wechat[ACCOUNT].templates[name]


def allowed(shop: Shop, name: str) -> str:
    """The id of a subscription notice's template."""
    return shop.runtime.settings.wechat[ACCOUNT].subscriptions[name]


SHIPPED = {"title": "云南高原有机红米五公斤家庭装送礼盒加量不加价", "carrier": "顺丰", "tracking_no": "SF123"}
RESTOCK = {"product": "有机大米"}


def test_money_leaves_as_a_template_when_no_window_is_open(shop: Shop, li: Person) -> None:
    xin = shop.person("新客", follows=False)
    with shop.runtime.sessions() as session:
        code = session.scalar(text("select referral_code from person p join identity i on i.person_id = p.id "
                                   "where i.value = :v"), {"v": li.openid})
    shop.paid("A1", by=xin, fen=9_900, share_code=code)
    li.saw("[template]\n¥7.92\n有机大米 5kg\n待结算，订单尾号 A1")
    assert [kind for _, kind, _ in shop.gateway.cards] == ["template"]


def test_an_open_window_comes_first(shop: Shop, li: Person) -> None:
    li.says("帮助")
    tell(shop, li, "journey.care.shipped", SHIPPED)
    li.saw("已经出发啦")
    assert shop.gateway.cards == []


def test_a_service_notice_spends_what_was_allowed_before_a_template(shop: Shop, li: Person) -> None:
    allow(shop, li, "shipped")
    tell(shop, li, "journey.care.shipped", SHIPPED)
    assert ended(shop)[::2] == ("done", {"custom": "no_right"})
    assert [kind for _, kind, _ in shop.gateway.cards] == ["subscription"]
    assert shop.gateway.cards[0][2].values["thing1"] == "云南高原有机红米五公斤家庭装送礼盒加量…"
    tell(shop, li, "journey.care.shipped", SHIPPED, idem="again")
    assert [kind for _, kind, _ in shop.gateway.cards] == ["subscription", "template"], "one tap is one message"


def test_advertising_never_leaves_as_a_card(shop: Shop, li: Person) -> None:
    for name in ("earned", "shipped", "restock"):
        allow(shop, li, name)
    tell(shop, li, "journey.recall.ask", {}, "marketing")
    assert ended(shop) == ("refused", "kind_not_allowed", {"custom": "no_right", "subscription": "kind_not_allowed"})
    tell(shop, li, "journey.care.shipped", SHIPPED, "marketing", "disguised")
    assert ended(shop, "disguised")[:2] == ("refused", "kind_not_allowed")
    assert shop.gateway.cards == []


def test_a_reminder_leaves_only_for_who_asked_for_it(shop: Shop, li: Person) -> None:
    tell(shop, li, "journey.restock.soon", RESTOCK, "marketing")
    assert ended(shop) == ("refused", "no_right", {"custom": "no_right", "subscription": "no_token"})
    allow(shop, li, "restock")
    tell(shop, li, "journey.restock.soon", RESTOCK, "marketing", "asked")
    assert ended(shop, "asked")[0] == "done"
    li.saw("[subscription]\n有机大米")


def test_L7_a_tap_on_the_card_leads_to_where_it_is_bought(shop: Shop, li: Person) -> None:
    for number, more in enumerate(({"page": "https://mall.example/rice"}, {"page": None}, {})):
        allow(shop, li, "restock")
        tell(shop, li, "journey.restock.out", RESTOCK | more, "marketing", f"n{number}")
        shop.wait(days=9)
    assert [card.page for _, _, card in shop.gateway.cards] == ["https://mall.example/rice", "", ""]


def test_without_a_template_it_waits_for_the_next_contact(shop: Shop, li: Person) -> None:
    tell(shop, li, "role.warned", {"role": "gold", "title": "金牌", "falls_title": "推荐官", "target_fen": 0,
                                   "until": shop.clock.now().isoformat(), "missing_orders": 1})
    assert ended(shop) == ("waiting", "no_right", {"custom": "no_right", "subscription": "no_template",
                                                   "template": "no_template"})
    li.says("帮助")
    assert ended(shop)[0] == "done"


def test_allowing_wakes_what_waited(shop: Shop, li: Person) -> None:
    hold(shop, f"message/template/send#{template(shop, 'shipped')}")
    tell(shop, li, "journey.care.shipped", SHIPPED)
    assert ended(shop) == ("waiting", "no_right", {"custom": "no_right", "subscription": "no_token",
                                                   "template": "config:47003"})
    allow(shop, li, "shipped")
    assert ended(shop)[0] == "done"


def test_a_permission_that_the_platform_does_not_know_is_gone_and_the_next_way_is_taken(shop: Shop, li: Person) -> None:
    for _ in range(2):
        allow(shop, li, "shipped")
    refuse(shop, Outcome.NOT_ALLOWED, 43101)
    tell(shop, li, "journey.care.shipped", SHIPPED)
    assert ended(shop) == ("done", "", {"custom": "no_right", "subscription": "not_allowed:43101"})
    assert [kind for _, kind, _ in shop.gateway.cards] == ["template"]
    assert tokens(shop) == [("lost", "refused")] * 2


def test_a_template_that_the_platform_refuses_is_an_alarm_and_is_not_tried_again(shop: Shop, li: Person) -> None:
    refuse(shop, Outcome.BAD_TEMPLATE, 47003)
    tell(shop, li, "journey.care.shipped", SHIPPED)
    assert ended(shop) == ("waiting", "no_right", {"custom": "no_right", "subscription": "no_token",
                                                   "template": "bad_template:47003"})
    tell(shop, li, "journey.care.shipped", SHIPPED, idem="later")
    assert ended(shop, "later")[2]["template"] == "config:47003"
    assert shop.gateway.cards == []


@pytest.mark.parametrize("code", [40001, 40164])
def test_what_the_whole_account_is_refused_for_is_no_fault_of_a_template(shop: Shop, li: Person, code: int) -> None:
    """Somebody mends the token or the list of addresses, and everything leaves by itself: what was refused, and what
    came meanwhile."""
    refuse(shop, Outcome.CONFIG, code)
    tell(shop, li, "journey.care.shipped", SHIPPED)
    assert ended(shop)[:2] == ("waiting", f"config:{code}")
    shop.wait(minutes=6)
    assert ended(shop)[0] == "done"
    tell(shop, li, "journey.care.shipped", SHIPPED, idem="later")
    assert (ended(shop, "later")[0], len(shop.gateway.cards)) == ("done", 2)


def test_an_account_that_may_send_no_cards_waits_for_the_person(shop: Shop, li: Person) -> None:
    refuse(shop, Outcome.CONFIG, 48001)
    tell(shop, li, "journey.care.shipped", SHIPPED)
    assert ended(shop) == ("waiting", "no_right", {"custom": "no_right", "subscription": "no_token",
                                                   "template": "config:48001"})


def test_a_day_that_is_used_up_sends_money_by_another_way(shop: Shop, li: Person) -> None:
    li.says("帮助")
    refuse(shop, Outcome.BACK_OFF, 45009, datetime.now(UTC) + timedelta(hours=9))
    tell(shop, li, "payout.told.paid", {"no": "W1", "gross_fen": 10_000, "tax_fen": 0, "net_fen": 10_000}, "money")
    assert ended(shop) == ("done", "", {"custom": "back_off:45009"})
    assert [kind for _, kind, _ in shop.gateway.cards] == ["template"]


def test_switching_a_template_off_takes_what_was_allowed(shop: Shop, li: Person) -> None:
    allow(shop, li, "shipped")
    allow(shop, li, "restock")
    event(shop, li, "subscribe_msg_change_event", "SubscribeMsgPopupEvent", "shipped", "reject")
    assert sorted(tokens(shop)) == [("banked", ""), ("lost", "switched_off")]


def test_a_no_on_the_sheet_gives_nothing_and_takes_nothing(shop: Shop, li: Person) -> None:
    allow(shop, li, "shipped")
    event(shop, li, "subscribe_msg_popup_event", "SubscribeMsgPopupEvent", "shipped", "reject")
    assert tokens(shop) == [("banked", "")]


def test_what_the_platform_reports_is_kept_with_the_notice(shop: Shop, li: Person) -> None:
    tell(shop, li, "journey.care.shipped", SHIPPED)
    li._post({"MsgType": "event", "Event": "TEMPLATESENDJOBFINISH", "MsgID": "1", "Status": "failed:user block"})
    with shop.runtime.sessions() as session:
        assert session.scalar(text("select result ->> 'reported' from outbox where key = 'notice:n'")) == \
            "failed:user block"


def test_fifty_threads_spend_one_token_once(shop: Shop, li: Person) -> None:
    allow(shop, li, "shipped")
    wanted = allowed(shop, "shipped")

    def spend(effect: int) -> int | None:
        with shop.runtime.sessions.begin() as session:
            return subscriptions.spend(session, ACCOUNT, li.openid, wanted, effect, shop.clock.now())

    with ThreadPoolExecutor(50) as pool:
        got = [one for one in pool.map(spend, range(50)) if one is not None]
    assert len(got) == 1


def test_fifty_notices_with_one_token_send_one_subscription(shop: Shop, li: Person) -> None:
    allow(shop, li, "shipped")
    hold(shop, f"message/template/send#{template(shop, 'shipped')}")
    with shop.runtime.sessions.begin() as session:
        who = session.scalar(text("select person_id from identity where value = :v"), {"v": li.openid})
        assert who is not None
        for number in range(50):
            notices.tell(session, notices.Notice(who, "service", f"n{number}", "journey.care.shipped", SHIPPED),
                         shop.clock.now())
    with ThreadPoolExecutor(10) as pool:
        list(pool.map(lambda _: shop.runtime.outbox.run("notice", limit=5), range(10)))
    assert [kind for _, kind, _ in shop.gateway.cards] == ["subscription"]


def test_the_word_tells_what_may_be_allowed_and_where(shop: Shop, li: Person) -> None:
    allow(shop, li, "restock")
    allow(shop, li, "restock")
    li.says("订阅").sees("佣金到账", "常买的商品快用完时（还可收 2 条）", "/me/reminders?t=")
    address = next(word for word in str(li.heard[-1]).split() if "/me/reminders" in word)
    page = shop.client.get("/me/reminders" + address.partition("/me/reminders")[2].partition("：")[0])
    assert page.status_code == 200
    assert f'<wx-open-subscribe template="{allowed(shop, "restock")}"' in page.text
    assert "还可收 2 条" in page.text
    policy = page.headers["Content-Security-Policy"]
    assert "script-src 'self'" in policy
    assert "unsafe-inline" not in policy.partition("script-src")[2]
    assert shop.client.get("/me/allow.js").status_code == 200


def allow(shop: Shop, person: Person, name: str) -> None:
    """The person taps "allow" on the platform's sheet."""
    event(shop, person, "subscribe_msg_popup_event", "SubscribeMsgPopupEvent", name, "accept")


def event(shop: Shop, person: Person, name: str, tag: str, which: str, status: str) -> None:
    inner = (f"<List><TemplateId><![CDATA[{allowed(shop, which)}]]></TemplateId>"
             f"<SubscribeStatusString><![CDATA[{status}]]></SubscribeStatusString><PopupScene>1</PopupScene></List>")
    person.tells({"MsgType": "event", "Event": name}, f"<{tag}>{inner}</{tag}>")


def hold(shop: Shop, api: str) -> None:
    with shop.runtime.sessions.begin() as session:
        session.execute(text("insert into platform_hold (app_id, api, outcome, errcode, until) values "
                             "(:app, :api, 'config', 47003, now() + interval '1 hour')"),
                        {"app": shop.runtime.context.app_ids[ACCOUNT], "api": api})


def tokens(shop: Shop) -> list[tuple[str, str]]:
    with shop.runtime.sessions() as session:
        rows = session.execute(text("select spent_at, lost_at, lost_why from subscription_token order by id"))
        return [("lost" if row.lost_at else "spent" if row.spent_at else "banked", row.lost_why) for row in rows]
