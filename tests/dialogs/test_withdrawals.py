"""提现 as people live it: what is asked, what is refused and why, and that the money is right at every step."""

import hashlib
import re
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import text
from werkzeug.test import TestResponse

from bot.kit.gateway import Outcome, SendResult
from domain.people.rules import IdentityRef
from domain.shared.clock import FixedClock
from tests.fakes.frozen import Frozen, frozen
from tests.fakes.gateway import TICKET
from tests.fakes.shop import Person, Shop

GOOD_ID = "11010519491231002X"


@pytest.fixture(scope="module")
def earned(new_shop: Frozen, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Frozen]:
    """李姐 has 158.40 yuan to withdraw: 8 % of 1,980 yuan that a friend paid."""
    home = tmp_path_factory.mktemp("earned")
    with frozen(new_shop.postgres, home, lambda shop: earner(shop, "李姐", 198_000), new_shop) as shop:
        yield shop


@pytest.fixture
def shop(tmp_path: Path, earned: Frozen, clock: FixedClock) -> Iterator[Shop]:
    with earned.shop(tmp_path, clock) as shop:
        yield shop


@pytest.fixture
def li(shop: Shop) -> Person:
    return shop.people["李姐"]


def earner(shop: Shop, name: str, paid_fen: int) -> Person:
    person = shop.person(name)
    buyer = shop.person(f"{name}的朋友", invited_by=name)
    shop.paid(f"A-{name}", by=buyer, fen=paid_fen)
    shop.received(f"A-{name}")
    shop.wait(days=8)
    return person


def agreed(person: Person, amount: str = "提现 100", name: str = "张三丰") -> Person:
    """Up to the last question."""
    person.says(amount).sees("请阅读", "劳务报酬")
    person.says("同意").sees("真实姓名")
    return person.says(name)


@pytest.mark.parametrize(("said", "figure"), [
    ("全部", "¥158.40"), ("都提了吧", "¥158.40"), ("三分之二", "¥105.60"), ("百分之七十", "¥110.88"),
    ("110 块", "¥110.00"),
])
def test_how_much_may_be_said_as_all_or_a_share(li: Person, said: str, figure: str) -> None:
    li.says("提现").sees("可提现 ¥158.40")
    agreed(li, said).sees(figure, "确认")


def test_a_share_below_the_minimum_says_so(li: Person) -> None:
    li.says("提一半").sees("您是想提现 一半 吗")
    li.says("是").sees("¥79.20 不到起提金额 ¥100.00")
    li.says("取消").says("全部提现吧").sees("您是想提现 全部 吗")
    agreed(li, "是").sees("¥158.40", "确认")


@pytest.mark.parametrize("said", ["百分之150", "五百分之一", "百分之"])
def test_the_numbers_of_a_share_that_is_none_are_no_amount(li: Person, said: str) -> None:
    li.says("提现").says(said).sees("请回复要提现的金额")
    li.says("取消").says("提现百分之150").sees("您是想提现吗")


def held(shop: Shop) -> list[str]:
    from domain.ledger import service as ledger
    from domain.payouts import queries

    with shop.runtime.sessions() as session:
        report = ledger.check(session)
        return [*report.faults, *queries.check(session)]


def test_a_slip_for_the_word_is_confirmed_first(shop: Shop, li: Person) -> None:
    li.says("tixian").sees("您是想提现吗", "涉及资金")
    li.says("是").sees("可提现 ¥158.40")
    li.says("取消")
    li.says("tixian").sees("您是想提现吗")
    li.says("不用了").sees("没有办理")
    li.says("是").sees("现在没有要您确认的事")


@pytest.mark.parametrize("said", ["提100", "我要提一百块"])
def test_an_amount_to_take_out_is_confirmed_before_the_dialogue(shop: Shop, li: Person, said: str) -> None:
    li.says(said).sees("您是想提现", "100" if "100" in said else "一百块", "涉及资金")
    li.says("不用了").sees("没有办理")
    li.says(said)
    li.says("是").sees("请阅读", "劳务报酬")
    li.says("同意").sees("真实姓名")
    li.says("张三丰").sees("提现 ¥100.00", "回复「确认」")
    li.says("取消")
    assert held(shop) == []
    li.says("佣金").sees("可提现 ¥158.40")


