"""Reading commissions: of an order, why an amount is what it is, and what a team brings."""

import re
import unicodedata
from datetime import date, datetime
from typing import Any, Literal

from sqlalchemy import Row, text
from sqlalchemy.orm import Session

from domain.shared.amounts import spoken_fen
from domain.shared.clock import business_date
from domain.shared.records import record

State = Literal["pending", "held", "available", "clawed_back", "confiscated"]

_EXPLAINED = 20
"""Lines that one question may bring up: more than anybody reads in chat."""

_LINES = """
    select c.id, c.order_id, o.channel, o.order_no, l.title, c.beneficiary_id, c.level, c.kind, c.base_fen, c.rate_bps,
           c.rule, c.rule_bps, c.phase, c.phase_bps, c.boost_bps, c.plan_version,
           c.uncut_fen, c.amount_fen, c.clawed_fen, l.refunded_fen, o.closed_at, c.accrued_at,
           c.release_at, c.released_at, c.held_at, c.confiscated_at
      from commission_line c
      join order_line l on l.order_id = c.order_id and l.n = c.n
      join customer_order o on o.id = c.order_id
"""

_OF_ORDER = text(_LINES + " where o.channel = :channel and o.order_no = :order_no order by c.n, c.level, c.kind")

_NEWEST = text(_LINES + """
     where c.beneficiary_id = :person
       and c.order_id = (select order_id from commission_line where beneficiary_id = :person order by id desc limit 1)
     order by c.n, c.level limit :most
""")  # noqa: S608 - two constants

_BY_ORDER = text(_LINES + """
     where c.beneficiary_id = :person and lower(o.order_no) = lower(:needle) order by c.id desc limit :most
""")

# An amount may be that of a line, what a refund left of it, or what a whole order brings this person.
_BY_AMOUNT = text(_LINES + """
     where c.beneficiary_id = :person
       and (:fen in (c.amount_fen, c.amount_fen - c.clawed_fen, c.clawed_fen)
            or c.order_id in (
                select order_id from commission_line where beneficiary_id = :person group by order_id
                having :fen in (sum(amount_fen), sum(amount_fen - clawed_fen), sum(clawed_fen))))
     order by c.id desc limit :most
""")  # noqa: S608 - two constants

_TEAM = text("""
    with mine as (
        select r.referee_id, min(r.bound_at) as bound_at from referral r
         where r.referrer_id = :person and r.ended_at is null group by r.referee_id
    ), bought as (
        select o.buyer_id, count(*) filter (where o.closed_at is null and o.goods_fen > 0) as orders,
               sum(case when o.closed_at is null then o.goods_fen else 0 end) as net_fen,
               max(o.paid_at) as paid_at
          from customer_order o join mine m on m.referee_id = o.buyer_id
         where exists (select from commission_line c where c.order_id = o.id and c.beneficiary_id = :person)
            or o.paid_at >= m.bound_at
         group by o.buyer_id
    ), earned as (
        select o.buyer_id, sum(c.amount_fen - c.clawed_fen) as fen
          from commission_line c join customer_order o on o.id = c.order_id
         where c.beneficiary_id = :person group by o.buyer_id
    )
    select p.id, p.nickname, m.bound_at, coalesce(b.orders, 0) as orders, coalesce(b.net_fen, 0)::bigint as net_fen,
           coalesce(e.fen, 0)::bigint as earned_fen,
           greatest(b.paid_at, (select max(i.seen_at) from identity i where i.person_id = p.id)) as active_at
      from mine m join person p on p.id = m.referee_id
      left join bought b on b.buyer_id = p.id left join earned e on e.buyer_id = p.id
     order by coalesce(e.fen, 0) desc, active_at desc nulls last, p.id
""")


@record
class LineView:
    """One commission, explained: ``base_fen`` x ``rate_bps`` by ``rule`` = ``uncut_fen``, cut to ``amount_fen``.

    ``rate_bps`` is ``rule_bps`` of the rule x ``phase_bps`` of the campaign's ``phase`` x ``boost_bps`` (10 000 = x1).
    ``left_fen`` is what refunds have left of it; ``releases_on`` the day (Shanghai) on which it becomes or became
    available, None while the order is not received. ``rule``: ``default``, ``category:fmcg``, ``role:gold``, …
    """

    id: int
    order: str
    order_no: str
    title: str
    beneficiary_id: int
    level: int
    kind: str
    base_fen: int
    rate_bps: int
    rule: str
    rule_bps: int
    phase: str
    phase_bps: int
    boost_bps: int
    plan_version: int
    uncut_fen: int
    amount_fen: int
    clawed_fen: int
    left_fen: int
    refunded_fen: int
    closed: bool
    state: State
    accrued_at: datetime
    releases_on: date | None


