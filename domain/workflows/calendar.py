"""What the calendar brings people: birthdays, friends who stayed, promoters at risk, the month's and the year's best.

Each is one statement over everybody, told to the journeys once (domain/journeys/occasions). Sales and spending are net
of refunds and never count heads: a friend counts for an order that was received and kept.
"""

import tomllib
from dataclasses import field, fields
from datetime import date, datetime, timedelta
from typing import Any

import msgspec
from sqlalchemy import text
from sqlalchemy.orm import Session

from domain.commissions.volumes import SELLERS_DOUBT
from domain.journeys import occasions
from domain.journeys.occasions import Occasion
from domain.shared.clock import SHANGHAI, business_date
from domain.shared.errors import DomainError
from domain.shared.records import record

BORN, REACHED, RISK, STAR, YEAR = "person.birthday", "referrals.reached", "promoter.at_risk", "month.star", "year.top"


@record
class BirthdayRule:
    rest_days: int = 365


@record
class ReferralRule:
    kept_days: int = 7
    count_to: int = 20


@record
class RiskRule:
    silent_days: int = 7
    drop_bps: int = 3_000
    least_fen: int = 1_000
    known_days: int = 14
    rest_days: int = 30


@record
class StarRule:
    settle_days: int = 3


@record
class YearRule:
    places: int = 100
    settle_days: int = 5


@record
class OccasionRules:
    """assets/occasions.toml."""

    birthday: BirthdayRule = field(default_factory=BirthdayRule)
    referrals: ReferralRule = field(default_factory=ReferralRule)
    risk: RiskRule = field(default_factory=RiskRule)
    star: StarRule = field(default_factory=StarRule)
    year: YearRule = field(default_factory=YearRule)


def load(toml: str) -> OccasionRules:
    """Raises DomainError("occasions_invalid", faults=[…])."""
    try:
        raw = tomllib.loads(toml)
        found = msgspec.convert(raw, OccasionRules, strict=True)
    except (tomllib.TOMLDecodeError, msgspec.ValidationError) as fault:
        raise DomainError("occasions_invalid", faults=[str(fault)]) from fault
    tables = {one.name: getattr(found, one.name) for one in fields(found)}
    faults = [f"unknown table {name}" for name in sorted(set(raw) - set(tables))]
    for name, rule in tables.items():
        known = {one.name for one in fields(rule)}
        faults += [f"{name}: unknown field {one}" for one in sorted(set(raw.get(name, {})) - known)]
        faults += [f"{name}.{one}: must be above 0" for one in sorted(known) if getattr(rule, one) <= 0]
    if found.risk.drop_bps > 10_000:
        faults.append("risk.drop_bps: at most 10000")
    if max(found.star.settle_days, found.year.settle_days) > 27:
        faults.append("settle_days: at most 27")
    if faults:
        raise DomainError("occasions_invalid", faults=faults)
    return found


_BORN = text("""
    select p.id from person p
     where p.merged_into is null and extract(month from p.birthday) = :month
       and not exists (select from occasion o where o.person_id = p.id and o.kind = 'person.birthday'
                          and (o.at at time zone 'Asia/Shanghai')::date > cast(:today as date) - cast(:rest as int))
       and not exists (select from membership m where m.person_id = p.id and m.until is null
                          and 'birthday_gift' = any (m.benefits))
       and not exists (select from member_card m where m.person_id = p.id and m.starts_at <= :now and m.ends_at > :now
                          and 'birthday_gift' = any (m.benefits))
     order by p.id limit :limit
""")


def birthdays(session: Session, rules: OccasionRules, now: datetime, limit: int) -> int:
    """Whose birthday month it is; of 29 February it is February. Another day told later brings no second
    present, and whose membership brings one already gets that one."""
    if not occasions.wanted(session, BORN):
        return 0
    today = business_date(now)
    asked = {"month": today.month, "today": today, "rest": rules.birthday.rest_days, "limit": limit, "now": now}
    return occasions.tell(session, BORN, [Occasion(person, f"{today:%Y-%m}", {"month": today.month})
                                          for person in session.scalars(_BORN, asked)], now)


_REACHED = text("""
    select k.referrer_id, n.n from (
        select r.referrer_id, least(count(distinct r.referee_id), :most) as friends from referral r
         where r.ended_at is null
           and exists (select from customer_order o where o.buyer_id = r.referee_id and o.completed_at <= :before
                          and o.closed_at is null and o.paid_fen > 0 and o.goods_fen > 0)
         group by r.referrer_id) k
     cross join generate_series(1, k.friends) as n
     where not exists (select from occasion o where o.person_id = k.referrer_id and o.kind = 'referrals.reached'
                          and o.key = n.n::text)
     order by k.referrer_id, n.n limit :limit
""")