def test_the_whole_way(shop: Shop, li: Person) -> None:
    li.says("提现").sees("可提现 ¥158.40", "¥100.00 起提")
    li.says("150").sees("请阅读")
    li.says("同意").sees("真实姓名")
    li.says("张三丰").sees("提现 ¥150.00", "代扣个税 ¥0.00", "实际到账 ¥150.00", "张**")
    li.says("确认").sees("已申请提现 ¥150.00", "取消提现")
    li.saw("¥150.00 等您确认收款", "/me/withdrawals/")
    li.says("佣金").sees("可提现 ¥8.40", "提现中 ¥150.00")
    li.says("提现").sees("审核通过", "待您确认收款 ¥150.00")
    (number,) = shop.pay.waiting()
    shop.pay.confirms(number)
    shop.wait(minutes=1)
    li.saw("提现到账 ¥150.00")
    li.says("提现进度").sees("到账 ¥150.00")
    li.says("佣金").sees("可提现 ¥8.40", "已提现 ¥150.00")
    li.says("明细").sees("提现到账")
    assert shop.pay.paid_to(li.openid) == 15_000
    assert held(shop) == []


def test_a_large_one_is_taxed_split_and_needs_an_id_number(shop: Shop) -> None:
    rich = earner(shop, "王姐", 1_230_000)  # 984 yuan
    rich.says("提现 全部").sees("请阅读")
    rich.says("同意")
    rich.says("王小丫").sees("18 位身份证号", "¥800.00")
    rich.says("110105194912310021").sees("校验不通过")
    rich.says("123").sees("18 位数字")
    rich.says(GOOD_ID.lower()).sees("提现 ¥984.00", "代扣个税 ¥36.80", "实际到账 ¥947.20", "分 5 笔")
    rich.says("确认").sees("已申请")
    rich.saw("共 5 笔")
    for number in shop.pay.waiting():
        shop.pay.confirms(number)
    shop.wait(minutes=1)
    rich.saw("提现到账 ¥947.20", "代扣个税 ¥36.80")
    assert shop.pay.paid_to(rich.openid) == 94_720
    assert held(shop) == []


def offers(person: Person) -> list[str]:
    return [said for said in person.heard if isinstance(said, str) and "等您确认收款" in said and "单号" in said]


def test_several_bills_are_offered_once_with_their_whole_sum(shop: Shop) -> None:
    rich = earner(shop, "王姐", 400_000)  # 320 yuan
    agreed(rich, "提现 300").says("确认")
    only, = offers(rich)
    assert "¥300.00 等您确认收款（共 2 笔，每笔确认一次）" in only
    assert "稍后打款" not in only
    shop.wait(minutes=5)
    assert offers(rich) == [only]
    rich.says("提现进度").sees("待您确认收款 ¥300.00")


def test_a_bill_that_comes_later_is_told_of_twice_and_rightly(shop: Shop) -> None:
    """The merchant's account is empty after the first: it is offered, and the second when it waits too."""
    rich = earner(shop, "王姐", 400_000)
    funds, shop.pay.funds_fen = shop.pay.funds_fen, 25_000
    agreed(rich, "提现 300").says("确认")
    assert offers(rich) == []
    shop.wait(minutes=3)
    first, = offers(rich)
    assert "¥200.00 等您确认收款" in first and "还有 ¥100.00（1 笔）稍后打款" in first
    shop.pay.confirms(shop.pay.waiting()[0])
    shop.pay.tops_up(funds)
    shop.wait(minutes=30)
    shop.wait(minutes=10)
    assert len(offers(rich)) == 2
    assert "¥100.00 等您确认收款" in offers(rich)[1] and "稍后打款" not in offers(rich)[1]
    shop.pay.confirms(shop.pay.waiting()[0])
    shop.wait(hours=1)
    rich.saw("提现到账 ¥300.00")
    assert held(shop) == []