@record
class MemberView:
    """A direct member as the inviter may see them: the name masked, money in fen."""

    person_id: int
    name: str
    bound_at: datetime
    orders: int
    net_fen: int
    earned_fen: int
    active_at: datetime | None


@record
class TeamView:
    """Direct members, the best first, and the sums over all of them. ``buyers`` have at least one unreturned order."""

    members: tuple[MemberView, ...]
    count: int
    buyers: int
    orders: int
    net_fen: int
    earned_fen: int


def _views(session: Session, statement: object, **values: object) -> list[LineView]:
    return [
        LineView(
            id=row.id, order=f"{row.channel}/{row.order_no}", order_no=row.order_no,
            title=row.title, beneficiary_id=row.beneficiary_id, level=row.level, kind=row.kind, base_fen=row.base_fen,
            rate_bps=row.rate_bps, rule=row.rule, rule_bps=row.rule_bps, phase=row.phase, phase_bps=row.phase_bps,
            boost_bps=row.boost_bps, plan_version=row.plan_version, uncut_fen=row.uncut_fen,
            amount_fen=row.amount_fen, clawed_fen=row.clawed_fen, left_fen=row.amount_fen - row.clawed_fen,
            refunded_fen=row.refunded_fen, closed=row.closed_at is not None,
            state=state_of(row), accrued_at=row.accrued_at,
            releases_on=business_date(row.release_at) if row.release_at else None,
        )
        for row in session.execute(statement, values)  # type: ignore[call-overload]
    ]


def state_of(row: Row[Any]) -> State:
    """The state of a line from amount_fen, clawed_fen, released_at, held_at and confiscated_at."""
    if row.confiscated_at:
        return "confiscated"
    if row.amount_fen == row.clawed_fen:
        return "clawed_back"
    if row.released_at:
        return "available"
    return "held" if row.held_at else "pending"


def of_order(session: Session, channel: str, order_no: str) -> list[LineView]:
    """Every commission of an order; empty when it earned nobody anything or is unknown."""
    return _views(session, _OF_ORDER, channel=channel, order_no=order_no)


def explain(session: Session, person_id: int, needle: str) -> list[LineView]:
    """What a person asks about by an amount (``7.92``, ``¥7.92``) or an order number; '' asks for the newest order.

    An order number wins over an amount. Newest first, at most 20 lines; empty when nothing of theirs fits.
    """
    wanted = unicodedata.normalize("NFKC", needle).strip()
    if not wanted:
        return _views(session, _NEWEST, person=person_id, most=_EXPLAINED)
    found = _views(session, _BY_ORDER, person=person_id, needle=wanted, most=_EXPLAINED)
    fen = fen_of(wanted)
    if found or fen is None:
        return found
    return _views(session, _BY_AMOUNT, person=person_id, fen=fen, most=_EXPLAINED)


def fen_of(written: str) -> int | None:
    """``7.92``, ``¥7.92``, ``+1,280元``, ``7块9毛2`` → fen; None for anything else, and for 0."""
    match = re.fullmatch(r"[+\-]?\s*[¥￥]?\s*(\d{1,11}|\d{1,3}(?:,\d{3}){1,3})(?:\.(\d{1,2}))?\s*(?:元|块)?", written)
    if match is None:
        return spoken_fen(written)
    return int(match[1].replace(",", "")) * 100 + int((match[2] or "").ljust(2, "0")) or None


def team(session: Session, person_id: int, limit: int = 10) -> TeamView:
    """Direct members with what they bought and what this person earned from their orders."""
    members = [
        MemberView(row.id, masked(row.nickname), row.bound_at, row.orders, row.net_fen, row.earned_fen, row.active_at)
        for row in session.execute(_TEAM, {"person": person_id})
    ]
    return TeamView(
        tuple(members[:limit]), len(members), sum(member.orders > 0 for member in members),
        sum(member.orders for member in members), sum(member.net_fen for member in members),
        sum(member.earned_fen for member in members),
    )


def masked(nickname: str) -> str:
    """``小王子`` → ``小**``: the first character and as many stars as feel natural; ``*`` for nobody."""
    return nickname[:1] + "*" * min(max(len(nickname) - 1, 1), 3)
