"""Titles and badges, apart from roles: honours that pay nothing, awarded with the monthly assessment."""

from collections.abc import Collection
from datetime import date, datetime, timedelta

from sqlalchemy import Row, select, text
from sqlalchemy.orm import Session

from domain.people.models import Person
from domain.roles import rulebooks
from domain.roles.models import Badge
from domain.roles.queries import roles_of
from domain.roles.rulebook import Circle, Rulebook, Star
from domain.roles.rules import Titles, later
from domain.roles.volumes import begins
from domain.shared import outbox
from domain.shared.outbox import Effect
from domain.shared.records import record

_AWARD = " on conflict (person_id, key, period) do nothing returning person_id, key, period"

# Of equals the one who got there first: whose last sale of the month was paid earlier.
_STARS = text("""
    insert into badge (person_id, key, period, cause, evidence, awarded_at, worn_until)
    select s.person_id, :key, :period, :cause, jsonb_build_object('net_fen', s.fen, 'place', s.place), :now, :worn
      from (select c.beneficiary_id as person_id, sum(l.paid_fen - l.refunded_fen)::bigint as fen,
                   row_number() over (order by sum(l.paid_fen - l.refunded_fen) desc, max(o.paid_at),
                                      c.beneficiary_id) as place
              from commission_line c
              join customer_order o on o.id = c.order_id
              join order_line l on l.order_id = c.order_id and l.n = c.n
             where c.accrued_at >= :since and c.accrued_at < :until and c.level = 1 and c.kind = 'base'
               and l.category <> 'membership' and o.closed_at is null and c.held_at is null and c.confiscated_at is null
               and exists (select from role_grant g where g.person_id = c.beneficiary_id and g.revoked_at is null)
             group by 1) s
     where s.place <= :top and s.fen >= :least""" + _AWARD)  # noqa: S608 - constants

_CIRCLES = text("""
    insert into badge (person_id, key, period, cause, evidence, awarded_at)
    select s.referrer_id, :key, '', :cause, jsonb_build_object('buyers', s.buyers), :now
      from (select r.referrer_id, count(distinct r.referee_id) as buyers
              from referral r
             where r.ended_at is null and exists (
                   select from customer_order o
                    where o.buyer_id = r.referee_id and o.completed_at <= :closed and o.closed_at is null
                      and o.goods_fen > 0 and o.paid_at >= r.bound_at)
             group by 1 having count(distinct r.referee_id) >= :least) s
     where not exists (select from badge b where b.person_id = s.referrer_id and b.key = :key)""" + _AWARD)  # noqa: S608


@record
class BadgeView:
    """An honour as people see it. ``period``: a month such as 2026-11, '' for good."""

    key: str
    title: str
    period: str
    awarded_at: datetime
    worn: bool


def award(session: Session, book: Rulebook, month: date, now: datetime) -> int:
    """Award what ``month`` has earned, each once; returns how many badges were given. Safe to repeat.

    Tells a ``badge.awarded`` fact for each.
    """
    given: list[Row[int, str, str]] = []
    window = timedelta(days=book.gold.return_days if book.gold else 0)
    for badge in book.badges:
        facts = {"key": badge.key, "cause": f"{badge.fact}:{month:%Y-%m}", "now": now}
        match badge:
            case Star():
                given += session.execute(_STARS, facts | {
                    "period": f"{month:%Y-%m}", "since": begins(month), "until": begins(later(month, 1)),
                    "top": badge.top, "least": badge.at_least_fen, "worn": _worn_until(month, now)}).all()
            case Circle():
                given += session.execute(_CIRCLES, facts | {"closed": now - window, "least": badge.at_least}).all()
    outbox.put(session, [
        Effect("fact", "badge.awarded", f"badge.awarded:{person_id}:{key}:{period}", person_id,
               {"key": key, "period": period})
        for person_id, key, period in given
    ], now)
    return len(given)


def _worn_until(month: date, now: datetime) -> datetime:
    """Until the next month has been judged; a late award is worn for a month all the same."""
    return max(begins(later(month, 2)) + timedelta(days=1), now + timedelta(days=28))


def badges_of(
    session: Session, person_ids: Collection[int], now: datetime
) -> dict[int, list[BadgeView]]:
    """Everybody's honours, those of the rules' order first, then the newest. Ones the shop has dropped are missing."""
    book = rulebooks.shelf(session).at(now)
    if book is None or not person_ids:
        return {}
    rank = {badge.key: place for place, badge in enumerate(book.badges)}
    rows = session.scalars(select(Badge).where(Badge.person_id.in_(person_ids)).order_by(Badge.id.desc()))
    found: dict[int, list[BadgeView]] = {}
    for row in rows:
        known = book.badge(row.key)
        if known is not None:
            worn = row.worn_until is None or row.worn_until > now
            view = BadgeView(row.key, known.title, row.period, row.awarded_at, worn)
            found.setdefault(row.person_id, []).append(view)
    return {person_id: sorted(views, key=lambda view: rank[view.key]) for person_id, views in found.items()}


@record
class Wearer:
    """Who wears an honour of a month; whoever shows it to others masks the name."""

    title: str
    period: str
    nickname: str


def stars(session: Session, now: datetime) -> list[Wearer]:
    """Who wears the honour of a month now, for everybody to see. Whoever is looked into was passed over when it was
    awarded."""
    book = rulebooks.shelf(session).at(now)
    rows = session.execute(
        select(Badge.key, Badge.period, Person.nickname).join(Person, Person.id == Badge.person_id)
        .where(Badge.period != "", Badge.worn_until > now).order_by(Badge.period.desc(), Badge.id)).all()
    known = [(row, badge) for row in rows if book is not None and (badge := book.badge(row.key)) is not None]
    return [Wearer(badge.title, row.period, row.nickname) for row, badge in known]


def titles_of(session: Session, person_ids: Collection[int], titles: Titles, now: datetime) -> dict[int, str]:
    """What each person is called: the first honour that they wear, else the title of their role."""
    roles = roles_of(session, person_ids)
    honours = badges_of(session, person_ids, now)
    worn = {one: [badge.title for badge in badges if badge.worn] for one, badges in honours.items()}
    return {one: next(iter(worn.get(one, ())), titles.of(roles[one])) for one in person_ids}
