"""Reading months: what somebody's month brings, estimated while it runs and final when it is closed; the ranking."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Literal

from sqlalchemy import text
from sqlalchemy.orm import Session

from domain.commissions import ladder, volumes
from domain.commissions.document import Plan
from domain.commissions.ladder import Bracket
from domain.commissions.queries import masked
from domain.commissions.service import plans_told
from domain.commissions.volumes import SELLERS_DOUBT
from domain.ledger import queries as ledger
from domain.ledger.queries import Wallet
from domain.roles.rules import highest
from domain.settlements.rules import Month, team_fen
from domain.settlements.service import plan_of
from domain.shared import trips, wire
from domain.shared.records import record

State = Literal["open", "closing", "closed"]


@record
class MonthView:
    """One person's month beside commissions. Until it is ``closed``, ladder and team are an estimate of what the
    volumes of now would bring. ``missing_fen``: until the ladder's next step with ``next_bps``; 0 on top or without.
    ``direct_held_fen`` and ``team_held_fen``: sales that wait for a reviewer and do not count as yet.
    """

    month: str
    state: State
    plan_version: int
    direct_fen: int
    orders: int
    brackets: tuple[Bracket, ...]
    ladder_fen: int
    next_bps: int
    missing_fen: int
    team_volume_fen: int
    team_bps: int
    team_fen: int
    direct_held_fen: int = 0
    team_held_fen: int = 0

    @property
    def has_ladder(self) -> bool:
        """Whether there is a ladder to speak of."""
        return bool(self.ladder_fen or self.next_bps or self.brackets)


@record
class Booking:
    """One booking of ladder or team money: by the close, or an adjustment for what came later. Fen, signed."""

    month: str
    person_id: int
    kind: str
    cause: str
    volume_fen: int
    target_fen: int
    change_fen: int
    booked_at: datetime
    release_at: datetime | None
    released_at: datetime | None


@record
class CloseView:
    """A month that was or is being closed, with what it brought so far. ``late``: notes still to be looked at."""

    month: str
    state: State
    plan_version: int
    started_at: datetime
    closed_at: datetime | None
    actor: str
    people: int
    volume_fen: int
    ladder_fen: int
    team_fen: int
    adjusted_fen: int
    late: int


@record
class Place:
    """A line of the ranking: the name masked, own net volume of the month."""

    place: int
    name: str
    fen: int
    mine: bool


@record
class Ranking:
    """The best sellers of a month. ``own`` is None for who sold nothing; ``gap_fen``: more than this would bring them a
    place further up, 0 at the top."""

    month: str
    places: tuple[Place, ...]
    sellers: int
    own: Place | None
    gap_fen: int


# All that a month is judged by, in one question: everybody who asks for their money asks for it too. Of several people
# at once; each row begins with the person.
_MONTH = f"""
    select me.id as person,
           case when c.month is null then 'open' when c.closed_at is null then 'closing' else 'closed' end as state,
           c.plan_version,
           (select coalesce(json_agg(json_build_object('version', version, 'live_from', live_from, 'digest', digest)
                                     order by version), '[]')::text from commission_plan) as plans,
           array(select g.role from role_grant g join person p on g.person_id = coalesce(p.merged_into, p.id)
                  where p.id = me.id and g.revoked_at is null) as roles,
           coalesce(s.own_fen, 0) as own_fen, coalesce(s.team_fen, 0) as team_fen, coalesce(s.orders, 0) as orders,
           coalesce(s.own_held_fen, 0) as own_held_fen, coalesce(s.team_held_fen, 0) as team_held_fen
      from unnest(%(people)s::bigint[]) as me (id) left join month_close c on c.month = %(month)s
      left join ({volumes.SOLD}) s on s.person_id = me.id
