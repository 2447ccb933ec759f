"""The fund bill of each day against our bills, once it is there: after ten in the morning, and until it was had."""

from datetime import timedelta

import structlog

from bot.kit.chores import Chores
from bot.kit.jobs import JobContext
from bot.kit.pay import FundBillNotReady, PayGateways
from domain.payouts import reconcile

chores = Chores()
log = structlog.get_logger(__name__)


@chores.every("pay.reconcile", timedelta(minutes=20))
def compare_due(ctx: JobContext) -> bool:
    """One day of each merchant account; True while more days are left. A bill that is not there is asked for again."""
    more = False
    for account, gateway in sorted(ctx.tool(PayGateways).by_account.items()):
        with ctx.begin() as session:
            days = reconcile.due_days(session, account, ctx.now())
            if not days and (settled := reconcile.settle_blind(session, account, ctx.now())):
                log.warning("pay.settled_by_fund_bill", account=account, bills=settled)
        if not days:
            continue
        try:
            lines = gateway.fund_bill(days[0])
        except FundBillNotReady as fault:
            log.warning("pay.fund_bill_missing", account=account, day=days[0].isoformat(), reason=str(fault))
            continue
        with ctx.begin() as session:
            report = reconcile.compare(session, account, days[0], lines, ctx.now())
        tell = log.error if report.opened else log.info
        tell("pay.reconciled", account=account, day=days[0].isoformat(), lines=report.lines,
             differences=len(report.differences), opened=report.opened)
        more = more or len(days) > 1
    return more
