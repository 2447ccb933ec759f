"""Somebody's commission waits: they are told why, may object, and hear how it ended."""

from bot.runtime import demo_team
from domain.risk import queries
from domain.workflows import acts, freezing
from tests.fakes.shop import Shop


def decide(shop: Shop, outcome: str, case_id: int = 0) -> None:
    with shop.runtime.sessions.begin() as session:
        now = shop.clock.now()
        team = demo_team.hire(session, now)
        case_id = case_id or queries.cases(session, now)[0].id
        asked = freezing.ask_decision(session, case_id, outcome, "看过了", team["finance"], now)
        acts.decide(session, asked.id, True, team["owner"], now)
    shop.work()


def five_orders(shop: Shop):
    li, xin = shop.person("李姐"), shop.person("新客", invited_by="李姐")
    for n in range(5):
        shop.paid(f"A{n}", by=xin, fen=10_000)
    shop.wait(minutes=1)
    return li, xin


def test_held_told_appealed_and_released(shop: Shop) -> None:
    li, xin = five_orders(shop)
    li.saw("需要核查", "¥40.00", "同一个人一天内下单较多", "申诉", "72 小时")
    assert not any("5 单" in said or "阈值" in said for said in li.heard if isinstance(said, str))
    li.says("佣金").sees("冻结 ¥40.00", "待结算 ¥0.00")
    li.says("为什么 A1").sees("核查中，暂时冻结")
    li.says("申诉").sees("把情况说一说")
    li.says("是我帮公司同事一起买的").sees("已收到您的申诉", "11月23日 10:01 前答复")
    xin.says("申诉 我也有意见").sees("没有正在核查的佣金")
    with shop.runtime.sessions() as session:
        case, = queries.cases(session, shop.clock.now(), state="appealed")
        steps = queries.case_file(session, case.id, shop.clock.now()).steps
    assert [step.what for step in steps] == ["opened", "appealed"]
    assert steps[-1].words == "是我帮公司同事一起买的"
    shop.wait(days=4)
    with shop.runtime.sessions() as session:
        assert [one.late for one in queries.cases(session, shop.clock.now(), late=True)] == [True]
    li.says("帮助")
    decide(shop, "released")
    li.saw("核查通过", "按原来的日期结算")
    li.says("佣金").sees("待结算 ¥40.00")
    li.says("申诉 还有").sees("没有正在核查的佣金")


def test_appealed_in_one_breath_and_confiscated(shop: Shop) -> None:
    li, _ = five_orders(shop)
    li.says("申诉 都是真的订单").sees("已收到您的申诉")
    li.says("申诉 补充：有发货单").sees("已收到您的申诉")
    decide(shop, "confiscated")
    li.saw("核查不通过", "佣金已取消")
    li.says("明细").sees("核查不通过，佣金取消", "核查冻结")
    li.says("为什么 A1").sees("核查不通过（案件", "佣金 ¥8.00 已取消", "状态：已取消")
    li.says("佣金").sees("累计收入 ¥0.00")


def test_frozen_is_told_and_new_commission_is_kept(shop: Shop) -> None:
    li, xin = shop.person("李姐"), shop.person("新客", invited_by="李姐")
    with shop.runtime.sessions.begin() as session:
        now = shop.clock.now()
        team = demo_team.hire(session, now)
        row = shop.get(f"/people?openid={li.openid}&app_id={li.identity['app_id']}")
        asked = freezing.ask_freeze(session, row["id"], "举报", team["finance"], now)
        acts.decide(session, asked.id, True, team["owner"], now)
    shop.work()
    li.saw("账户正在核查", "暂时不能提现", "申诉")
    shop.paid("A1", by=xin, fen=10_000)
    li.saw("新佣金 ¥8.00（冻结中）")
    assert shop.get(f"/people/{row['id']}/wallet")["frozen_fen"] == 800
    line, = shop.get("/orders/mall/A1/commission")["lines"]
    assert line["state"] == "held"
    decide(shop, "released")
    li.saw("核查通过")
    li.says("佣金").sees("待结算 ¥8.00")


def test_an_appeal_can_be_called_off(shop: Shop) -> None:
    li, _ = five_orders(shop)
    li.says("申诉").sees("把情况说一说")
    li.says("取消")
    with shop.runtime.sessions() as session:
        assert [case.state for case in queries.cases(session, shop.clock.now())] == ["open"]
