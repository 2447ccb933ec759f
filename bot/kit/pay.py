"""Paying a person money through a payment provider: what may be asked, what is answered, and what an answer means.

The words of ``PayState`` are WeChat Pay's own (merchant transfer, one bill a call). Implemented in
bot.runtime.gateways, faked in tests. The one rule that everything hangs on: **the bill number is the key**. Only an
answer that says ``FAIL`` or ``CANCELLED`` about a bill lets the same money leave under another number.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from enum import StrEnum
from typing import Literal, Protocol

Purpose = Literal["commission", "gift"]


class PayState(StrEnum):
    """Where a bill stands at the provider, spelled as the provider spells it (one R, two L)."""

    ACCEPTED = "ACCEPTED"                        # taken down; may be sent again under the same number
    PROCESSING = "PROCESSING"                    # in work; if it stays, the merchant's own account lacks money
    WAIT_USER_CONFIRM = "WAIT_USER_CONFIRM"      # the person must confirm in WeChat; the only state with package_info
    TRANSFERING = "TRANSFERING"                  # confirmed, money on its way
    SUCCESS = "SUCCESS"                          # the person has it; final
    FAIL = "FAIL"                                # nobody has it, the merchant keeps it; final
    CANCELING = "CANCELING"                      # a cancel was taken down; its result comes by query
    CANCELLED = "CANCELLED"                      # cancelled, the merchant keeps it; final


FINAL = frozenset({PayState.SUCCESS, PayState.FAIL, PayState.CANCELLED})
"""States that never change again."""


@dataclass(frozen=True, slots=True)
class Bill:
    """One payment to one person. ``out_bill_no``: 1..32 ASCII letters and digits, unique in the merchant account.

    ``openid`` belongs to the gateway's ``app_id``. ``remark`` is seen by the person, at most 32 characters.
    ``user_name`` (the real name, plain) is sent encrypted; '' sends none. Sending the same number again always
    means the same bill, so every field must be the same again. Its repr keeps the name to itself.
    """

    out_bill_no: str
    openid: str
    amount_fen: int
    remark: str
    user_name: str = field(default="", repr=False)


@dataclass(frozen=True, slots=True)
class BillView:
    """What the provider says about a bill. ``amount_fen`` and ``openid`` are its own words: compare before believing.

    An answer that leaves something out leaves it '' (0 for the amount), which matches nothing and contradicts
    nothing: the answer to a create names neither amount nor openid. ``package_info`` opens the confirmation page and
    comes with WAIT_USER_CONFIRM only. ``fail_reason`` is the provider's code. ``at``: when the state was reached (UTC).
    """

    out_bill_no: str
    state: PayState
    transfer_bill_no: str = ""
    amount_fen: int = 0
    openid: str = ""
    package_info: str = field(default="", repr=False)
    fail_reason: str = ""
    at: datetime | None = None


class PayOutcome(StrEnum):
    """What became of a call. UNKNOWN is never a failure: the money may have left."""

    ANSWERED = "answered"          # a verified answer: ``view`` says the rest
    NOT_FOUND = "not_found"        # the provider knows no such bill: right after a create it may only be late
    UNKNOWN = "unknown"            # timed out, not verified, an unknown code: query the same number
    REFUSED = "refused"            # definitely not taken (bad parameter, a name that must be sent …): no money moves
    BUSY = "busy"                  # too many calls: the same again at ``retry_at``
    CONFIG = "config"              # our account or keys are wrong: a person must act; no money moves


@dataclass(frozen=True, slots=True)
class PayResult:
    """``view`` only with ANSWERED. ``code`` and ``detail`` are safe for logs: no name, no key."""

    outcome: PayOutcome
    view: BillView | None = None
    code: str = ""
    detail: str = ""
    retry_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class FundLine:
    """One line of the provider's fund bill (资金账单) of a day: money that really moved on the merchant's account.

    ``voucher_no`` is our out_bill_no where the provider prints it, ``business_no`` its own transfer_bill_no,
    ``flow_no`` the unique number of the line. ``amount_fen`` > 0; ``income`` tells the direction.
    """

    at: datetime
    business_no: str
    flow_no: str
    business: str
    kind: str
    income: bool
    amount_fen: int
    balance_fen: int
    voucher_no: str = ""
    note: str = ""


@dataclass(frozen=True, slots=True)
class Notification:
    """A verified and decrypted message of the provider about a bill that reached its end. ``id`` repeats on a retry."""

    id: str
    view: BillView
    sent_at: datetime


class BadNotification(Exception):
    """Not from the provider, not fresh, or not readable: refuse it. The message is safe for logs."""


class MalformedNotification(BadNotification):
    """Truly signed by the provider, but not what it promises to send: keep a note of it, and let it be."""


class FundBillNotReady(Exception):
    """The bill of that day is not made yet (it comes the next day after 10:00), or cannot be had now: ask later."""


class PayGateway(Protocol):
    """One merchant account. Methods block a few seconds at most and never raise for what the provider answers."""

    account: str
    app_id: str
    """The app whose openids this account pays to."""
    mch_id: str
    """The merchant's number, which the confirmation page wants to know."""
    purpose: Purpose
    """What the provider allowed this account to pay for: each has one purpose only."""

    def transfer(self, bill: Bill) -> PayResult:
        """Make the bill, or repeat it: the same number never pays twice. The answer's state is rarely final."""
        ...

    def query(self, out_bill_no: str) -> PayResult:
        """What the provider knows; it forgets after 30 days."""
        ...

    def cancel(self, out_bill_no: str) -> PayResult:
        """Ask to call it back before the person confirms. ANSWERED with CANCELING; the end comes by query."""
        ...

    def fund_bill(self, day: date) -> list[FundLine]:
        """Every movement of the account on a Shanghai ``day``. Raises FundBillNotReady."""
        ...

    def read_notification(self, headers: Mapping[str, str], body: bytes) -> Notification:
        """Verify signature, freshness and key serial, then decrypt. Raises BadNotification."""
        ...


@dataclass(frozen=True, slots=True)
class PayGateways:
    """The merchant accounts of the shop, by name: the tool that jobs and commands ask for."""

    by_account: Mapping[str, PayGateway]

    def paying(self, app_id: str) -> PayGateway | None:
        """The merchant account that pays commissions to the openids of ``app_id``, or None."""
        return next((one for one in self.by_account.values() if one.app_id == app_id and one.purpose == "commission"),
                    None)

    def giving(self) -> list[PayGateway]:
        """The merchant accounts for red packets."""
        return [one for one in self.by_account.values() if one.purpose == "gift"]

    def gift_doors(self) -> list[tuple[str, str]]:
        """Those accounts by name, each with the app to whose openids it pays."""
        return [(one.account, one.app_id) for one in self.giving()]
