"""Why a month, a milestone or an act of service brought what it did: all that an answer in chat needs, and no more than
the person may see. Names of others are masked. Amounts in fen."""

from collections.abc import Sequence
from datetime import date, datetime
from typing import Any, Literal

from sqlalchemy import Row, text
from sqlalchemy.orm import Session

from domain.commissions.document import Milestones
from domain.commissions.ladder import Bracket
from domain.commissions.queries import masked
from domain.commissions.volumes import LEADERS_DOUBT, SELLERS_DOUBT
from domain.settlements import queries
from domain.settlements.queries import Booking, MonthView, State
from domain.settlements.rules import Month
from domain.settlements.service import plan_of
from domain.shared.clock import business_date
from domain.shared.records import record

Kind = Literal["ladder", "team"]

SHOWN = 5
"""Names that an explanation lists; of the others it says how many."""


@record
class Source:
    """Somebody whose orders count: the net volume they brought, by unreturned ``orders``."""

    name: str
    fen: int
    orders: int


@record
class MonthWhy:
    """Ladder or team money of a month: ``volume_fen`` of ``sources`` (the best; ``more`` beside them), already without
    ``refunded_fen`` and without ``held_fen`` of sales that wait for a reviewer, is worth ``target_fen``; ``bookings``
    add up to ``total_fen``, of which ``pending_fen`` waits until ``release_at``. While the month is open nothing is
    booked, and ``target_fen`` is an estimate."""

    kind: Kind
    month: str
    state: State
    plan_version: int
    volume_fen: int
    sources: tuple[Source, ...]
    more: int
    refunded_fen: int
    held_fen: int
    brackets: tuple[Bracket, ...]
    rate_bps: int
    target_fen: int
    bookings: tuple[Booking, ...]
    total_fen: int
    pending_fen: int
    release_at: datetime | None


@record
class MilestoneWhy:
    """A fixed sum for sales. ``names``: whose unreturned orders carry it (and ``more``); a streak has its ``days``, as
    far as it still stands. ``needed``: days running or buyers that the plan asks for."""

    key: str
    state: str
    amount_fen: int
    plan_version: int
    needed: int
    reached_at: datetime
    ended_at: datetime | None
    names: tuple[str, ...]
    more: int
    days: tuple[date, date] | None


@record
class ServiceWhy:
    """An act of service and what the plan of its day pays for it, at most ``per_month`` times a month."""

    title: str
    reference: str
    happened_at: datetime
    amount_fen: int
    per_month: int
    plan_version: int
    release_at: datetime
    released_at: datetime | None
    revoked_at: datetime | None
    revoke_reason: str


_SOURCES = """
    select p.nickname, sum(o.goods_fen)::bigint as fen,
           count(*) filter (where o.goods_fen > 0) as orders,
           sum((sum(o.goods_fen) > 0)::int) over () as brought,
           coalesce(sum(sum(o.refunded_fen)) over (), 0)::bigint as refunded
      from customer_order o join person p on p.id = o.{other} {doubt}
     where o.{mine} = :person and o.paid_at >= :since and o.paid_at < :until and o.closed_at is null and d.gone is null
     group by p.id order by 2 desc, p.id limit :most
"""
_BROUGHT = {
    "ladder": text(_SOURCES.format(other="buyer_id", mine="seller_id", doubt=SELLERS_DOUBT)),
    "team": text(_SOURCES.format(other="seller_id", mine="leader_id", doubt=LEADERS_DOUBT)),
}

_HELD = text("""
    select coalesce(sum(held_fen), 0)::bigint as fen, min(release_at) filter (where held_fen > 0) as at from settlement
     where person_id = :person and month = :month and kind = :kind
""")


def months(session: Session, person_id: int, month: Month) -> list[MonthWhy]:
    """What a month brings or brought somebody by ladder and team; empty without either."""
    view = queries.month_view(session, person_id, month)
    booked = queries.bookings(session, month, person_id)
    kinds: list[Kind] = []
    if ((view.direct_fen or view.direct_held_fen) and view.has_ladder) or any(one.kind == "ladder" for one in booked):
        kinds.append("ladder")
    if view.team_fen or (view.team_bps and view.team_held_fen) or any(one.kind == "team" for one in booked):
        kinds.append("team")
    return [_month(session, person_id, month, kind, view, booked) for kind in kinds]


