"""What was earned and is not yet told. Booking leaves only the numbers of orders (``EarnedNews``, ADR 0063); what is
told stands in the deals, which are frozen, and people are read when they are told: a merge or an erasure has nothing to
look into.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

import msgspec
from sqlalchemy.orm import Session

from domain.shared import trips

KIND = "commission.accrued"


class _Line(msgspec.Struct, gc=False):
    """One commission. ``at``: when it was booked; ``buyer``: how whoever bought is called now; ``held``: frozen since
    it was struck. Money in fen."""

    order_id: int
    order_no: str
    buyer_id: int
    buyer: str
    person_id: int
    at: datetime
    title: str
    level: int
    amount_fen: int
    base_fen: int
    rate_bps: int
    rule: str
    phase: str
    phase_bps: int
    boost_bps: int
    held: bool


class _Doc(msgspec.Struct):
    orders: int
    heard: bool
    lines: list[_Line]


_DOC = msgspec.json.Decoder(_Doc)


class Earned(msgspec.Struct):
    """What one person earns by one order: the fact ``commission.accrued``. ``payload`` as in ``domain.workflows``."""

    person_id: int
    key: str
    at: datetime
    buyer: str
    payload: dict[str, Any]


class News(msgspec.Struct):
    """Taken news of so many ``orders`` (0: there were none), by their numbers. ``heard``: some journey listens."""

    orders: int
    heard: bool
    earned: Sequence[Earned]


def take(session: Session, most: int) -> News:
    """Take the news of ``most`` orders or a few more: whoever commits has told them, whoever does not has left them
    there. Nobody waits for another: what somebody else is telling is passed over."""
    (row,) = trips.rows(session, "select earned_take(%(most)s) as doc", {"most": most})
    if row.doc is None:
        return News(0, False, ())
    doc = _DOC.decode(row.doc)
    together: dict[tuple[int, int], list[_Line]] = {}
    for line in doc.lines:
        together.setdefault((line.order_id, line.person_id), []).append(line)
    return News(doc.orders, doc.heard, [_earned(lines) for lines in together.values()])


def _earned(lines: Sequence[_Line]) -> Earned:
    """Of the first line that earns it is told what it is and by which rule, of all of them how much."""
    first = lines[0]
    payload: dict[str, Any] = {
        "order_id": first.order_id, "order_no": first.order_no, "buyer_id": first.buyer_id, "title": first.title,
        "level": first.level, "amount_fen": sum(line.amount_fen for line in lines),
        "base_fen": sum(line.base_fen for line in lines), "rate_bps": first.rate_bps, "rule": first.rule,
        "parts": len(lines), "phase": first.phase, "phase_bps": first.phase_bps, "boost_bps": first.boost_bps,
    }
    if first.held:
        payload["held"] = True
    key = f"{KIND}:{first.order_id}:{first.person_id}"
    return Earned(first.person_id, key, first.at, first.buyer, payload)
