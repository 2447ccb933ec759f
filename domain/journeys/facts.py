"""The facts that conditions may ask for: a closed set, each with a type and the SQL that loads it for many people at
once.

A room that wants its facts usable in journeys adds a Source here. Its SQL gets ``:people`` (bigint[]), ``:subjects``
(text[], the value of the field named by ``subject``, '' for facts of the person alone) and ``:now``, and returns ``n``
(the place in the arrays, from 1) and one column a fact, named like it with _ for the dot. It must speak as of ``:now``:
simulations ask for the past.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Literal

from sqlalchemy import text
from sqlalchemy.orm import Session

from domain.catalog.suggestions import SUGGESTED
from domain.journeys.conditions import Value
from domain.shared.records import record

FactType = Literal["int", "text", "bool"]
Subject = tuple[int, str]
"""Whom a fact is about: the person's id and the subject, '' for facts of the person alone."""


@record
class Fact:
    """One named fact. ``subject``: the field of the entering event that it is about, e.g. sku."""

    name: str
    type: FactType
    about: str
    subject: str = ""

    @property
    def column(self) -> str:
        return self.name.replace(".", "_")


@record
class Source:
    """Facts that one statement loads together. All of them have the same subject."""

    name: str
    facts: tuple[Fact, ...]
    sql: str

    @property
    def subject(self) -> str:
        return self.facts[0].subject


_ASKED = "unnest(cast(:people as bigint[]), cast(:subjects as text[])) with ordinality as q (person_id, subject, n)"
_ALIVE = "o.closed_at is null and (o.paid_fen = 0 or o.refunded_fen < o.paid_fen) and o.paid_at <= :now"
_DAY = "(cast(:now as timestamptz) at time zone 'Asia/Shanghai')::date"

_PEOPLE = Source("people", (
    Fact("person.nickname", "text", "what we call them, '' when nobody told us"),
    Fact("person.days", "int", "days since they joined"),
    Fact("person.birthday_month", "int", "1 to 12; unknown when they did not tell"),
    Fact("person.phone_verified", "bool", "a channel verified their phone"),
    Fact("person.follows", "bool", "they follow an Official Account now"),
    Fact("person.sharer", "text", "nickname of whoever brought them; unknown when nobody did"),
), f"""
    select q.n, p.nickname as person_nickname, {_DAY} - (p.joined_at at time zone 'Asia/Shanghai')::date as person_days,
           extract(month from p.birthday)::int as person_birthday_month,
           p.phone_verified_at is not null and p.phone_verified_at <= :now as person_phone_verified,
           exists (select from identity i where i.person_id = p.id and i.kind = 'openid' and i.followed_at <= :now
                      and (i.unfollowed_at is null or i.unfollowed_at > :now)) as person_follows,
           (select s.nickname from referral r join person s on s.id = r.referrer_id
             where r.referee_id = p.id and r.bound_at <= :now and (r.ended_at is null or r.ended_at > :now)
             order by r.bound_at desc limit 1) as person_sharer
      from {_ASKED} join person p on p.id = q.person_id""")  # noqa: S608 - only constants

_ORDERS = Source("orders", (
    Fact("orders.count", "int", "paid orders that were not returned"),
    Fact("orders.repurchases", "int", "those after the first"),
    Fact("orders.last_30d", "int", "those paid in the last 30 days"),
    Fact("orders.spent_fen", "int", "what was paid for them and not refunded"),
    Fact("orders.days_since", "int", "days since the last of them; unknown when there is none"),
    Fact("orders.received", "int", "those that count as received"),
), f"""
    select q.n, f.* from {_ASKED} cross join lateral (
        select count(*) as orders_count, greatest(count(*) - 1, 0) as orders_repurchases,
               count(*) filter (where o.paid_at > cast(:now as timestamptz) - interval '30 days') as orders_last_30d,
               coalesce(sum(o.paid_fen - o.refunded_fen), 0)::bigint as orders_spent_fen,
               {_DAY} - (max(o.paid_at) at time zone 'Asia/Shanghai')::date as orders_days_since,
               count(*) filter (where o.completed_at <= :now) as orders_received
          from customer_order o where o.buyer_id = q.person_id and {_ALIVE}) f""")  # noqa: S608

