"""为什么: every kind of money explains itself, from whose orders, by which rule, and what was taken back."""

from bot.runtime import demo_team
from domain.commissions import plans
from domain.commissions import service as commissions
from domain.risk import queries
from domain.roles import service as roles
from domain.roles.service import Cause
from domain.settlements import service_acts
from domain.workflows import acts, freezing
from tests.dialogs.test_grants import granted, person_id
from tests.fakes.shop import Person, Shop

DAYS_TO_DECEMBER = 10.7


def promote(shop: Shop, who: Person, role: str) -> None:
    with shop.runtime.sessions.begin() as session:
        now = shop.clock.now()
        roles.grant(session, person_id(shop, who), role, Cause("operator", "x"), now, now)


def test_ladder_and_team_of_a_month_with_what_came_later(shop: Shop) -> None:
    li = shop.person("李姐")
    wang = shop.person("小王", invited_by="李姐")
    shop.person("新客人", invited_by="小王")
    promote(shop, li, "partner")
    shop.paid("A1", by=wang, fen=5_200_000)
    shop.paid("A2", by=shop.people["新客人"], fen=1_000_000)
    shop.refunded("A1", fen=100_000)
    li.says("为什么 本月").sees("2026年11月阶梯奖（按现在的销售预计", "直销净额 ¥51000.00（已减退款 ¥1000.00）\n",
                            "来自：小* ¥51000.00（1 单）", "¥50000.00 × 5% = ¥2500.00", "¥1000.00 × 8% = ¥80.00",
                            "合计 ¥2580.00", "2026年11月团队奖（按现在", "来自：小* ¥10000.00（1 单）",
                            "¥10000.00 × 2% = ¥200.00", "方案第 1 版")
    shop.wait(days=DAYS_TO_DECEMBER)
    shop.wait(hours=7)
    shop.refunded("A1", fen=200_000)
    shop.wait(minutes=6)
    li.says("为什么 2580").sees("2026年11月阶梯奖\n", "12月1日结算 +¥2580.00", "12月1日扣回 -¥130.00（月结后有退款",
                             "合计 ¥2450.00", "¥2450.00 待结算，12月8日可提现")
    li.says("为什么 -130").sees("2026年11月阶梯奖\n", "合计 ¥2450.00")
    li.says("为什么 200元").sees("2026年11月团队奖\n", "结算 +¥200.00")
    li.says("11月的佣金为什么少了").sees("2026年11月阶梯奖\n", "2026年11月团队奖\n")
    li.says("为什么").sees("2026年11月阶梯奖\n")
    shop.wait(days=8)
    li.says("为什么 2450").sees("2026年11月阶梯奖\n", "已全部结清")
    li.says("为什么 三月").sees("2026年3月没有阶梯奖")
    li.says("为什么 66.66").sees("没有找到「66.66」对应的收支")
    li.says("2580").sees("2026年11月阶梯奖\n")
    wang.says("为什么 2580").sees("没有找到")


def test_milestones_service_presents_and_rewards(shop: Shop) -> None:
    li, xin = shop.person("李姐"), shop.person("新客")
    shop.paid("L1", by=li, fen=9_900)
    shop.received("L1")
    xin.scans(li.poster())
    shop.paid("B1", by=xin, fen=10_000)
    shop.wait(minutes=2)
    li.says("为什么 50").sees("推广奖「首次开单」¥50.00", "来自：新*", "达成", "待结算，退货期过后可提现")
    shop.refunded("B1", fen=10_000, quantity=3)
    shop.wait(minutes=2)
    li.says("为什么 50").sees("推广奖「首次开单」¥50.00", "扣回 ¥50.00，订单退货或取消后不再达标")

    assert granted(shop, li, "red_packet", 888, "present") == "done"
    li.says("为什么 8.88").sees("红包¥8.88", "由店铺赠送，不来自订单")

    shop.paid("L2", by=li, fen=9_900)
    shop.wait(minutes=2)
    li.says("为什么 5").sees("红包「", "您的第 2 笔未退货订单", "订单 L2", "待生效")
    shop.refunded("L2", fen=9_900, quantity=3)
    shop.wait(minutes=2)
    li.says("为什么 5").sees("已扣回 ¥5.00，订单退货后不再达标")