def test_refusals_say_what_is_missing(shop: Shop) -> None:
    poor = earner(shop, "小李", 50_000)
    poor.says("提现").sees("可提现 ¥40.00", "还差 ¥60.00")
    nobody = shop.person("新人")
    nobody.says("提现").sees("没有可提现的佣金")
    nobody.says("提现进度").sees("还没有提现记录")
    nobody.says("取消提现").sees("没有可以取消的提现")


def test_amounts_that_cannot_be(li: Person) -> None:
    li.says("提现")
    for said, answer in (("99.99", "不到起提金额"), ("158.41", "超过可提现"), ("-100", "请回复要提现的金额"),
                         ("一点点", "请回复要提现的金额"), ("50%", "请回复要提现的金额"),
                         ("1e9", "请回复要提现的金额"), ("0", "请回复要提现的金额")):
        li.says(said).sees(answer)
    li.says("全部").sees("请阅读")


def test_no_consent_no_money(shop: Shop, li: Person) -> None:
    li.says("提现 100").sees("请阅读")
    li.says("好的").sees("没有您的同意")
    li.says("提现 100").sees("请阅读")
    li.says("帮助").sees("提现")
    li.says("同意")
    li.says("佣金").sees("可提现 ¥158.40")


@pytest.mark.parametrize("said", ["不要", "嗯？", "100", "取消", "佣金", "确认吗"])
def test_only_a_clear_yes_moves_money(shop: Shop, li: Person, said: str) -> None:
    agreed(li).sees("请核对")
    li.says(said)
    li.says("佣金").sees("可提现 ¥158.40")
    assert shop.pay.calls["transfer"] == 0


def test_taken_back_before_it_was_confirmed(shop: Shop, li: Person) -> None:
    agreed(li).says("确认")
    li.says("取消提现").sees("要撤回提现 ¥100.00", "回复「确认」撤回")
    li.says("确认").sees("正在撤回")
    li.says("取消提现").sees("正在撤回")
    shop.wait(minutes=2)
    li.saw("已取消", "已退回")
    li.says("佣金").sees("可提现 ¥158.40")
    li.says("取消提现").sees("没有可以取消的提现")
    assert (shop.pay.calls["cancel"], shop.pay.paid_to(li.openid), held(shop)) == (1, 0, [])
    # Name and consent are known by now.
    li.says("提现 120").sees("请核对", "¥120.00")


def test_what_was_taken_back_before_anybody_looked_is_not_said_to_be_approved(shop: Shop) -> None:
    wang = earner(shop, "王姐", 1_500_000)
    agreed(wang, "提现 1100").says(GOOD_ID).says("确认")
    wang.says("提现进度").sees("审核中")
    wang.says("取消提现").says("确认").sees("已取消提现")
    wang.says("提现进度").sees("¥1100.00 已退回")
    assert "审核通过" not in str(wang.heard[-1])


def test_only_the_very_word_takes_a_request_back(shop: Shop, li: Person) -> None:
    agreed(li).says("确认")
    for said in ("不要", "嗯", "取消", "收到", "好的"):
        li.says("取消提现").sees("其他任何回复都不会撤回")
        li.says(said).sees("没有撤回", "照常进行")
    li.says("确认")
    li.says("佣金").sees("提现中 ¥100.00")
    assert shop.pay.calls["cancel"] == 0
    li.says("撤销提现").sees("要撤回提现 ¥100.00")
    li.says("佣金和订单都看看").sees("1. 查看佣金")
    li.says("取消提现").sees("要撤回提现 ¥100.00")
    li.says("确认取消").sees("正在撤回")


def test_a_yes_that_comes_late_takes_back_no_other_request(shop: Shop, li: Person) -> None:
    """The request that was shown is paid meanwhile: what the word would be about is not there any more."""
    agreed(li).says("确认")
    li.says("取消提现").sees("要撤回提现 ¥100.00")
    shop.pay.confirms(shop.pay.waiting()[0])
    shop.wait(minutes=1)
    li.says("确认").sees("没有可以取消的提现")
    assert (shop.pay.calls["cancel"], shop.pay.paid_to(li.openid), held(shop)) == (0, 10_000, [])


