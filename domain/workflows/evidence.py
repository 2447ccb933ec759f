"""What an authority may ask for: every commission with its order, goods, payer, level, rule, plan version, refunds and
payment, and every other movement of money between the shop and a promoter. People stand under pseudonyms.

One row a record, in one file, read from one moment of the database. The columns keep their names and order.
"""

import csv
import hashlib
import hmac
import io
from collections.abc import Iterator
from dataclasses import field
from datetime import date, datetime, time, timedelta
from typing import Any

from sqlalchemy import Row, text
from sqlalchemy.orm import Session, sessionmaker

from domain.commissions.queries import state_of
from domain.shared.clock import SHANGHAI
from domain.shared.records import record

COLUMNS = (
    "record", "id", "at", "beneficiary", "level", "kind", "amount_fen", "taken_back_fen", "left_fen", "state",
    "order_channel", "order_no", "order_paid_at", "order_paid_fen", "payer", "line_id", "sku", "goods", "category",
    "quantity", "line_paid_fen", "base_fen", "rule", "rule_bps", "phase", "phase_bps", "boost_bps", "rate_bps",
    "uncut_fen", "plan_version", "plan_name", "line_refunded_fen", "line_refunded_quantity", "last_refunded_at",
    "order_closed_at", "order_received_at", "release_at", "released_at", "journal", "account", "cause",
)
"""``record``: ``commission`` (a part of an order line) · ``bonus`` (other earnings, negative when taken back) ·
``payout`` (money or tax that left, negative) · ``other``. Money in fen, rates in basis points, times in Shanghai."""

PAGE = 2_000
YEARS = range(2000, 2200)
_DANGEROUS = ("=", "+", "-", "@", "\t", "\r")
"""What a spreadsheet would take for a formula at the start of a cell."""

_COMMISSIONS = text("""
    select c.id, c.accrued_at as at, c.beneficiary_id, c.level, c.kind, c.amount_fen, c.clawed_fen, o.channel,
           o.order_no, o.paid_at, o.paid_fen as order_paid_fen, o.buyer_id, l.line_id, l.sku, l.title, l.category,
           l.quantity, l.paid_fen as line_paid_fen, c.base_fen, c.rule, c.rule_bps, c.phase, c.phase_bps, c.boost_bps,
           c.rate_bps, c.uncut_fen, c.plan_version, p.name as plan_name, l.refunded_fen, l.refunded_quantity,
           (select max(r.refunded_at) from refund r join refund_line rl using (order_id, refund_no)
             where rl.order_id = l.order_id and rl.n = l.n) as last_refunded_at,
           o.closed_at, o.received_at, c.release_at, c.released_at, c.held_at, c.confiscated_at
      from commission_line c
      join order_line l on l.order_id = c.order_id and l.n = c.n
      join customer_order o on o.id = c.order_id
      join commission_plan p on p.version = c.plan_version
     where c.id > :after and c.accrued_at >= :since and c.accrued_at < :until
     order by c.id limit :most
""")

# Pairs between a person and the shop, except the commissions above; + is what the person got.
_MOVES = text("""
    select j.id, p.n, j.effective_at as at, j.kind, j.label, j.source_type, j.source_id,
           case when c.owner_id is null then -p.amount else p.amount end as amount,
           coalesce(c.owner_id, d.owner_id) as person_id,
           case when c.owner_id is null then c.kind else d.kind end as shop
      from journal j join posting p on p.journal_id = j.id
      join account d on d.id = p.debit join account c on c.id = p.credit
     where (j.id, p.n) > (:after, :n) and j.effective_at >= :since and j.effective_at < :until and p.currency = 'CNY'
       and (d.owner_id is null) <> (c.owner_id is null)
       and j.kind not in ('commission.accrued', 'commission.clawed_back', 'commission.confiscated')
     order by j.id, p.n limit :most
""")


@record
class Pseudonyms:
    """Names people by a keyed hash: the same person has the same name in every export of this shop, and nobody else
    can find out whose it is."""

    key: bytes = field(repr=False)

    def of(self, person_id: int | None) -> str:
        """``p`` and 16 hexadecimal digits; '' for nobody."""
        if person_id is None:
            return ""
        return "p" + hmac.digest(self.key, str(person_id).encode(), hashlib.sha256).hex()[:16]


