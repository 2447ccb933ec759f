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
    return f":now - interval '{int(by.total_seconds())} seconds'"


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
        "select state, extract(epoch from :now - min(made_at)) from transfer_bill "
        "where state not in ('SUCCESS', 'FAIL', 'CANCELLED', 'dropped') group by state"),
    "huitou_payout_held_fen": (
        "Held by requests that have not ended.", "state",
        "select state, sum(gross_fen) from withdrawal where state in ('asked', 'approved', 'paying') group by state"),
    "huitou_payout_asked_seconds": (
        "How long the oldest request has waited for a decision of people.", "decision",
        "select case when two_people then 'two people' else 'one' end, extract(epoch from :now - min(asked_at)) "
        "from withdrawal where state = 'asked' group by 1"),
    "huitou_payout_stopped_seconds": (
        "For how long no money may leave; nothing while it may.", "by",
        "select changed_by, extract(epoch from :now - stopped_at) from payout_switch where stopped_at is not null"),
    "huitou_pay_certificate_seconds": (
        "Until the newest certificate of the platform runs out; none for merchants with a public key.", "mch_id",
        "select mch_id, extract(epoch from max(valid_until) - clock_timestamp()) from pay_certificate group by mch_id"),
    "huitou_fund_bill_age_seconds": (
        "Since the end of the last day whose fund bill was compared.", "account",
        "select account, extract(epoch from :now - ((max(day) + 1)::timestamp at time zone 'Asia/Shanghai')) "
        "from fund_day group by account"),
}
"""As bot.runtime.metrics wants them: name -> (meaning, label, query giving label and value)."""

_FOUND: dict[Trouble, tuple[str, str]] = {
    "contradiction": ("WeChat Pay says otherwise: {fault}",
                      "look the bill up on 商户平台, then python -m bot pay status and pay explain"),
    "config": ("WeChat Pay refuses our configuration: {fault}",
               "check [pay.{account}] of accounts.toml: number, serial, keys, bound AppID, rights; "
               "it is tried again within ten minutes"),
    "refused": ("WeChat Pay does not take it: {fault}",
                "mend the cause, then python -m bot withdrawal retry {no}; withdrawal reject {no} gives it back"),
    "no_money": ("the merchant's account is empty",
                 "top it up; the same bill is sent again by itself, never pay it under another number"),
    "frozen": ("its person was frozen after it was approved",
               "decide the case (python -m bot risk cases), then withdrawal retry {no} or reject {no}"),
    "blind": ("older than 29 days, WeChat Pay does not know it any more",
              "python -m bot pay reconcile: the fund bill decides; look it up on 商户平台"),
    "overdue": ("no result for 3 days",
                "look it up on 商户平台 and ask WeChat Pay; after 30 days it cannot be asked for"),
    "slow": ("no result for 26 hours, though it closes after 24 without a tap",
             "python -m bot withdrawal retry {no} asks at once"),
    "unheard": ("sent, and nobody asked for its result for 15 minutes",
                "check that a slow worker and the clock run"),
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
        yield Finding(f"requests (pay.{account})", "yellow", f"{len(waits)} have waited for a decision for over a day",
                      f"python -m bot withdrawal list --state asked; the oldest is {waits[-1].no}")


def _finding(one: Watched) -> Finding:
    cause, remedy = _FOUND[one.trouble]
    facts = {"fault": one.fault.partition(": ")[2] or one.fault, "no": one.no, "account": one.account}
    return Finding(f"payments {one.trouble} (pay.{one.account})", "red" if one.trouble in _RED else "yellow",
                   f"{one.bills}, ¥{one.fen // 100}.{one.fen % 100:02d}, the oldest {one.no}: {cause.format(**facts)}",
                   remedy.format(**facts))
