"""From what the platform answers (or does not) to a typed outcome with one remedy.

Only the error code is believed: ``errmsg`` is free text in which we look for nothing but the request id and
the caller's address, both checked by shape, because the rest may repeat what we sent.
"""

import ipaddress
import re
from collections.abc import Mapping
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

from bot.kit.gateway import Outcome, SendResult
from domain.shared.clock import SHANGHAI
from domain.shared.records import record


class Kind(StrEnum):
    """How far a call came. It decides what may be repeated; the outcome decides what the caller does."""

    UNSENT = "unsent"        # no connection: surely not done
    UNCERTAIN = "uncertain"  # sent, but no answer to be read: maybe done
    SERVER = "server"        # HTTP 5xx: the platform says it failed
    BUSY = "busy"            # -1: refused for load, not done
    TOKEN = "token"  # noqa: S105 — the platform refuses the access token
    HELD = "held"            # not called at all: an earlier answer told us to wait
    ANSWERED = "answered"    # any other error code


@record
class Fault:
    """What went wrong in one try, before it is known what the call was for. Safe to log."""

    kind: Kind
    errcode: int = 0
    detail: str = ""


@record
class Refusal:
    """A call that gave no answer: how far it came, and what the caller is told."""

    kind: Kind
    result: SendResult


Answer = dict[str, Any]

OK = 0
BUSY = -1
BAD_SECRET_OR_TOKEN = 40001
STALE_MEDIA = 40007
EXPIRED_TOKEN = 42001
TOKEN_CODES = frozenset({BAD_SECRET_OR_TOKEN, 40014, EXPIRED_TOKEN, 41001})
DAILY_QUOTA = 45009
MINUTE_QUOTA = 45011
BAD_CARD_CODES = frozenset({40036, 40037, 41030, 47003})
"""What is wrong with a template or its fields, when a card was sent."""

OUTCOMES: dict[int, Outcome] = {
    45015: Outcome.WINDOW_CLOSED,
    45047: Outcome.QUOTA_USED,
    43004: Outcome.UNFOLLOWED,
    40003: Outcome.UNFOLLOWED,
    48002: Outcome.MUTED,
    43101: Outcome.NOT_ALLOWED,
    BUSY: Outcome.BACK_OFF,
    DAILY_QUOTA: Outcome.BACK_OFF,
    MINUTE_QUOTA: Outcome.BACK_OFF,
    **dict.fromkeys(TOKEN_CODES, Outcome.CONFIG),
    40002: Outcome.CONFIG,   # grant type
    40013: Outcome.CONFIG,   # app id
    40125: Outcome.CONFIG,   # app secret
    40164: Outcome.CONFIG,   # our address is not on the list
    40243: Outcome.CONFIG,   # app secret frozen
    41002: Outcome.CONFIG,   # app id missing
    41004: Outcome.CONFIG,   # app secret missing
    48001: Outcome.CONFIG,   # api not granted to this account
    48004: Outcome.CONFIG,   # api banned
    50002: Outcome.CONFIG,   # account limited
    89503: Outcome.CONFIG,   # an administrator must confirm our address
}
"""Every code of the Official Account with a remedy of its own; any other is our own fault: REJECTED."""

TRANSIENT_WAIT = timedelta(seconds=10)
"""How long an api rests after the tries of one call were used up by transport faults or -1."""

_RID = re.compile(r"\b(?:rid: ?([0-9a-f]{4,16}(?:-[0-9a-f]{4,16}){1,5})\b|hint: ?\[([0-9_]{1,40})\])")
_ADDRESS = re.compile(r"[0-9A-Fa-f:.]{3,45}")


@record
class Codes:
    """How a platform's error codes are read: the same number says other things on the other platform.

    ``tokens``: the access token is refused; ``busy``: refused for load and surely not done; ``addresses``: the caller's
    address is refused. ``quota_rest``: how long an api rests after 45009; None: until midnight in Shanghai.
    """

    outcomes: Mapping[int, Outcome]
    tokens: frozenset[int]
    busy: frozenset[int]
    addresses: frozenset[int]
    quota_rest: timedelta | None = None


OFFICIAL_ACCOUNT = Codes(OUTCOMES, TOKEN_CODES, frozenset({BUSY}), frozenset({40164, 89503}))