def _month(
    session: Session, person_id: int, month: Month, kind: Kind, view: MonthView, booked: Sequence[Booking]
) -> MonthWhy:
    asked = {"person": person_id, "since": month.starts_at, "until": month.ends_at, "most": SHOWN}
    rows = session.execute(_BROUGHT[kind], asked).all()
    mine = tuple(one for one in booked if one.kind == kind)
    held = session.execute(_HELD, {"person": person_id, "month": month.first, "kind": kind}).one()
    own = kind == "ladder"
    total = sum(one.change_fen for one in mine)
    return MonthWhy(
        kind, str(month), view.state, view.plan_version, view.direct_fen if own else view.team_volume_fen,
        tuple(Source(masked(row.nickname), row.fen, row.orders) for row in rows if row.fen > 0),
        max(0, rows[0].brought - SHOWN) if rows else 0, rows[0].refunded if rows else 0,
        view.direct_held_fen if own else view.team_held_fen, view.brackets if own else (),
        0 if own else view.team_bps, view.ladder_fen if own else view.team_fen, mine, total, held.fen, held.at,
    )


def month_of_settlement(session: Session, settlement_id: int) -> tuple[Month, str]:
    """(month, kind) of a booking."""
    row = session.execute(text("select month, kind from settlement where id = :id"), {"id": settlement_id}).one()
    return Month(row.month), row.kind


_SALES = text(f"""
    select p.id, p.nickname, o.paid_at from customer_order o join person p on p.id = o.buyer_id {SELLERS_DOUBT}
     where o.seller_id = :person and o.paid_at <= :reached and o.closed_at is null and o.goods_fen > 0
       and d.gone is not true
       and exists (select from role_grant g where g.person_id = o.seller_id and g.granted_at <= o.paid_at
                      and (g.revoked_at is null or g.revoked_at > o.paid_at))
     order by o.paid_at, o.id
""")  # noqa: S608 - a constant


def milestone(session: Session, milestone_id: int) -> MilestoneWhy:
    """One milestone of somebody."""
    row = session.execute(text("select * from milestone where id = :id"), {"id": milestone_id}).one()
    sales = session.execute(_SALES, {"person": row.person_id, "reached": row.reached_at}).all()
    terms = plan_of(session, row.plan_version).milestones or Milestones()
    days = None
    if row.key == "first_sale":
        sales = sales[:1]
    if row.key == "streak":
        days = longest_run([business_date(sale.paid_at) for sale in sales])
        sales = [sale for sale in sales if days and days[0] <= business_date(sale.paid_at) <= days[1]]
    names = _buyers(sales)
    needed = {"streak": terms.streak_days, "team": terms.team_size}.get(row.key, 1)
    return MilestoneWhy(row.key, row.state, row.amount_fen, row.plan_version, needed, row.reached_at, row.ended_at,
                        tuple(names[:SHOWN]), max(0, len(names) - SHOWN), days)


def _buyers(sales: Sequence[Row[Any]]) -> list[str]:
    """Masked names, each buyer once, in the order of their first purchase."""
    return [masked(name) for name in {sale.id: sale.nickname for sale in sales}.values()]


def longest_run(days: Sequence[date]) -> tuple[date, date] | None:
    """(first, last) of the longest run of days without a gap, the earlier of two equal ones; None without days."""
    best: tuple[date, date] | None = None
    start = before = None
    for day in sorted(set(days)):
        if before is None or start is None or (day - before).days != 1:
            start = day
        before = day
        if best is None or day - start > best[1] - best[0]:
            best = (start, day)
    return best


def service_act(session: Session, act_id: int) -> ServiceWhy:
    """One recorded act."""
    row = session.execute(text("select * from service_act where id = :id"), {"id": act_id}).one()
    item = next((one for one in plan_of(session, row.plan_version).service if one.key == row.item), None)
    return ServiceWhy(item.title if item else row.item, row.reference, row.happened_at, row.amount_fen,
                      item.per_month if item else 0, row.plan_version, row.release_at, row.released_at, row.revoked_at,
                      row.revoke_reason)