def regulator_csv(
    sessions: sessionmaker[Session], names: Pseudonyms, first: date, last: date
) -> Iterator[bytes]:
    """The file in pieces: UTF-8 with a byte order mark (spreadsheets ask for it), CRLF, header first. ``first`` and
    ``last`` are business days in Shanghai, both included; commissions count by payment of their order."""
    yield b"\xef\xbb\xbf" + _encoded([COLUMNS])
    days = {"since": _midnight(first), "until": _midnight(last + timedelta(days=1)), "most": PAGE}
    with sessions() as session:
        session.connection(execution_options={"isolation_level": "REPEATABLE READ"})
        session.execute(text("set transaction read only"))
        session.execute(text("set local statement_timeout = '10min'"))
        after = 0
        while rows := session.execute(_COMMISSIONS, {**days, "after": after}).all():
            yield _encoded([_ordered(_commission(row, names)) for row in rows])
            after = rows[-1].id
        place = {"after": 0, "n": 0}
        while rows := session.execute(_MOVES, {**days, **place}).all():
            yield _encoded([_ordered(_move(row, names)) for row in rows])
            place = {"after": rows[-1].id, "n": rows[-1].n}


def sensible(first: date, last: date) -> bool:
    """Whether somebody can mean these days."""
    return first.year in YEARS and last.year in YEARS and first <= last


def _commission(row: Row[Any], names: Pseudonyms) -> dict[str, Any]:
    return {
        "record": "commission", "id": row.id, "at": row.at, "beneficiary": names.of(row.beneficiary_id),
        "level": row.level, "kind": row.kind, "amount_fen": row.amount_fen, "taken_back_fen": row.clawed_fen,
        "left_fen": row.amount_fen - row.clawed_fen, "state": state_of(row),
        "order_channel": row.channel, "order_no": row.order_no, "order_paid_at": row.paid_at,
        "order_paid_fen": row.order_paid_fen, "payer": names.of(row.buyer_id), "line_id": row.line_id, "sku": row.sku,
        "goods": row.title, "category": row.category, "quantity": row.quantity, "line_paid_fen": row.line_paid_fen,
        "base_fen": row.base_fen, "rule": row.rule, "rule_bps": row.rule_bps, "phase": row.phase,
        "phase_bps": row.phase_bps, "boost_bps": row.boost_bps, "rate_bps": row.rate_bps, "uncut_fen": row.uncut_fen,
        "plan_version": row.plan_version, "plan_name": row.plan_name, "line_refunded_fen": row.refunded_fen,
        "line_refunded_quantity": row.refunded_quantity, "last_refunded_at": row.last_refunded_at,
        "order_closed_at": row.closed_at, "order_received_at": row.received_at, "release_at": row.release_at,
        "released_at": row.released_at,
    }


def _move(row: Row[Any], names: Pseudonyms) -> dict[str, Any]:
    kinds = {"clearing": "payout", "tax": "payout", "expense": "bonus"}
    return {
        "record": kinds.get(row.shop.split(".")[0], "other"), "id": f"{row.id}.{row.n}", "at": row.at,
        "beneficiary": names.of(row.person_id), "kind": row.kind, "amount_fen": row.amount, "journal": row.id,
        "account": row.shop, "cause": row.label or f"{row.source_type} {row.source_id}",
    }


def _ordered(row: dict[str, Any]) -> list[str]:
    return [_cell(row.get(name)) for name in COLUMNS]


def _cell(value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, datetime):
        return value.astimezone(SHANGHAI).isoformat()
    if isinstance(value, str):
        return "'" + value if value.startswith(_DANGEROUS) else value
    return str(value)


def _encoded(rows: list[Any]) -> bytes:
    page = io.StringIO()
    csv.writer(page).writerows(rows)
    return page.getvalue().encode()


def _midnight(day: date) -> datetime:
    return datetime.combine(day, time(), SHANGHAI)