WECOM = Codes(
    outcomes={
        BUSY: Outcome.BACK_OFF,
        45033: Outcome.BACK_OFF,         # too many calls at a time
        41096: Outcome.BACK_OFF,         # another app is welcoming this customer
        DAILY_QUOTA: Outcome.BACK_OFF,
        84061: Outcome.UNFOLLOWED,       # employee and customer are no friends
        **dict.fromkeys((40014, EXPIRED_TOKEN), Outcome.CONFIG),
        40001: Outcome.CONFIG,           # the secret, and not the token as at the Official Account
        40013: Outcome.CONFIG,           # corp id
        40056: Outcome.CONFIG,           # agent id
        40058: Outcome.REJECTED,
        48002: Outcome.CONFIG,           # the app may not call this: customer contact is not opened for it
        60011: Outcome.CONFIG,           # outside of what the app may see
        60020: Outcome.CONFIG,           # our address is not on the list
        81013: Outcome.CONFIG,           # none of the employees can be reached by the app
        701008: Outcome.CONFIG,          # licence
    },
    tokens=frozenset({40014, EXPIRED_TOKEN}),
    busy=frozenset({BUSY, 45033}),
    addresses=frozenset({60020}),
    quota_rest=timedelta(minutes=1),
)
"""WeCom counts calls by the minute, the hour and the day and does not say which was full: wait for the shortest."""


def from_errcode(errcode: int, errmsg: object, codes: Codes = OFFICIAL_ACCOUNT) -> Fault:
    """The fault behind an error code; ``errmsg`` gives the request id and, where that is the trouble, our address."""
    kind = Kind.TOKEN if errcode in codes.tokens else Kind.BUSY if errcode in codes.busy else Kind.ANSWERED
    words = errmsg[:1000] if isinstance(errmsg, str) else ""
    parts = []
    if errcode in codes.addresses and (address := _address_in(words)):
        parts.append(f"ip {address}")
    if rid := _RID.search(words):
        parts.append(f"rid {rid[1]}" if rid[1] else f"hint {rid[2]}")
    return Fault(kind, errcode, " ".join(parts))


def from_status(status: int) -> Fault:
    """The fault behind an HTTP status that is not 200. 504: somebody before the platform stopped waiting for it."""
    detail = f"http {status}"
    if status == 504:
        return Fault(Kind.UNCERTAIN, detail=detail)
    if status >= 500 or status in (408, 429):
        return Fault(Kind.SERVER, detail=detail)
    return Fault(Kind.ANSWERED, detail=detail)


def judge(fault: Fault, sends: bool, now: datetime, daily_rest: timedelta | None = None,
          codes: Codes = OFFICIAL_ACCOUNT) -> Refusal:
    """What the caller is told. ``sends``: the call delivers a message, so it is never repeated blindly.

    ``now`` is real time; ``daily_rest`` as in ``AccountConfig``.
    """
    outcome = _outcome(fault, sends, codes)
    retry_at = _retry_at(fault, now, daily_rest or codes.quota_rest) if outcome is Outcome.BACK_OFF else None
    return Refusal(fault.kind, SendResult(outcome, fault.errcode, fault.detail, retry_at))


def _outcome(fault: Fault, sends: bool, codes: Codes) -> Outcome:
    if fault.kind is Kind.UNCERTAIN:
        return Outcome.UNKNOWN if sends else Outcome.BACK_OFF
    if fault.kind in (Kind.UNSENT, Kind.SERVER):
        return Outcome.BACK_OFF
    if fault.errcode == OK:
        return Outcome.CONFIG  # an HTTP 3xx or 4xx: not the platform's api at that address
    return codes.outcomes.get(fault.errcode, Outcome.REJECTED)


def _retry_at(fault: Fault, now: datetime, daily_rest: timedelta | None) -> datetime:
    if fault.errcode == DAILY_QUOTA:
        if daily_rest is not None:
            return now + daily_rest
        midnight = now.astimezone(SHANGHAI).replace(hour=0, minute=0, second=0, microsecond=0)
        return (midnight + timedelta(days=1)).astimezone(now.tzinfo)
    if fault.errcode == MINUTE_QUOTA:
        return now.replace(second=0, microsecond=0) + timedelta(minutes=1)
    return now + TRANSIENT_WAIT


def _address_in(words: str) -> str:
    for found in _ADDRESS.findall(words):
        try:
            return str(ipaddress.ip_address(found.strip(".")))
        except ValueError:
            continue
    return ""