"""  # noqa: S608 - constants


def month_view(session: Session, person_id: int, month: Month) -> MonthView:
    """What ``month`` brings or brought somebody. Raises DomainError("no_plan")."""
    found, = trips.together(session, _month_question([person_id], month))
    return _month_in(session, found[0], person_id, month)


def wallet_and_month(session: Session, person_id: int, month: Month) -> tuple[Wallet, MonthView]:
    """What there is and what ``month`` brings, which everybody asks for at once, in one round trip."""
    held, sold = trips.together(session, *wallet_and_month_questions([person_id], month))
    return ledger.wallet_in(held), _month_in(session, sold[0], person_id, month)


def wallet_and_month_questions(people: Sequence[int], month: Month) -> tuple[wire.Question, wire.Question]:
    """What ``wallet_and_month`` asks, of several people, for whoever asks it ahead."""
    return ledger.wallet_question(people), _month_question(people, month)


def _month_question(people: Sequence[int], month: Month) -> wire.Question:
    return _MONTH, {"people": people, "month": month.first, "since": month.starts_at, "until": month.ends_at}


def _month_in(session: Session, row: Any, person_id: int, month: Month) -> MonthView:
    book = plans_told(session, row.plans.encode())
    plan = book.of(row.plan_version) if row.plan_version else book.at(month.starts_at)
    own, team, orders, own_held, team_held = row[-5:]
    parts = _brackets(plan, own)
    if row.state == "closed":
        brought = _booked(session, person_id, month)
    else:
        brought = {"ladder": sum([part.amount_fen for part in parts]), "team": team_fen(plan, team, highest(row.roles))}
    place = ladder.position(plan.ladder, own) if plan.ladder else None
    return MonthView(
        str(month), row.state, plan.version, own, orders, tuple([part for part in parts if part.volume_fen]),
        brought["ladder"], place.next_step.rate_bps if place and place.next_step else 0,
        place.missing_fen if place else 0, team, plan.team.rate_bps if plan.team else 0, brought["team"], own_held,
        team_held,
    )


def brackets_of(session: Session, plan_version: int, direct_fen: int) -> tuple[Bracket, ...]:
    """The ladder's parts of a volume by a published plan."""
    return _brackets(plan_of(session, plan_version), direct_fen)


def _brackets(plan: Plan, direct_fen: int) -> tuple[Bracket, ...]:
    return ladder.brackets(plan.ladder, direct_fen) if plan.ladder else ()


def state_of(session: Session, month: Month) -> tuple[State, int]:
    """(state, plan version of a close that has begun, else 0)."""
    row = session.execute(text("select closed_at, plan_version from month_close where month = :month"),
                          {"month": month.first}).first()
    if row is None:
        return "open", 0
    return "closing" if row.closed_at is None else "closed", row.plan_version


def _booked(session: Session, person_id: int, month: Month) -> dict[str, int]:
    rows = session.execute(text("""
        select kind, sum(change_fen)::bigint as fen from settlement
         where person_id = :person and month = :month group by kind
    """), {"person": person_id, "month": month.first})
    return {"ladder": 0, "team": 0} | {row.kind: row.fen for row in rows}


def bookings(session: Session, month: Month, person_id: int | None = None, limit: int = 100_000) -> list[Booking]:
    """The bookings of a month in order, of everybody or of one person."""
    rows = session.execute(text("""
        select month, person_id, kind, cause, volume_fen, target_fen, change_fen, booked_at, release_at, released_at
          from settlement where month = :month and (cast(:person as bigint) is null or person_id = :person)
         order by id limit :limit
    """), {"month": month.first, "person": person_id, "limit": limit})
    return [Booking(str(Month(first)), *rest) for first, *rest in rows]


_CLOSES = text("""
    select c.month, c.closed_at is not null as closed, c.plan_version, c.started_at, c.closed_at, c.actor,
           (select count(*) from month_volume v where v.month = c.month) as people,
           (select coalesce(sum(direct_fen), 0)::bigint from month_volume v where v.month = c.month) as volume_fen,
           coalesce(s.ladder, 0)::bigint as ladder_fen, coalesce(s.team, 0)::bigint as team_fen,
           coalesce(s.adjusted, 0)::bigint as adjusted_fen,
           (select count(*) from settlement_late l where l.month = c.month) as late
      from month_close c
      left join (
        select month, sum(change_fen) filter (where kind = 'ladder' and cause = 'close') as ladder,
               sum(change_fen) filter (where kind = 'team' and cause = 'close') as team,
               sum(change_fen) filter (where cause = 'adjustment') as adjusted
          from settlement group by month) s on s.month = c.month
     where cast(:month as date) is null or c.month = :month order by c.month desc limit :limit
""")


