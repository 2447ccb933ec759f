"""Judging people: who changed, what the rules say of them now, and tags that others put on. Never commits."""

from collections.abc import Sequence
from datetime import datetime, time, timedelta
from time import monotonic
from typing import Any, Literal

from sqlalchemy import RowMapping, TextClause, insert, text
from sqlalchemy.orm import Session

from domain.insight.models import Rebuild
from domain.insight.rules import Facts, Judged, Segmentation, judge
from domain.orders.service import spread_news
from domain.shared.clock import SHANGHAI
from domain.shared.outbox import Effect, put

Source = Literal["journey", "operator", "arrival"]

NIGHT = time(3, 30)
"""When time alone is allowed to move people between segments."""

_TAKE = text("""
    with taken as (select id from insight_stale order by id limit :limit for update skip locked),
         gone as (delete from insight_stale s using taken t where s.id = t.id returning s.person_id)
    select person_id from gone""")

_AGAIN = text("""
    select person_id from person_insight where look_again_at <= :now order by look_again_at, person_id limit :limit""")

_EVERYBODY = text("select id from person where id > :after and merged_into is null order by id limit :limit")

_KEPT = "o.closed_at is null and (o.paid_fen = 0 or o.refunded_fen < o.paid_fen) and o.paid_at <= :now"
_DAY = "(cast(:now as timestamptz) at time zone 'Asia/Shanghai')"
_FACTS = text(f"""
    select p.id, p.merged_into is not null as gone, f.*, coalesce(b.buyers, 0) as referred_buyers,
           i.segment as was, i.segment_since as since
      from person p
      left join person_insight i on i.person_id = p.id
      cross join lateral (
        select count(*) as orders, coalesce(sum(o.paid_fen - o.refunded_fen), 0)::bigint as spent_fen,
               count(*) filter (where o.paid_at > cast(:now as timestamptz) - interval '30 days') as orders_30d,
               count(*) filter (where date_trunc('month', o.paid_at at time zone 'Asia/Shanghai')
                                    = date_trunc('month', {_DAY})) as orders_month,
               count(*) filter (where o.paid_at > :window) as window_orders,
               coalesce(sum(o.paid_fen - o.refunded_fen) filter (where o.paid_at > :window), 0)::bigint as window_fen,
               max(o.paid_at) as last_paid_at,
               {_DAY}::date - (max(o.paid_at) at time zone 'Asia/Shanghai')::date as days_since
          from customer_order o where o.buyer_id = p.id and {_KEPT}) f
      left join lateral (
        select count(distinct r.referee_id) as buyers from referral r
         where r.referrer_id = p.id and r.ended_at is null
           and exists (select from customer_order o where o.buyer_id = r.referee_id and {_KEPT})) b on true
     where p.id = any(:people) order by p.id""")  # noqa: S608 - only constants

_KEEP = text("""
    insert into person_insight as i (person_id, segment, segment_since, recency, frequency, money, orders, spent_fen,
                                     last_paid_at, look_again_at, computed_at)
    select k.*, :now
      from unnest(cast(:people as bigint[]), cast(:segments as text[]), cast(:sinces as timestamptz[]),
                  cast(:rs as bigint[]), cast(:fs as bigint[]), cast(:ms as bigint[]), cast(:orders as bigint[]),
                  cast(:spent as bigint[]), cast(:lasts as timestamptz[]), cast(:agains as timestamptz[])) as k
        on conflict (person_id) do update
       set segment = excluded.segment, segment_since = excluded.segment_since, recency = excluded.recency,
           frequency = excluded.frequency, money = excluded.money, orders = excluded.orders,
           spent_fen = excluded.spent_fen, last_paid_at = excluded.last_paid_at, computed_at = excluded.computed_at,
           look_again_at = excluded.look_again_at""")

_RETAG = text("""
    with wanted as (
        select * from unnest(cast(:people as bigint[]), cast(:tags as text[])) as w (person_id, tag)),
    added as (
        insert into person_tag (person_id, tag, source, since)
        select person_id, tag, 'rule', :now from wanted order by 1, 2
            on conflict (person_id, tag) do nothing returning person_id, tag),
    removed as (
        delete from person_tag t where t.person_id = any(:judged) and t.source = 'rule'
           and not exists (select from wanted w where w.person_id = t.person_id and w.tag = t.tag)
        returning person_id, tag)
    insert into tag_change (person_id, tag, added, source, at)
    select person_id, tag, true, 'rule', :now from added
     union all
    select person_id, tag, false, 'rule', :now from removed
    returning person_id, tag, added""")


def refresh(session: Session, rules: Segmentation, now: datetime, limit: int = 500) -> int:
    """Judge people whose orders or referrals changed; returns how many marks that settled. Workers share the work."""
    return len(refreshed(session, rules, now, limit))


def refreshed(session: Session, rules: Segmentation, now: datetime, limit: int = 500) -> Sequence[int]:
    """As ``refresh``; returns whose marks those were, somebody who was marked twice twice."""
    spread_news(session)
    marks = session.scalars(_TAKE, {"limit": limit}).all()
    _judge(session, sorted(set(marks)), rules, now)
    return marks


def turn(session: Session, rules: Segmentation, now: datetime, limit: int = 2_000) -> int:
    """Judge people whom time alone may have moved; returns how many."""
    people = list(session.scalars(_AGAIN, {"now": now, "limit": limit}))
    _judge(session, people, rules, now)
    return len(people)