_PRODUCT = Source("product", (
    Fact("product.title", "text", "its title today", subject="sku"),
    Fact("product.url", "text", "where it is bought; unknown when the shop did not tell", subject="sku"),
    Fact("product.cycle_days", "int", "its usual days of consumption; unknown when nobody told", subject="sku"),
    Fact("product.bought", "int", "how many unreturned orders of the person hold it", subject="sku"),
    Fact("restock.cycle_days", "int", "the person's own days between purchases of it (median, from 3 purchases on),"
         " else its usual ones", subject="sku"),
), f"""
    select q.n, p.title as product_title, nullif(p.url, '') as product_url,
           p.consumption_days as product_cycle_days, own.bought as product_bought,
           coalesce(own.cycle, p.consumption_days) as restock_cycle_days
      from {_ASKED} left join product p on p.sku = q.subject
      cross join lateral (
        select count(*) as bought, case when count(gap) >= 2 then
               greatest(1, round(percentile_cont(0.5) within group (order by gap)))::bigint end as cycle
          from (select extract(epoch from b.paid_at - lag(b.paid_at) over (order by b.paid_at)) / 86400 as gap
                  from (select distinct o.id, o.paid_at from customer_order o join order_line l on l.order_id = o.id
                         where o.buyer_id = q.person_id and l.sku = q.subject and {_ALIVE}
                         order by o.paid_at desc limit 6) b) gaps) own""")  # noqa: S608

_ROLES = Source("roles", (
    Fact("role.promoter", "bool", "may promote"),
    Fact("role.gold", "bool", "is a gold promoter"),
    Fact("role.partner", "bool", "is a partner"),
    Fact("role.highest", "text", "member, promoter, gold or partner"),
), f"""
    select q.n, coalesce(g.promoter, false) as role_promoter, coalesce(g.gold, false) as role_gold,
           coalesce(g.partner, false) as role_partner,
           case when g.partner then 'partner' when g.gold then 'gold' when g.promoter then 'promoter' else 'member' end
               as role_highest
      from {_ASKED} cross join lateral (
        select bool_or(role = 'promoter') as promoter, bool_or(role = 'gold') as gold,
               bool_or(role = 'partner') as partner
          from role_grant where person_id = q.person_id and granted_at <= :now
           and (revoked_at is null or revoked_at > :now)) g""")  # noqa: S608

_REFERRALS = Source("referrals", (
    Fact("referrals.buyers", "int", "people whom they brought and who have a paid, unreturned order"),
), f"""
    select q.n, f.* from {_ASKED} cross join lateral (
        select count(distinct r.referee_id) as referrals_buyers from referral r
         where r.referrer_id = q.person_id and r.bound_at <= :now and (r.ended_at is null or r.ended_at > :now)
           and exists (select from customer_order o where o.buyer_id = r.referee_id and {_ALIVE})) f""")  # noqa: S608

_COUPONS = Source("coupons", (
    Fact("coupons.usable", "int", "coupons that an order could use now"),
    Fact("coupons.used", "int", "coupons they ever used"),
), f"""
    select q.n, f.* from {_ASKED} cross join lateral (
        select count(*) filter (where state = 'issued' and valid_from <= :now and valid_until > :now) as coupons_usable,
               count(*) filter (where state = 'used' and used_at <= :now) as coupons_used
          from coupon where person_id = q.person_id) f""")  # noqa: S608

_REFUSED = "exists (select from consent c where c.person_id = q.person_id and not c.given and c.changed_at <= :now"

_CONSENT = Source("consent", (
    Fact("consent.marketing", "bool", "they did not refuse marketing messages"),
    Fact("consent.service", "bool", "they did not refuse service messages"),
    Fact("consent.money", "bool", "they did not refuse money messages"),
), f"""
    select q.n, not {_REFUSED} and c.purpose in ('marketing', '*')) as consent_marketing,
           not {_REFUSED} and c.purpose in ('service', '*')) as consent_service,
           not {_REFUSED} and c.purpose in ('money', '*')) as consent_money
      from {_ASKED}""")  # noqa: S608

_TAGGED = ("coalesce((select c.added from tag_change c where c.person_id = q.person_id and c.at <= :now"
           " and c.tag = '{tag}' order by c.id desc limit 1), false) as tag_{tag}")
_TAGS = {"frequent": "orders often this month", "low_potential": "ordered once so far",
         "social": "brought several friends who bought"}

