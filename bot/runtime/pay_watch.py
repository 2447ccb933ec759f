"""Payments on their way, as gauges for /metrics and as findings of the doctor. Reads only."""

from collections.abc import Iterator
from datetime import datetime, timedelta

from sqlalchemy.orm import Session

from bot.runtime.findings import Finding
from domain.payouts import queries, rules, watch
from domain.payouts.watch import Trouble, Watched

ASKED_LONG = timedelta(hours=24)
"""People were told that somebody looks; after a day nobody has."""


def _ago(by: timedelta) -> str:
    return f"now() - interval '{int(by.total_seconds())} seconds'"


_KINDS = (watch.KINDS.replace(":overdue", _ago(rules.OVERDUE)).replace(":slow", _ago(watch.SLOW))
          .replace(":unheard", _ago(watch.UNHEARD)))

GAUGES = {
    "huitou_payout_bills": (
        "Payments that have not ended, by the worst of their troubles: "
        "contradiction, config, refused, no_money, frozen, blind, overdue, "
        "slow, unheard, none.", "trouble",
        f"select coalesce(nullif(trouble, ''), 'none'), count(*) from ({_KINDS}) k group by 1"),  # noqa: S608 - constants
    "huitou_payout_oldest_seconds": (
        "Age of the oldest payment that has not ended, by its state; queries go blind after 30 days.", "state",
        "select state, extract(epoch from now() - min(made_at)) from transfer_bill "
        "where state not in ('SUCCESS', 'FAIL', 'CANCELLED', 'dropped') group by state"),
    "huitou_payout_held_fen": (
        "Held by requests that have not ended.", "state",
        "select state, sum(gross_fen) from withdrawal where state in ('asked', 'approved', 'paying') group by state"),
    "huitou_payout_asked_seconds": (
        "How long the oldest request has waited for a decision of people.", "decision",
        "select case when two_people then 'two people' else 'one' end, extract(epoch from now() - min(asked_at)) "
        "from withdrawal where state = 'asked' group by 1"),
    "huitou_payout_stopped_seconds": (
        "For how long no money may leave; nothing while it may.", "by",
        "select changed_by, extract(epoch from now() - stopped_at) from payout_switch where stopped_at is not null"),
    "huitou_pay_certificate_seconds": (
        "Until the newest certificate of the platform runs out; none for merchants with a public key.", "mch_id",
        "select mch_id, extract(epoch from max(valid_until) - clock_timestamp()) from pay_certificate group by mch_id"),
    "huitou_fund_bill_age_seconds": (
        "Since the end of the last day whose fund bill was compared.", "account",
        "select account, extract(epoch from now() - ((max(day) + 1)::timestamp at time zone 'Asia/Shanghai')) "
        "from fund_day group by account"),
}
"""As bot.runtime.metrics wants them: name -> (meaning, label, query giving label and value)."""

_FOUND: dict[Trouble, tuple[str, str]] = {
    "contradiction": ("与微信支付说法不一致：{fault}",
                      "在商户平台核对这笔单据，再运行 python -m bot pay status 与 pay explain"),
    "config": ("微信支付拒绝我们的配置：{fault}",
               "核对 accounts.toml 的 [pay.{account}]：商户号、序列号、密钥、AppID 绑定、产品权限；"
               "改好后十分钟内自动重试"),
    "refused": ("微信支付不受理：{fault}",
                "排除原因后 python -m bot withdrawal retry {no}，或 withdrawal reject {no} 把钱退回账户"),
    "no_money": ("商户运营账户余额不足", "给商户号充值；同一笔单据会自动再发，不要换号重付"),
    "frozen": ("收款人在审核通过后被冻结",
               "先处理风控案件（python -m bot risk cases），再 withdrawal retry {no} 或 reject {no}"),
    "blind": ("超过 29 天，微信支付已查不到", "python -m bot pay reconcile：以资金账单为准；在商户平台查这笔单据"),
    "overdue": ("超过 3 天没有结果", "在商户平台查这笔单据并联系微信支付；30 天后就查不到了"),
    "slow": ("超过 26 小时没有结果（未确认的单据应在 24 小时后关闭）", "python -m bot withdrawal retry {no} 立即查询"),
    "unheard": ("发出后没有结果，且 15 分钟没有再查询", "检查慢队列工作进程（worker slow）与 clock 是否在运行"),
}
_RED: frozenset[Trouble] = frozenset({"contradiction", "config", "refused", "blind", "overdue"})


def findings(session: Session, account: str, now: datetime) -> Iterator[Finding]:
    """What is wrong with payments of a merchant account now: the worst first, one line a kind."""
    for one in watch.watched(session, now):
        if one.account == account:
            yield _finding(one)
    waits = [view for view in queries.listed(session, ("asked",), 1_000)
             if view.account == account and now - view.asked_at > ASKED_LONG]
    if waits:
        yield Finding(f"requests (pay.{account})", "yellow", f"{len(waits)} 笔提现申请等待审核超过 24 小时",
                      f"python -m bot withdrawal list --state asked；最早的是 {waits[-1].no}")


def _finding(one: Watched) -> Finding:
    cause, remedy = _FOUND[one.trouble]
    facts = {"fault": one.fault.partition(": ")[2] or one.fault, "no": one.no, "account": one.account}
    return Finding(f"payments {one.trouble} (pay.{one.account})", "red" if one.trouble in _RED else "yellow",
                   f"{one.bills} 笔共 ¥{one.fen // 100}.{one.fen % 100:02d}，最早 {one.no}：{cause.format(**facts)}",
                   remedy.format(**facts))