def friends(session: Session, rules: OccasionRules, now: datetime, limit: int) -> int:
    """How many friends who bought and kept it somebody has brought: every number once."""
    if not occasions.wanted(session, REACHED):
        return 0
    asked = {"most": rules.referrals.count_to, "before": now - timedelta(days=rules.referrals.kept_days),
             "limit": limit}
    found = [Occasion(row.referrer_id, str(row.n), {"friends": row.n}) for row in session.execute(_REACHED, asked)]
    return occasions.tell(session, REACHED, found, now)


_AT_RISK = text("""
    select w.person_id, w.earned, w.before, w.silent from (
        select p.person_id, e.earned, e.before, not exists (
                   select from inbox_message m where m.person_id = p.person_id and m.received_at > :silent
                      and m.kind not in ('unfollow', 'location_report', 'view', 'other'))
               and not exists (select from customer_order o where o.seller_id = p.person_id and o.paid_at > :silent)
               and not exists (select from referral r where r.referrer_id = p.person_id and r.bound_at > :silent)
               as silent
          from (select distinct person_id from role_grant where revoked_at is null and granted_at <= :known) p
         cross join lateral (
            select coalesce(sum(amount_fen - clawed_fen) filter (where accrued_at > :month), 0)::bigint as earned,
                   coalesce(sum(amount_fen - clawed_fen) filter (where accrued_at <= :month), 0)::bigint as before
              from commission_line c
             where c.beneficiary_id = p.person_id and c.level = 1 and c.accrued_at > :months and c.accrued_at <= :now) e
         where e.earned + e.before > 0) w
     where (w.silent or (w.before >= :least and w.earned * 10000 <= w.before * (10000 - :drop)))
       and not exists (select from occasion o where o.person_id = w.person_id and o.kind = 'promoter.at_risk'
                          and o.at > :rest)
     order by w.person_id limit :limit
""")


def at_risk(session: Session, rules: OccasionRules, now: datetime, limit: int) -> int:
    """Promoters who earned something in 60 days and now fall silent, or earn much less than the 30 days before."""
    if not occasions.wanted(session, RISK):
        return 0
    rule = rules.risk
    asked: dict[str, Any] = {
        "now": now, "silent": now - timedelta(days=rule.silent_days), "known": now - timedelta(days=rule.known_days),
        "month": now - timedelta(days=30), "months": now - timedelta(days=60), "least": rule.least_fen,
        "drop": rule.drop_bps, "rest": now - timedelta(days=rule.rest_days), "limit": limit}
    found = [Occasion(row.person_id, f"{business_date(now)}", {
        "why": "silent" if row.silent else "earnings", "earned_fen": row.earned, "before_fen": row.before})
        for row in session.execute(_AT_RISK, asked)]
    return occasions.tell(session, RISK, found, now)


_STAR = text(f"""
    select o.seller_id, sum(o.goods_fen)::bigint as fen, count(*) as orders
      from customer_order o {SELLERS_DOUBT}
     where o.seller_id is not null and o.paid_at >= :since and o.paid_at < :until and o.closed_at is null
       and o.goods_fen > 0 and d.gone is null
     group by o.seller_id order by 2 desc, 3 desc, 1 limit 1
""")  # noqa: S608 - a constant


def star(session: Session, rules: OccasionRules, now: datetime) -> int:
    """Who sold most, net and directly, in the month that is over: once a month. Whoever is frozen is passed over: the
    shop does not praise in public what it is looking into."""
    first = business_date(now).replace(day=1)
    last = (first - timedelta(days=1)).replace(day=1)
    key = f"{last:%Y-%m}"
    settled = business_date(now) >= first + timedelta(days=rules.star.settle_days)
    if not settled or not occasions.wanted(session, STAR) or occasions.told(session, STAR, key):
        return 0
    asked = {"since": _begin(last), "until": _begin(first)}
    return occasions.tell(session, STAR, [Occasion(row.seller_id, key, {
        "month": key, "orders": row.orders, "volume_fen": row.fen}) for row in session.execute(_STAR, asked)], now)


_YEAR = text("""
    select buyer_id, sum(paid_fen - refunded_fen)::bigint as fen from customer_order
     where paid_at >= :since and paid_at < :until and closed_at is null and refunded_fen < paid_fen
     group by buyer_id order by 2 desc, 1 limit :places
""")


def best_of_year(session: Session, rules: OccasionRules, now: datetime) -> int:
    """Who bought most in the year that is over, in January: once a year."""
    today = business_date(now)
    key = str(today.year - 1)
    settled = today.month == 1 and today.day > rules.year.settle_days
    if not settled or not occasions.wanted(session, YEAR) or occasions.told(session, YEAR, key):
        return 0
    asked = {"since": _begin(date(today.year - 1, 1, 1)), "until": _begin(date(today.year, 1, 1)),
             "places": rules.year.places}
    found = [Occasion(row.buyer_id, key, {"year": today.year - 1, "place": place})
             for place, row in enumerate(session.execute(_YEAR, asked), 1)]
    return occasions.tell(session, YEAR, found, now)


def _begin(day: date) -> datetime:
    return datetime.combine(day, datetime.min.time(), SHANGHAI)
