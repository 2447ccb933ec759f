"""Withdrawals through the operator API: what waits, what became of it, approve, reject, retry, and the switch."""

from datetime import datetime
from typing import Annotated, Literal

import msgspec
from msgspec import Meta, Struct

from domain.payouts import queries, service
from domain.payouts.queries import WithdrawalView
from domain.shared.errors import NotFound
from domain.vault import queries as vault
from domain.workflows import withdrawing
from handlers.web.api.operations import Parameter
from handlers.web.ops.context import BIGGEST_ID, MONEY, NO_SUCH, REFUSED, Asked, OpsOperation, shaped

STATES = ("all", "asked", "approved", "paying", "paid", "partly_paid", "rejected", "failed", "expired", "cancelled")
PAGE = 50
_PLACES = (("no", "The withdrawal's number, as in Wabc123def."),)


class Payment(Struct):
    """One bill at the provider. ``fault`` says what a human must look at, empty mostly."""

    n: int
    out_bill_no: str
    state: str
    amount_fen: int
    fail_reason: str
    fault: str
    made_at: datetime
    paid_at: datetime | None


class Withdrawal(Struct):
    """A request. Until it has ended, ``tax_fen`` is what is reserved; ``paid_…`` is what was really paid."""

    id: int
    no: str
    kind: Annotated[Literal["withdrawal", "red_packet"], Meta(description="Asked for, or a gift on its way to change.")]
    person_id: int
    state: str
    gross_fen: int
    tax_fen: int
    paid_gross_fen: int
    paid_tax_fen: int
    reason: str
    review: Annotated[str, Meta(description="Why a human must look first; empty when nothing speaks against it.")]
    two_people: bool
    proposed_by: str
    decided_by: str
    asked_at: datetime
    decided_at: datetime | None
    ended_at: datetime | None
    bills: list[Payment]
    payee: Annotated[dict[str, str], Meta(description="Name, ID number and phone, masked.")]


class Withdrawals(Struct):
    """A page, newest first."""

    withdrawals: list[Withdrawal]
    next_before: Annotated[int | None, Meta(description="Send as ?before= for the next page; null at the end.")]


class Why(Struct):
    """A reason; a rejected person reads it."""

    reason: Annotated[str, Meta(max_length=500)]


class MayBe(Struct):
    """A reason; needed when a second person must agree."""

    reason: Annotated[str, Meta(max_length=500)] = ""


class Decided(Struct):
    """What came of it. ``approval_id`` waits for a second person, null when nobody has to."""

    withdrawal: Withdrawal
    approval_id: int | None


class Switch(Struct):
    """Whether money may leave; ``stopped_at`` null: it may."""

    stopped_at: datetime | None
    reason: str
    changed_by: str


def some(asked: Asked) -> Withdrawals:
    state = asked.choice("state", STATES, "all")
    found = queries.listed(asked.session, () if state == "all" else (state,), PAGE,
                           asked.number("before", 0, BIGGEST_ID))
    payees = vault.held_by(asked.session, [one.person_id for one in found])
    return Withdrawals([_shape(one, dict(payees.get(one.person_id, {}))) for one in found],
                       found[-1].id if len(found) == PAGE else None)


def one(asked: Asked) -> Withdrawal:
    return _shown(asked, _found(asked))


def approve(asked: Asked) -> Decided:
    wanted: MayBe = asked.body
    waiting = withdrawing.approve(asked.session, _found(asked).no, asked.actor, wanted.reason, asked.now)
    return Decided(_shown(asked, _found(asked)), waiting.id if waiting else None)


def reject(asked: Asked) -> Withdrawal:
    wanted: Why = asked.body
    service.reject(asked.session, _found(asked).id, asked.actor, wanted.reason, asked.now)
    return _shown(asked, _found(asked))


def retry(asked: Asked) -> Withdrawal:
    service.retry(asked.session, _found(asked).id, asked.actor, asked.now)
    return _shown(asked, _found(asked))


def switch(asked: Asked) -> Switch:
    return msgspec.convert(queries.switch(asked.session), Switch, from_attributes=True)


def stop(asked: Asked) -> Switch:
    wanted: Why = asked.body
    service.halt(asked.session, asked.actor, wanted.reason, asked.now)
    return switch(asked)


def go(asked: Asked) -> Switch:
    wanted: Why = asked.body
    service.go(asked.session, asked.actor, wanted.reason, asked.now)
    return switch(asked)


def _found(asked: Asked) -> WithdrawalView:
    found = queries.by_no(asked.session, asked.path["no"].replace("\0", ""))
    if found is None:
        raise NotFound("payout.unknown")
    return found


def _shown(asked: Asked, found: WithdrawalView) -> Withdrawal:
    return _shape(found, vault.held(asked.session, found.person_id))


def _shape(view: WithdrawalView, payee: dict[str, str]) -> Withdrawal:
    names = [name for name in Withdrawal.__struct_fields__ if name not in ("bills", "payee")]
    bills = [msgspec.convert(bill, Payment, from_attributes=True) for bill in view.bills]
    return Withdrawal(**{name: getattr(view, name) for name in names}, bills=bills, payee=payee)


_DECIDES = (NO_SUCH, REFUSED)

OPERATIONS = (
    OpsOperation("GET", "/withdrawals", "listWithdrawals", "Withdrawals", "What people want to take out",
                 "Newest first.", Withdrawals, some,
                 query=(Parameter("state", f"One of {', '.join(STATES)}; all if not given."),
                        Parameter("before", "next_before of the page before."))),
    OpsOperation("GET", "/withdrawals/<no>", "getWithdrawal", "Withdrawals", "One withdrawal",
                 "With its payments and the payee, masked.", Withdrawal, one, places=_PLACES, refusals=(NO_SUCH,)),
    OpsOperation("POST", "/withdrawals/<no>/approve", "approveWithdrawal", "Withdrawals", "Approve",
                 "At once, or by asking a second person when the sum is above the plan's limit.", Decided, approve,
                 body=(MayBe,), read_body=shaped(MayBe), places=_PLACES, refusals=_DECIDES, roles=MONEY),
    OpsOperation("POST", "/withdrawals/<no>/reject", "rejectWithdrawal", "Withdrawals", "Reject or call back",
                 "The money returns to the person, as far as it has not been paid.", Withdrawal, reject, body=(Why,),
                 read_body=shaped(Why), places=_PLACES, refusals=_DECIDES, roles=MONEY),
    OpsOperation("POST", "/withdrawals/<no>/retry", "retryWithdrawal", "Withdrawals", "Do what is due at once",
                 "Under the same numbers: nothing can be paid twice by it.", Withdrawal, retry, places=_PLACES,
                 refusals=(NO_SUCH, REFUSED), roles=MONEY),
    OpsOperation("GET", "/payouts", "getPayoutSwitch", "Withdrawals", "Whether money may leave", "And who stopped it.",
                 Switch, switch),
    OpsOperation("POST", "/payouts/stop", "stopPayouts", "Withdrawals", "Let no money leave",
                 "Requests wait; what is under way is still looked after.", Switch, stop, body=(Why,),
                 read_body=shaped(Why), refusals=(REFUSED,), roles=MONEY),
    OpsOperation("POST", "/payouts/go", "startPayouts", "Withdrawals", "Let money leave again",
                 "What waited goes at once.", Switch, go, body=(Why,), read_body=shaped(Why),
                 refusals=(REFUSED,), roles=MONEY),
)
