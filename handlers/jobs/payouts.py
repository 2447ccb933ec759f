"""Payments on their way to the provider and back, and what a person is told about each.

A call is written down and committed before it is made, its end after: whoever dies in between leaves a bill in doubt,
which is asked about under its own number. PostgreSQL owns every due time; an effect only makes the first call quick.
"""

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import structlog

from bot.kit.chores import Chores
from bot.kit.copy import Copy
from bot.kit.jobs import Claimed, Done, Ended, JobContext, Jobs, Later, Refused
from bot.kit.links import Links
from bot.kit.pay import Bill, PayGateway, PayGateways, PayOutcome, PayResult
from domain.audit.rules import SYSTEM
from domain.notices import service as notices
from domain.payouts import queries, recalling
from domain.payouts import service as payouts
from domain.payouts.queries import BillView, WithdrawalView
from domain.payouts.service import Change, Step, Told
from domain.people.queries import survivors
from domain.vault import service as vault
from domain.vault.seal import Vault

jobs = Jobs()
chores = Chores()
log = structlog.get_logger(__name__)

CALLS = 5
"""Calls of one piece of work: each may take as long as the provider lets it."""
OTHERS_LEAVE, LOOK_AGAIN = timedelta(minutes=1), timedelta(seconds=3)
"""So long the offer to confirm waits for other bills of the same withdrawal, to name all of them."""
TAPPED_OR_WAITING = frozenset({"WAIT_USER_CONFIRM", "TRANSFERING", "SUCCESS"})
AT_ONCE = 100
LINK_LASTS = timedelta(hours=24)
"""As long as the confirmation it leads to."""

TOLD = ("approved", "paid", "partly_paid", "rejected", "failed", "expired", "cancelled")


@chores.every("payouts.drive", timedelta(seconds=10))
def drive_due(ctx: JobContext) -> bool:
    """Everything that is due about payments, a few calls at a time."""
    return _drive(ctx, None)


@jobs.on("withdrawal.drive")
def drive_now(ctx: JobContext, effect: Claimed) -> Ended:
    """One withdrawal's calls at once, so that nobody waits for the round. What is left, the round does."""
    _drive(ctx, effect.payload["withdrawal_id"])
    return Done()


@jobs.on("person.frozen")
def call_back_of_frozen(ctx: JobContext, effect: Claimed) -> Ended:
    """Before anything else, whatever still waits for the tap of somebody frozen is called back."""
    return _call_back(ctx, effect, recalling.of_frozen)


@jobs.on("debt.made")
def call_back_of_debtor(ctx: JobContext, effect: Claimed) -> Ended:
    """Money that is on its way repays what its person owes since."""
    return _call_back(ctx, effect, recalling.of_debtor)


@chores.every("payouts.recall", timedelta(minutes=1))
def recall(ctx: JobContext) -> bool:
    """What slipped by: asked for or approved in the very moment of the freeze, or frozen before this was done."""
    with ctx.begin() as session:
        people = recalling.frozen_with_bills(session, AT_ONCE)
    for person_id in people:
        with ctx.begin() as session:
            _recalled(ctx, session, person_id, recalling.of_frozen(session, person_id, ctx.now()))
    return len(people) == AT_ONCE


def _call_back(ctx: JobContext, effect: Claimed, of_whom: Callable[[Any, int, datetime], int]) -> Ended:
    assert effect.person_id is not None
    with ctx.begin() as session:
        alive = survivors(session, [effect.person_id]).get(effect.person_id, effect.person_id)
        done = of_whom(session, alive, ctx.now())
        _recalled(ctx, session, alive, done)
    return Done({"withdrawals": done})


def _recalled(ctx: JobContext, session: Any, person_id: int, done: int) -> None:
    """An offer to confirm that has not left yet is none any more."""
    if done:
        notices.overtake(session, person_id, ["payout.told.confirm", "packet.confirm"], ctx.now())


def _drive(ctx: JobContext, withdrawal_id: int | None) -> bool:
    for _ in range(CALLS):
        with ctx.begin() as session:
            step = payouts.claim(session, ctx.now(), withdrawal_id)
        if step is None:
            return False
        result = _call(ctx, step)
        pause = max(result.retry_at - ctx.now(), timedelta(seconds=1)) if result.retry_at else timedelta(seconds=10)
        told = Told(result.outcome.value, result.view, result.code, pause)
        with ctx.begin() as session:
            change = payouts.record(session, step, told, ctx.now())
        _log(step, result, change)
    return True


def _call(ctx: JobContext, step: Step) -> PayResult:
    gateway: PayGateway | None = ctx.tool(PayGateways).by_account.get(step.account)
    if gateway is None:
        return PayResult(PayOutcome.CONFIG, code="NO_SUCH_ACCOUNT")
    match step.act:
        case "query":
            return gateway.query(step.out_bill_no)
        case "cancel":
            return gateway.cancel(step.out_bill_no)
        case "transfer":
            return gateway.transfer(Bill(step.out_bill_no, step.openid, step.amount_fen, step.remark,
                                         _name(ctx, step)))