def closes(session: Session, month: Month | None = None, limit: int = 36) -> list[CloseView]:
    """Months that were or are being closed, the newest first."""
    rows = session.execute(_CLOSES, {"month": month.first if month else None, "limit": limit})
    return [
        CloseView(str(Month(row.month)), "closed" if row.closed else "closing", row.plan_version, row.started_at,
                  row.closed_at, row.actor, row.people, row.volume_fen, row.ladder_fen, row.team_fen, row.adjusted_fen,
                  row.late)
        for row in rows
    ]


@record
class Result:
    """What a close brought somebody: volumes and money in fen."""

    month: str
    person_id: int
    plan_version: int
    direct_fen: int
    team_volume_fen: int
    ladder_fen: int
    team_fen: int


# Bound to one month first: the key of settlements begins with the person, and is read from whom was told last on.
_UNTOLD = text("""
    select c.month, s.person_id, c.plan_version, s.direct_fen, s.team_volume_fen, s.ladder_fen, s.team_fen
      from (select month, plan_version, told_upto from month_close
             where closed_at is not null and told_upto < 9223372036854775807 order by month limit 1 for update) c
     cross join lateral (
        select b.person_id, coalesce(max(b.volume_fen) filter (where b.kind = 'ladder'), 0) as direct_fen,
               coalesce(max(b.volume_fen) filter (where b.kind = 'team'), 0) as team_volume_fen,
               coalesce(sum(b.change_fen) filter (where b.kind = 'ladder'), 0)::bigint as ladder_fen,
               coalesce(sum(b.change_fen) filter (where b.kind = 'team'), 0)::bigint as team_fen
          from settlement b
         where b.month = c.month and b.person_id > c.told_upto and b.cause = 'close'
         group by b.person_id order by b.person_id limit :limit) s
     order by s.person_id
""")


def untold(session: Session, limit: int) -> list[Result]:
    """The next people who are to hear what a month brought, in order; its row is locked until the transaction ends."""
    return [Result(str(Month(row.month)), *row[1:]) for row in session.execute(_UNTOLD, {"limit": limit})]


_RANKING = text(f"""
    with sold as (
        select o.seller_id as person_id, sum(o.goods_fen)::bigint as fen
          from customer_order o {SELLERS_DOUBT}
         where o.paid_at >= :since and o.paid_at < :until and o.seller_id is not null and o.closed_at is null
           and o.goods_fen > 0 and d.gone is null
         group by o.seller_id
    ), ranked as (
        select person_id, fen, rank() over (order by fen desc) as place,
               row_number() over (order by fen desc, person_id) as line, count(*) over () as sellers from sold
    )
    select r.person_id, p.nickname, r.fen, r.place, r.line, r.sellers,
           coalesce((select min(s.fen) from sold s where s.fen > r.fen), r.fen) - r.fen as gap_fen
      from ranked r join person p on p.id = r.person_id
     where r.line <= :most or r.person_id = :person order by r.line
""")  # noqa: S608 - a constant


def ranking(session: Session, person_id: int, month: Month, most: int = 10) -> Ranking:
    """Who sold most in ``month`` by own net volume; equal volumes share a place. Only people with unreturned sales;
    sales in question do not count."""
    rows = session.execute(_RANKING, {"since": month.starts_at, "until": month.ends_at, "person": person_id,
                                      "most": most}).all()
    places = {row.line: Place(row.place, masked(row.nickname), row.fen, row.person_id == person_id) for row in rows}
    own = next((row for row in rows if row.person_id == person_id), None)
    return Ranking(str(month), tuple(place for line, place in places.items() if line <= most),
                   rows[0].sellers if rows else 0, places[own.line] if own else None, own.gap_fen if own else 0)