def rebuild(session: Session, rules: Segmentation, after: int, now: datetime, limit: int = 2_000) -> int | None:
    """Judge everybody, a piece at a time: people behind the id ``after``. Returns the last id, None at the end."""
    people = list(session.scalars(_EVERYBODY, {"after": after, "limit": limit}))
    _judge(session, people, rules, now)
    return people[-1] if people else None


def _judge(session: Session, people: Sequence[int], rules: Segmentation, now: datetime) -> None:
    if not people:
        return
    began = monotonic()
    window = now - timedelta(days=rules.rfm.window_days)
    rows = session.execute(_FACTS, {"people": list(people), "now": now, "window": window}).mappings().all()
    judged = [(row, judge(_facts(row), rules)) for row in rows if not row["gone"]]
    _keep(session, judged, rules, now)
    tags = [(row["id"], tag) for row, one in judged for tag in one.tags]
    changes = session.execute(_RETAG, {
        "people": [person for person, _ in tags], "tags": [tag for _, tag in tags],
        "judged": [row["id"] for row in rows], "now": now}).all()
    put(session, [_told(person, tag, added, now) for person, tag, added in changes], now)
    put(session, [_moved(row["id"], row["was"], one.segment, now) for row, one in judged
                  if row["was"] and row["was"] != one.segment], now)
    session.execute(insert(Rebuild), [{"started_at": now, "ended_at": now, "people": len(rows),
                                       "milliseconds": round((monotonic() - began) * 1000)}])


def _facts(row: RowMapping) -> Facts:
    return Facts(**{name: row[name] for name in Facts.__slots__})


def _keep(
    session: Session, judged: Sequence[tuple[RowMapping, Judged]], rules: Segmentation, now: datetime
) -> None:
    session.execute(_KEEP, {
        "now": now, "people": [row["id"] for row, _ in judged], "segments": [one.segment for _, one in judged],
        "sinces": [row["since"] if row["was"] == one.segment else now for row, one in judged],
        "rs": [one.r for _, one in judged], "fs": [one.f for _, one in judged], "ms": [one.m for _, one in judged],
        "orders": [row["orders"] for row, _ in judged], "spent": [row["spent_fen"] for row, _ in judged],
        "lasts": [row["last_paid_at"] for row, _ in judged],
        "agains": [_look_again(row["last_paid_at"], rules, now) for row, _ in judged],
    })


def _look_again(last: datetime | None, rules: Segmentation, now: datetime) -> datetime | None:
    """The next night while the last order is young enough to lose worth by growing old."""
    if last is None or now - last > timedelta(days=rules.rfm.window_days + 1):
        return None
    local = now.astimezone(SHANGHAI)
    night = datetime.combine(local.date(), NIGHT, SHANGHAI)
    return night if night > local else night + timedelta(days=1)


def _told(person_id: int, tag: str, added: bool, now: datetime) -> Effect:
    """A fact for whoever treats people by their tags; a tag that comes, goes and comes again is told each time."""
    kind = "tag.added" if added else "tag.removed"
    return Effect("fact", kind, f"{kind}:{person_id}:{tag}:{now.isoformat()}", person_id, {"tag": tag})


def _moved(person_id: int, was: str, segment: str, now: datetime) -> Effect:
    """A fact for whoever treats people by their segment. The first judging moves nobody."""
    return Effect("fact", "segment.changed", f"segment.changed:{person_id}:{segment}:{now.isoformat()}", person_id,
                  {"segment": segment, "was": was})


def tag(session: Session, person_id: int, name: str, source: Source, now: datetime) -> bool:
    """Put a tag on by hand, by a journey or on arrival; whether it is new. Rules never take such a tag off."""
    return _change(session, text("""
        insert into person_tag as t (person_id, tag, source, since) values (:person, :tag, :source, :now)
            on conflict (person_id, tag) do update set source = excluded.source where t.source = 'rule'
        returning (xmax = 0)"""), person_id, name, source, now, added=True)


def untag(session: Session, person_id: int, name: str, source: Source, now: datetime) -> bool:
    """Take a tag off; whether it was there. A tag of the rules comes back at the next judging if it still fits."""
    return _change(session, text("delete from person_tag where person_id = :person and tag = :tag returning true"),
                   person_id, name, source, now, added=False)


def _change(
    session: Session, statement: TextClause, person_id: int, name: str, source: Source, now: datetime, *, added: bool
) -> bool:
    facts: dict[str, Any] = {"person": person_id, "tag": name, "source": source, "now": now}
    if not session.execute(statement, facts).scalar():
        return False
    session.execute(text("insert into tag_change (person_id, tag, added, source, at)"
                         " values (:person, :tag, :added, :source, :now)"), facts | {"added": added})
    put(session, [_told(person_id, name, added, now)], now)
    return True


def move(session: Session, kept_id: int, gone_id: int, now: datetime) -> dict[str, int]:
    """A merge's part: tags put by hand follow, what the rules know is judged afresh."""
    ends = {"kept": kept_id, "gone": gone_id}
    session.execute(text("""
        insert into person_tag as t (person_id, tag, source, since)
        select :kept, tag, source, since from person_tag where person_id = :gone and source <> 'rule'
            on conflict (person_id, tag) do update
           set source = case when t.source = 'rule' then excluded.source else t.source end,
               since = least(t.since, excluded.since)"""), ends)
    moved = session.execute(text("delete from person_tag where person_id = :gone returning tag"), ends).all()
    session.execute(text("delete from person_insight where person_id = :gone"), ends)
    session.execute(text("delete from insight_stale where person_id = :gone"), ends)
    session.execute(text("select insight_mark(array[cast(:kept as bigint)])"), ends)
    return {"person_tag": len(moved)} if moved else {}
