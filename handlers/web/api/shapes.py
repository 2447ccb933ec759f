"""What the API says, as types: answers are encoded from them and the specification is generated from them.

Money is integer fen, rates are basis points (100 = 1 %), times are ISO 8601 with an offset.
"""

from datetime import datetime
from typing import Annotated, Literal

from msgspec import Meta, Struct

Fen = Annotated[int, Meta(description="Money in fen (1/100 yuan).")]
PersonId = Annotated[int, Meta(description="A person's id in this service; stable. A merged person's old id still "
                                           "answers.")]


class Fault(Struct, frozen=True):
    """What is wrong where."""

    pointer: Annotated[str, Meta(description="JSON pointer (RFC 6901) into the body; for queries, / and the "
                                             "parameter's name.")]
    message: str


class ErrorBody(Struct):
    """``code`` is stable, ``message`` is for people, ``faults`` has every fault of a body that was refused."""

    code: str
    message: str
    faults: list[Fault] = []


class Problem(Struct):
    """The answer of every refusal."""

    error: ErrorBody


class Accepted(Struct):
    """The batch is stored and will be applied within a second or so, each event once."""

    accepted: Annotated[int, Meta(ge=0, description="Events that are new.")]
    duplicate: Annotated[int, Meta(ge=0, description="Events that were stored before with the same content.")]


class Person(Struct):
    """Somebody, whatever they use to reach the shop."""

    id: PersonId
    nickname: Annotated[str, Meta(description="Empty when no channel told one.")]
    role: Literal["member", "promoter", "gold", "partner"]
    title: Annotated[str, Meta(description="What the shop calls this person: an honour that they wear, else the "
                                            "title of their role.")]
    tier: Annotated[str | None, Meta(description="Membership tier; null when the person has none.")]
    referral_code: str
    referrer_id: Annotated[int | None, Meta(description="To whom a purchase now would belong; null for nobody.")]
    tags: list[str]
    benefits: list[str]
    joined_at: datetime


class Wallet(Struct):
    """What somebody has earned, by how far it is. Points are pieces, the rest is fen."""

    pending_fen: Annotated[int, Meta(description="Earned, waiting for receipt and the hold to pass.")]
    available_fen: Annotated[int, Meta(description="Can be withdrawn.")]
    frozen_fen: Annotated[int, Meta(description="Held back by a review.")]
    withdrawing_fen: Annotated[int, Meta(description="On its way out.")]
    paid_fen: Annotated[int, Meta(description="Paid out so far.")]
    debt_fen: Annotated[int, Meta(description="To be repaid from later income, after refunds of paid-out money.")]
    points: int


class StatementLine(Struct):
    """One movement of money or points between two accounts of the ledger."""

    id: str
    at: Annotated[datetime, Meta(description="When it happened.")]
    booked_at: Annotated[datetime, Meta(description="When it was booked.")]
    reason: Annotated[str, Meta(description="Kind of the booking, as in commission.accrued.")]
    source: Annotated[str, Meta(description="The account it left.")]
    target: Annotated[str, Meta(description="The account it reached.")]
    amount: Annotated[int, Meta(description="Fen, or points where currency is PTS; always positive.")]
    change: Annotated[int, Meta(description="What it did to what the person owns: + earned, - taken, 0 moved within.")]
    currency: Literal["CNY", "PTS"]
    order: Annotated[str, Meta(description="channel/order_id of the order behind it, empty if none. Of a reward for "
                                           "coming back: of the order that opened it.")]
    cause: Annotated[str, Meta(description="What else is behind it, as in reward:7, draw:3 or withdrawal:…; empty if "
                                           "it is an order alone.")]


class Statement(Struct):
    """A page of ledger lines, newest first."""

    lines: list[StatementLine]
    next_cursor: Annotated[str | None, Meta(description="Send as ?cursor= for the next page; null at the end.")]


class Reward(Struct):
    """What a step of the repurchase ladder gives."""

    kind: Literal["red_packet", "coupon", "tier"]
    title: str
    amount_fen: Annotated[int | None, Meta(description="Null where the reward is not money.")]
    within_days: Annotated[int | None, Meta(description="Only when bought within so many days of the first order.")]


class Progress(Struct):
    """Where somebody stands on the repurchase ladder. A repurchase is a paid order after the first, not returned."""

    repurchases: Annotated[int, Meta(ge=0)]
    current: Annotated[int, Meta(ge=0, description="The step reached, in repurchases; 0 before the first.")]
    next: Annotated[int | None, Meta(description="The next step that can be reached; null at the top.")]
    remaining: Annotated[int, Meta(ge=0, description="Repurchases until then; 0 at the top.")]
    reward: Annotated[Reward | None, Meta(description="What the next step gives.")]


class Coupon(Struct):
    """A coupon of one person, as of now."""

    code: str
    kind: str
    title: str
    off_fen: Annotated[int, Meta(description="Fen off; 0 for a coupon that takes a part of the price, see pay_bps.")]
    min_spend_fen: Fen
    valid_from: datetime
    valid_until: datetime
    state: Literal["issued", "used", "expired", "revoked"]
    used_channel: Annotated[str, Meta(description="Empty unless used.")]
    used_order: Annotated[str, Meta(description="Empty unless used.")]
    used_at: datetime | None
    pay_bps: Annotated[int, Meta(description="What is to be paid of the price: 9500 is 95 %; 10000 with off_fen.")]
    max_off_fen: Annotated[int, Meta(description="The most that pay_bps takes off, in fen; 0: no limit.")]


class Coupons(Struct):
    """Newest first, whatever their state."""

    coupons: list[Coupon]


class Redeem(Struct):
    """The order that burns the coupon. The same order again gets the same answer."""

    order_id: Annotated[str, Meta(min_length=1, max_length=64)]
    channel: Annotated[str, Meta(min_length=1, max_length=64)]


class CommissionLine(Struct):
    """Somebody's part of one order line."""

    beneficiary_id: PersonId
    level: Annotated[int, Meta(ge=1, description="1: the buyer's referrer, 2: the referrer's referrer.")]
    kind: str
    base_fen: Annotated[int, Meta(description="What was really paid for the goods of this line.")]
    rate_bps: Annotated[int, Meta(description="The rate as applied, in basis points: 800 is 8 %.")]
    rule: Annotated[str, Meta(description="The rule of the plan that set the rate.")]
    rule_bps: Annotated[int, Meta(description="The rule's own rate, before phase and boost.")]
    phase: Annotated[str, Meta(description="The campaign phase of the day it was paid; empty if none.")]
    phase_bps: Annotated[int, Meta(description="What the phase multiplies rates by: 15000 is x1.5.")]
    boost_bps: Annotated[int, Meta(description="What the person's own boost multiplies rates by: 12000 is x1.2.")]
    plan_version: int
    amount_fen: Annotated[int, Meta(description="As struck at payment, after the plan's cap.")]
    left_fen: Annotated[int, Meta(description="What refunds have left of it.")]
    state: Annotated[Literal["pending", "held", "available", "clawed_back", "confiscated"], Meta(description=(
        "pending until receipt and the hold have passed; held while it is under review; clawed_back when refunds left"
        " nothing; confiscated when a review took it."))]


class Commission(Struct):
    """Who earns what from an order."""

    lines: list[CommissionLine]


class LedgerCheck(Struct):
    """Every balance against its postings, every deal against its journals."""

    balanced: bool
    accounts: Annotated[int, Meta(ge=0)]
    entries: Annotated[int, Meta(ge=0)]
    checked_at: datetime
