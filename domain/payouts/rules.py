"""How a sum becomes bills, and what is to be done about a bill next. Pure.

The states of a bill are the provider's own words (see ``bot.kit.pay``), and two of ours: 'made' (not known to have
been taken) and 'dropped' (never sent, or surely never taken).
"""

import tomllib
from datetime import date, datetime, timedelta
from typing import Literal, Protocol

import msgspec
from msgspec import Struct

from domain.shared.errors import DomainError

Act = Literal["transfer", "query", "cancel"]

PAID, FAILED, CANCELLED, DROPPED = "SUCCESS", "FAIL", "CANCELLED", "dropped"
FINAL = frozenset({PAID, FAILED, CANCELLED, DROPPED})
RANK = {"made": 0, "ACCEPTED": 1, "PROCESSING": 2, "WAIT_USER_CONFIRM": 3, "TRANSFERING": 4, "CANCELING": 5,
        PAID: 9, FAILED: 9, CANCELLED: 9, DROPPED: 9}
"""News about a bill only ever move it forward; what comes late tells of the past."""

CANCELLABLE = frozenset({"ACCEPTED", "PROCESSING", "WAIT_USER_CONFIRM"})
"""States from which the provider may still call a bill back."""

STEPS = (timedelta(minutes=1), timedelta(minutes=3), timedelta(minutes=10), timedelta(minutes=30))
HOUR = timedelta(hours=1)
"""A bill is asked about 1, 3, 10 and 30 minutes after its last change, then every hour."""

CLOCKS = timedelta(days=1)
"""How far the provider's word for when something happened may lie outside of what can be."""

LEASE = timedelta(minutes=2)
"""A call surely ends within this; if nobody wrote down how, the bill is asked about."""
MADE_UP_MIND = timedelta(minutes=5)
"""'Not found' may only mean 'not yet' for this long after a call; then the same bill is sent again."""
POOR = timedelta(minutes=10)
"""A bill that is in work for longer waits for money on the merchant's account: it is sent again, and somebody told."""
OVERDUE = timedelta(days=3)
"""The provider closes bills after a day. One that is not final by now needs a human, long before queries go blind."""
BLIND = timedelta(days=29)
"""The provider forgets bills after 30 days: from here on only the fund bill can tell."""
GRACE = timedelta(minutes=30)
"""The provider closes unconfirmed bills late; after this we call them back ourselves."""

WITHDRAWAL, RED_PACKET = "withdrawal", "red_packet"
"""Kinds of what leaves: asked for, or given."""
TAX_ACCOUNTS = {WITHDRAWAL: "tax.payable", RED_PACKET: "tax.incidental"}
"""Where what is withheld is booked. Tax on labour and tax on gifts are declared apart."""

OVERDUE_CLOSE = "OVERDUE_CLOSE"
"""The provider's word for: not confirmed in time."""


class View(Protocol):
    """What the provider says about a bill (``bot.kit.pay.BillView``); '' or 0 is left out and contradicts nothing."""

    @property
    def out_bill_no(self) -> str: ...
    @property
    def state(self) -> str: ...
    @property
    def transfer_bill_no(self) -> str: ...
    @property
    def amount_fen(self) -> int: ...
    @property
    def openid(self) -> str: ...
    @property
    def package_info(self) -> str: ...
    @property
    def fail_reason(self) -> str: ...
    @property
    def at(self) -> datetime | None: ...


class PacketRules(Struct, frozen=True, forbid_unknown_fields=True):
    """Red packets (assets/red_packets.toml). ``to``: change (WeChat change, where a merchant account for gifts is
    there) or wallet. ``stays``: ladders whose packets stay in the wallet: paid for bringing buyers, they are income of
    labour like commission. ``tax_bps``: withheld from a gift as incidental income."""

    to: Literal["change", "wallet"] = "change"
    stays: tuple[str, ...] = ("invite",)
    tax_bps: int = 0


def load_packets(toml: str) -> PacketRules:
    """Raises DomainError("packet_rules", faults=[…])."""
    try:
        found = msgspec.convert(tomllib.loads(toml), PacketRules, strict=True)
    except (tomllib.TOMLDecodeError, msgspec.ValidationError) as fault:
        raise DomainError("packet_rules", faults=[str(fault)]) from fault
    if not 0 <= found.tax_bps <= 5_000:
        raise DomainError("packet_rules", faults=["tax_bps: 0 to 5000"])
    return found


def word_of(kind: str) -> str:
    """How journals and facts of a kind begin: ``withdrawal.paid``, ``packet.paid``."""
    return "packet" if kind == RED_PACKET else "withdrawal"


def split(net_fen: int, smallest: int, largest: int) -> list[int]:
    """``net_fen`` as bills of at most ``largest``, full ones first, none below ``smallest``.

    Raises DomainError("payout.too_small") when even one bill would be.
    """
    if net_fen < smallest:
        raise DomainError("payout.too_small", smallest_fen=smallest)
    full, rest = divmod(net_fen, largest)
    bills = [largest] * full + ([rest] if rest else [])
    if len(bills) > 1 and bills[-1] < smallest:
        bills[-2] -= smallest - bills[-1]
        bills[-1] = smallest
    return bills


def after(state: str, age: timedelta, *, cancel: bool, confirm_hours: int) -> tuple[Act, timedelta]:
    """The next call about a bill that reached ``state`` ``age`` ago, and in how long. ``cancel``: it is to be called
    back."""
    if state in CANCELLABLE and cancel:
        return "cancel", timedelta(0)
    if state == "WAIT_USER_CONFIRM" and age >= timedelta(hours=confirm_hours) + GRACE:
        return "cancel", timedelta(0)
    pause = next((step - age for step in STEPS if step > age), HOUR)
    if state in ("ACCEPTED", "PROCESSING") and age + pause >= POOR:
        return "transfer", pause
    return "query", pause


def paid_when(told: datetime | None, asked_at: datetime, now: datetime) -> datetime:
    """When a bill was paid: as told, unless that cannot be (before it was asked for, after now). Then it is now: the
    day of payment decides the tax, and tax tables begin somewhere."""
    if told is None or not asked_at - CLOCKS <= told <= now + CLOCKS:
        return now
    return told


def month_bounds(day: date) -> tuple[date, date]:
    """First day of the month of ``day`` and of the month after."""
    first = day.replace(day=1)
    return first, (first + timedelta(days=32)).replace(day=1)


def ended(states: list[str], reasons: list[str], cancelled: bool) -> str | None:
    """What became of a withdrawal whose bills stand at ``states``; None while one of them is open."""
    if any(state not in FINAL for state in states):
        return None
    if all(state == PAID for state in states):
        return "paid"
    if any(state == PAID for state in states):
        return "partly_paid"
    if cancelled:
        return "cancelled"
    return "expired" if any(reason == OVERDUE_CLOSE for reason in reasons) else "failed"