def test_not_confirmed_in_a_day_comes_back(shop: Shop, li: Person) -> None:
    agreed(li).says("确认")
    shop.wait(hours=25)
    shop.wait(hours=12)
    li.saw("超过时间未确认收款", "24 小时内没有确认收款")
    li.says("提现进度").sees("已退回")
    li.says("佣金").sees("可提现 ¥158.40")
    assert held(shop) == []


def test_a_failed_payment_says_why(shop: Shop, li: Person) -> None:
    agreed(li).says("确认")
    shop.pay.fails(shop.pay.waiting()[0], "TRANSFER_QUOTA_EXCEED")
    shop.wait(minutes=1)
    li.saw("打款失败", "超过微信单日收款限额", "已退回")
    assert held(shop) == []


def test_debt_is_told_and_returned_money_repays_it(shop: Shop, li: Person) -> None:
    """A refund while the money is under way makes a debt; what comes back repays it first."""
    agreed(li, "提现 150").says("确认")
    shop.refunded("A-李姐", fen=99_000)
    li.says("佣金").sees("待抵扣 ¥70.80")
    li.says("提现进度").sees("正在撤回")
    shop.wait(minutes=2)
    li.says("佣金").sees("可提现 ¥79.20")
    assert "待抵扣" not in str(li.heard[-1])
    assert held(shop) == []


def test_a_debtor_is_told(shop: Shop, li: Person) -> None:
    agreed(li, "提现 全部").says("确认")
    shop.pay.confirms(shop.pay.waiting()[0])
    shop.wait(minutes=1)
    shop.refunded("A-李姐", fen=99_000)
    li.says("提现").sees("¥79.20 待抵扣")


def test_nothing_private_is_readable_anywhere(shop: Shop, caplog: pytest.LogCaptureFixture) -> None:
    """Every row of every table, and everything that was logged."""
    from tests.integration.vault.test_vault import every_text

    rich = earner(shop, "王姐", 1_230_000)
    rich.says("提现 全部")
    rich.says("同意")
    rich.says("王小丫")
    rich.says("110105194912310021")
    rich.says(GOOD_ID)
    rich.says("确认")
    other = earner(shop, "小赵", 198_000)
    agreed(other, name="赵钱孙李周").sees("赵***")
    late = earner(shop, "小周", 198_000)
    late.says("提现 100")
    late.says("同意")
    shop.wait(minutes=45)
    late.says("周吴郑王冯")          # half an hour too late: heard as something else, and still not kept
    late.says("为什么 " + GOOD_ID)  # and numbers that nobody asked for
    typed = ("王小丫", "110105194912310021", GOOD_ID, "赵钱孙李周", "周吴郑王冯")
    rows = list(every_text(shop.runtime.engine))
    assert len(rows) > 100
    assert any("张" in row or "王*" in row for _, row in rows)
    found = [(table, value) for table, row in rows for value in typed if value.lower() in row.lower()]
    assert found == []
    assert [value for value in typed if value in caplog.text] == []


def test_a_fault_while_something_private_is_said_keeps_nothing(shop: Shop, li: Person,
                                                              caplog: pytest.LogCaptureFixture) -> None:
    """The handler fails (the vault's rows are gone): the person is asked again, and nothing was written down."""
    from tests.integration.vault.test_vault import every_text

    li.says("提现 100")
    li.says("同意")
    with shop.runtime.engine.begin() as db:
        db.execute(text("alter table vault_item rename to vault_item_away"))
    li.says("张三丰").sees("请再发一次")
    with shop.runtime.engine.begin() as db:
        db.execute(text("alter table vault_item_away rename to vault_item"))
    assert [table for table, row in every_text(shop.runtime.engine) if "张三丰" in row] == []
    assert "张三丰" not in caplog.text
    li.says("张三丰").sees("请核对")