def _name(ctx: JobContext, step: Step) -> str:
    """The real name, where the provider wants it; that it was looked at is written down before it is sent."""
    if not step.with_name:
        return ""
    with ctx.begin() as session:
        return vault.reveal(session, ctx.tool(Vault), step.person_id, ["real_name"], SYSTEM,
                            f"bill {step.out_bill_no}", ctx.now()).real_name


def _log(step: Step, result: PayResult, change: Change | None) -> None:
    facts: dict[str, object] = {"bill": step.out_bill_no, "act": step.act, "outcome": result.outcome.value,
                                "code": result.code}
    if change is not None and change.alarming:
        log.error("payout.alarm", what=change.what, detail=change.detail, **facts)
    elif result.outcome in (PayOutcome.CONFIG, PayOutcome.REFUSED):
        log.error("payout.refused", detail=result.detail, **facts)
    else:
        log.info("payout.called", change=change.what if change else "", **facts)


@jobs.on("withdrawal.confirm")
def waits(ctx: JobContext, effect: Claimed) -> Ended:
    """One notice for all bills that wait: while more are just leaving, the last of them speaks for all. What stays
    behind (no money, a day's limit) is not waited for long, and is told of when it comes."""
    with ctx.begin() as session:
        found = queries.by_id(session, effect.payload["withdrawal_id"])
        assert found is not None
        if not found.confirmable_fen:
            return Refused("not_waiting")
        now = ctx.now()
        if now < effect.created_at + OTHERS_LEAVE and any(_leaves_soon(bill, now) for bill in found.bills):
            return Later("others_leave", min(now + LOOK_AGAIN, effect.created_at + OTHERS_LEAVE))
        last = max(bill.n for bill in found.bills if bill.state in TAPPED_OR_WAITING)
        notice = notices.Notice(found.person_id, "money", f"withdrawal.confirm:{found.id}:upto:{last}",
                                "payout.told.confirm", _confirm(ctx, found),
                                expires_at=effect.created_at + LINK_LASTS)
        notices.tell(session, notice, now)
    return Done()


def _leaves_soon(bill: BillView, now: datetime) -> bool:
    return bill.state in ("made", "ACCEPTED", "PROCESSING") and not bill.fault and (
        bill.due_at is not None and bill.due_at <= now + OTHERS_LEAVE)


def _tell(ctx: JobContext, effect: Claimed) -> Ended:
    """One notice a fact. Amounts are what the books say now, not what was hoped when the fact was written."""
    state = effect.kind.removeprefix("withdrawal.")
    with ctx.begin() as session:
        found = queries.by_id(session, effect.payload["withdrawal_id"])
        assert found is not None
        facts = FACTS[state](ctx, found)
        if FACTS[state] in (_back, _partly):
            facts["repaid_fen"] = queries.repaid(session, found.id)
        notices.tell(session, notices.Notice(found.person_id, "money", effect.key, f"payout.told.{state}", facts),
                     ctx.now())
    return Done()


for _state in TOLD:
    jobs.on(f"withdrawal.{_state}")(_tell)


def _approved(ctx: JobContext, found: WithdrawalView) -> dict[str, Any]:
    return {"no": found.no, "gross_fen": found.gross_fen, "tax_fen": found.tax_fen, "net_fen": found.net_fen}


def _confirm(ctx: JobContext, found: WithdrawalView) -> dict[str, Any]:
    waiting = [bill for bill in found.bills if bill.state == "WAIT_USER_CONFIRM"]
    coming = [bill for bill in found.bills if bill.state in ("made", "ACCEPTED", "PROCESSING")]
    page = ctx.tool(Links).to("withdrawals", found.person_id, str(found.id), int(LINK_LASTS.total_seconds()))
    return {"no": found.no, "fen": sum(bill.amount_fen for bill in waiting), "bills": len(waiting), "page": page,
            "later_fen": sum(bill.amount_fen for bill in coming), "later": len(coming)}


def _paid(ctx: JobContext, found: WithdrawalView) -> dict[str, Any]:
    return {"no": found.no, "gross_fen": found.paid_gross_fen, "tax_fen": found.paid_tax_fen,
            "net_fen": found.paid_gross_fen - found.paid_tax_fen}


def _partly(ctx: JobContext, found: WithdrawalView) -> dict[str, Any]:
    return _paid(ctx, found) | {"back_fen": found.gross_fen - found.paid_gross_fen,
                                 "reason": said_of(ctx.copy, found.reason)}


def _back(ctx: JobContext, found: WithdrawalView) -> dict[str, Any]:
    return {"no": found.no, "gross_fen": found.gross_fen, "reason": said_of(ctx.copy, found.reason)}


def said_of(copy: Copy, reason: str) -> str:
    """The reason why money came back, as people are told it: what the provider calls a cause has a text of its own."""
    key = f"payout.cause.{reason}"
    return copy.render(key) if copy.has(key) else reason


FACTS = {"approved": _approved, "paid": _paid, "partly_paid": _partly, "rejected": _back,
         "failed": _back, "expired": _back, "cancelled": _back}