def test_service_pay_and_a_withdrawal(shop: Shop) -> None:
    li = shop.person("李姐")
    with shop.runtime.sessions.begin() as session:
        now = shop.clock.now()
        plan = commissions.live_plan(session, now).document()
        service = [{"key": "after_sale", "title": "售后响应", "fen": 12_000, "per_month": 2}]
        commissions.ensure_plan(session, plans.parse(plan | {"name": "with service", "service": service}), now)
        operator = demo_team.hire(session, now)["finance"]
    shop.wait(minutes=1)
    with shop.runtime.sessions.begin() as session:
        now = shop.clock.now()
        done = service_acts.record(session, person_id(shop, li), "after_sale", "TK-1", now, operator, now)
        service_acts.record(session, person_id(shop, li), "after_sale", "TK-2", now, operator, now)
    li.says("为什么 120").sees("服务奖励「售后响应」¥120.00", "单号 TK-1；每次 ¥120.00，每月最多 2 次", "待结算，11月")
    with shop.runtime.sessions.begin() as session:
        service_acts.revoke(session, done.id, "记错了人", operator, shop.clock.now())
    li.says("为什么 120").sees("单号 TK-1", "扣回 ¥120.00，原因：记错了人", "单号 TK-2")
    shop.wait(days=8)
    li.says("提现 120").sees("请阅读")
    li.says("同意")
    li.says("张三丰")
    li.says("确认")
    li.says("为什么 120").sees("提现 ", "申请 ¥120.00", "¥120.00 − 个税 ¥0.00 = ¥120.00", "单号 TK-2", "起可提现")


def test_a_rate_for_some_goods_and_a_role_is_said_in_words(shop: Shop) -> None:
    li, xin = shop.person("李姐"), shop.person("新客", invited_by="李姐")
    promote(shop, li, "gold")
    shop.paid("A1", by=xin, fen=10_000)
    li.says("为什么 A1").sees("¥100.00 × 25% = ¥25.00", "依据：日用食品类金牌推荐官专属比例（方案第 1 版")
    with shop.runtime.sessions.begin() as session:
        now = shop.clock.now()
        plan = commissions.live_plan(session, now).document()
        rule = {"level": 1, "rate_bps": 3_000, "sku": "RICE-5KG", "role": "gold"}
        commissions.ensure_plan(session, plans.parse(plan | {"name": "rice", "rules": [*plan["rules"], rule]}), now)
    shop.wait(minutes=1)
    shop.paid("A2", by=xin, fen=10_000)
    li.says("为什么 A2").sees("¥100.00 × 30% = ¥30.00", "依据：这件商品的金牌推荐官专属比例（方案第 2 版")


def test_what_a_case_holds_and_takes_says_so(shop: Shop) -> None:
    """Five orders of one buyer in a day go to a reviewer, of their own accord and with a reason."""
    li, xin = shop.person("李姐"), shop.person("新客", invited_by="李姐")
    for n in range(4):
        shop.paid(f"A{n}", by=xin, fen=10_000)
        shop.wait(minutes=2)
    li.says("为什么 A3").sees("状态：待结算")
    shop.paid("A4", by=xin, fen=10_000)
    shop.wait(minutes=2)
    with shop.runtime.sessions() as session:
        case, = queries.cases(session, shop.clock.now())
    assert (case.rule, case.effect, case.lines, case.held_fen) == ("velocity", "hold", 5, 4_000)
    why = f"案件 {case.id}：同一个人一天内下单较多"
    li.says("为什么 A4").sees("核查中，暂时冻结", why, "回复「申诉」")
    with shop.runtime.sessions.begin() as session:
        now = shop.clock.now()
        team = demo_team.hire(session, now)
        asked = freezing.ask_decision(session, case.id, "confiscated", "看过了", team["finance"], now)
        acts.decide(session, asked.id, True, team["owner"], now)
    shop.work()
    li.says("为什么 8").sees("A4", f"核查不通过（{why}），佣金 ¥8.00 已取消", "状态：已取消")