def page_of(shop: Shop, person: Person) -> str:
    """The path of the page that the latest notice links to."""
    texts = [said for said in person.heard if isinstance(said, str) and "/me/withdrawals/" in said]
    found = re.search(r"(/me/withdrawals/\d+\?t=[\w-]+)", texts[-1])
    assert found
    return found[1]


def test_the_page_confirms_in_wechat_and_shows_what_became_of_it(shop: Shop, li: Person) -> None:
    agreed(li, "提现 一百五十元").says("确认")
    path = page_of(shop, li)
    answer = shop.client.get(path)
    (number,) = shop.pay.waiting()
    for part in ("确认收款 ¥150.00", f'data-package="package-{number}"', 'data-merchant="1900000109"', "打款中"):
        assert part in answer.text
    assert "script-src 'self' https://res.wx.qq.com; connect-src 'self'" in answer.headers["Content-Security-Policy"]
    assert "jweixin" not in answer.text, "in the demo there is nobody to load it from"
    assert shop.client.get("/me/confirm.js").status_code == 200
    assert shop.client.get("/me/h5.js").status_code == 404
    sign_the(shop, path)
    shop.pay.confirms(number)
    shop.wait(minutes=1)
    after = shop.client.get(path).text
    assert "已到账" in after
    assert "data-package" not in after
    everything = re.search(r'href="(/me/withdrawals\?t=[^"]+)"', after)
    assert everything
    assert "¥150.00" in shop.client.get(everything[1].replace("&amp;", "&")).text


def sign_the(shop: Shop, path: str) -> None:
    """What confirm.js asks for: the page's own address, signed for its account; no other address, for nobody else."""
    token, app = path.split("t=")[1], shop.runtime.settings.wechat["demo"].app_id
    own = f"{shop.runtime.settings.public_url}{path}"

    def ask(**changes: str) -> TestResponse:
        return shop.client.get("/me/withdrawals.sign", query_string={"t": token, "app": app, "u": own, **changes})

    found = ask().get_json()
    assert (found["appId"], abs(found["timestamp"] - time.time()) < 60) == (app, True)
    said = (f"jsapi_ticket={TICKET}&noncestr={found['nonceStr']}&timestamp={found['timestamp']}&url={own}")
    assert found["signature"] == hashlib.sha1(said.encode()).hexdigest()
    foreign = ("https://evil.example/me/withdrawals?x", own.replace("/me/", "/ops/"), own + "#part", own + "x" * 1_000,
               f"{shop.runtime.settings.public_url}/me/withdrawalsx")
    assert [ask(u=url).status_code for url in foreign] == [403] * len(foreign)
    assert [ask(t="x").status_code, ask(app="wxnobody").status_code] == [403, 404]
    assert shop.client.get("/me/rules.sign", query_string={"t": token, "app": app, "u": own}).status_code == 404
    shop.gateway.refusals.append(SendResult(Outcome.BACK_OFF))
    assert (ask().status_code, ask().status_code) == (503, 200)


def test_nobody_elses_page(shop: Shop, li: Person) -> None:
    agreed(li).says("确认")
    path = page_of(shop, li)
    other = shop.person("别人")
    from bot.kit.links import Links
    from domain.people import queries as people

    with shop.runtime.sessions() as session:
        who = people.find(session, IdentityRef("openid", other.openid, other.identity["app_id"]), pepper=b"")
    assert who is not None
    stolen = path.split("?")[0].removeprefix("/me/withdrawals/")
    link = shop.runtime.context.tool(Links).sign("withdrawals", who)
    assert shop.client.get(f"/me/withdrawals/{stolen}?t={link}").status_code == 404
    assert shop.client.get(f"/me/withdrawals/{'9' * 30}?t={link}").status_code == 404
    assert shop.client.get(path.replace("t=", "t=x")).status_code == 403
    assert "还没有提现记录" in shop.client.get(f"/me/withdrawals?t={link}").text