_INSIGHT = Source("insight", (
    Fact("insight.segment", "text", "their segment; unknown before they were judged, and for a past before the last"
         " change"),
    *(Fact(f"tag.{tag}", "bool", about) for tag, about in _TAGS.items()),
), f"""
    select q.n, (select i.segment from person_insight i where i.person_id = q.person_id and i.segment_since <= :now)
               as insight_segment, {", ".join(_TAGGED.format(tag=tag) for tag in _TAGS)}
      from {_ASKED}""")  # noqa: S608 - only constants

_MEMBERSHIP = Source("membership", (
    Fact("membership.active", "bool", "they hold a paid membership"),
    Fact("membership.days_left", "int", "days until its end, below 0 after it; unknown when they never had one"),
), f"""
    select q.n, f.* from {_ASKED} cross join lateral (
        select coalesce(bool_or(c.starts_at <= :now and c.ends_at > :now), false) as membership_active,
               (max(c.ends_at) at time zone 'Asia/Shanghai')::date - {_DAY} as membership_days_left
          from member_card c where c.person_id = q.person_id and c.ends_at > c.starts_at
           and c.bought_at <= :now) f""")  # noqa: S608

_POINTS = Source("points", (
    Fact("points.active", "int", "points that they can spend"),
    Fact("points.expiring_7d", "int", "those of them that expire within 7 days"),
), f"""
    select q.n, f.* from {_ASKED} cross join lateral (
        select coalesce(sum(remaining), 0)::bigint as points_active,
               coalesce(sum(remaining) filter (where expires_at <= cast(:now as timestamptz) + interval '7 days'), 0)
                   ::bigint as points_expiring_7d
          from point_lot where person_id = q.person_id and state = 'active' and active_at <= :now and expires_at > :now
        ) f""")  # noqa: S608

_SUGGESTION = Source("suggestion", (
    Fact("suggestion.sku", "text", "the product they may like best; unknown when nothing can be said"),
    Fact("suggestion.title", "text", "its title"),
    Fact("suggestion.url", "text", "where it is bought; unknown when the shop did not tell"),
    Fact("suggestion.why", "text", "again (their own, due), similar (bought by those who bought theirs) or popular"),
    Fact("suggestion.because", "text", "of a similar one: the title of theirs"),
), f"""
    select q.n, s.sku as suggestion_sku, p.title as suggestion_title,
           nullif(p.url, '') as suggestion_url, s.why as suggestion_why,
           coalesce(b.title, '') as suggestion_because
      from {_ASKED} left join ({SUGGESTED}) s on s.person_id = q.person_id and s.place = 1
      left join product p on p.sku = s.sku left join product b on b.sku = s.because""")  # noqa: S608

SOURCES = (_PEOPLE, _ORDERS, _PRODUCT, _ROLES, _REFERRALS, _COUPONS, _CONSENT, _INSIGHT, _MEMBERSHIP, _POINTS,
           _SUGGESTION)

FACTS: dict[str, Fact] = {fact.name: fact for source in SOURCES for fact in source.facts}
"""Every fact by name."""
_SOURCE_OF: dict[str, Source] = {fact.name: source for source in SOURCES for fact in source.facts}


def load(session: Session, name: str, subjects: Sequence[Subject], now: datetime) -> dict[str, dict[Subject, Value]]:
    """The fact ``name``, and whatever its statement loads with it, for all ``subjects`` as of ``now``: by name, by
    subject.
    """
    source = _SOURCE_OF[name]
    asked = sorted(set(subjects))
    rows = session.execute(text(source.sql), {
        "people": [person for person, _ in asked], "subjects": [subject for _, subject in asked], "now": now})
    loaded: dict[str, dict[Subject, Value]] = {fact.name: dict.fromkeys(asked) for fact in source.facts}
    for row in rows.mappings():
        for fact in source.facts:
            loaded[fact.name][asked[row["n"] - 1]] = _plain(row[fact.column])
    return loaded


def subject_of(name: str, person_id: int, event: Mapping[str, Any]) -> Subject:
    """Whom the fact is about, for a run of this person that this event began."""
    field = _SOURCE_OF[name].subject
    return person_id, str(event.get(field, "")) if field else ""


def _plain(value: Any) -> Value:
    return value if value is None or isinstance(value, bool | int | str) else int(value)
