"""What the policy asks about notices that are about to leave, for one or for many at once: a few statements, however
many they are. Who is judged together is of different people: nobody's second notice is counted without the first."""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import msgspec
from sqlalchemy.orm import Session

from domain.notices.rules import LATE, Facts, Policy, Purpose, place_of
from domain.shared import trips
from domain.shared.clock import SHANGHAI
from domain.shared.records import record


@record
class Leaving:
    """A notice that is about to leave. ``reachable``: the person follows an account that we can write through.
    ``planned``: a journey planned it; whatever its purpose, it is not said twice in a day. ``asked_at``: of an answer.
    """

    effect_id: int
    person_id: int
    purpose: Purpose
    expires_at: datetime | None
    reachable: bool
    digest: str = ""
    priority: int = 0
    planned: bool = False
    asked_at: datetime | None = None

    @property
    def takes_slot(self) -> bool:
        """Whether sending it is counted."""
        return self.purpose == "marketing" or self.planned


_LOCK = """
    select pg_advisory_xact_lock(1853582435, (id %% 2147483647)::int)
      from (select distinct unnest(%(people)s::bigint[]) as id order by 1) as people
"""
"""One person's counted messages are decided one after the other, on however many workers: counting and taking a slot
happen under this lock. The first key is this room's own."""

_FACTS = """
    select w.effect, w.person,
           coalesce((select bool_and(c.given) from consent c
                      where c.person_id = w.person and c.purpose in (w.purpose, '*')), true) as consented,
           exists (select from notice_switch s where s.purpose = w.purpose) as switched_off,
           (select u.until from notice_pause u where u.person_id = w.person and u.purpose = w.purpose) as paused_until,
           (select max(m.received_at) from inbox_message m
             where m.person_id = w.person and m.received_at >= %(awake_since)s
               and m.kind not in ('unfollow', 'location_report', 'view', 'other')) as last_heard_at,
           p.less, p.zone, p.quiet_from, p.quiet_until,
           w.planned and w.purpose <> 'marketing' and w.digest <> ''
           and exists (select from notice_slot s where s.person_id = w.person and s.digest = w.digest
                          and s.taken_at > %(day_ago)s and s.effect_id <> w.effect) as repeated
      from jsonb_to_recordset(%(leaving)s::jsonb) as w (effect bigint, person bigint, purpose text, digest text,
                                                        planned boolean)
      left join notice_preference p on p.person_id = w.person
"""

_CAPS = """
    select w.effect, k.*,
           exists (
               select from outbox o
                where o.person_id = w.person and o.queue = 'notice' and o.state in ('waiting', 'running')
                  and o.id <> w.effect and o.payload ->> 'purpose' = w.purpose and o.due_at <= %(soon)s
                  and o.reason not in ('no_right', 'yields') and (o.expires_at is null or o.expires_at > %(now)s)
                  and (-coalesce((o.payload ->> 'priority')::bigint, 0), coalesce(o.expires_at, 'infinity'), o.id)
                    < (-w.priority, coalesce(w.expires, 'infinity'), w.effect)) as better,
           exists (select from outbox o where o.queue = 'notice' and o.state in ('waiting', 'running')
                      and o.due_at <= %(behind)s
                      and o.payload ->> 'purpose' in ('answer', 'money', 'service')) as behind
      from jsonb_to_recordset(%(leaving)s::jsonb) as w (effect bigint, person bigint, purpose text, digest text,
                                                        priority bigint, expires timestamptz, today timestamptz)
      cross join lateral (
          select count(*) filter (where s.taken_at >= w.today) as sent_today,
                 count(*) filter (where s.taken_at > %(week_ago)s) as sent_this_week, count(*) as sent_this_month,
                 count(*) filter (where s.taken_at > coalesce(h.at, '-infinity')) as unanswered,
                 coalesce(bool_or(s.digest = w.digest and w.digest <> '' and s.taken_at > %(day_ago)s), false)
                     as repeated
            from notice_slot s
            cross join (select max(m.received_at) as at from inbox_message m
                         where m.person_id = w.person and m.received_at > %(month_ago)s
                           and m.kind not in ('unfollow', 'location_report', 'view', 'other')) h
           where s.person_id = w.person and s.purpose = w.purpose and s.taken_at > %(month_ago)s
             and s.effect_id <> w.effect) k
"""

_SLOTS = """
    insert into notice_slot (effect_id, person_id, purpose, digest, taken_at)
    select effect, person, purpose, digest, %(now)s
      from jsonb_to_recordset(%(leaving)s::jsonb) as w (effect bigint, person bigint, purpose text, digest text)
        on conflict (effect_id) do update set taken_at = excluded.taken_at
"""


def facts_of(session: Session, leaving: Sequence[Leaving], policy: Policy, now: datetime) -> dict[int, Facts]:
    """Everything that the policy asks about notices of different people, by effect. Locks the counted messages of those
    it concerns until the transaction ends, in the order of their ids."""
    if not leaving:
        return {}
    if counted := [one.person_id for one in leaving if one.takes_slot]:
        trips.rows(session, _LOCK, {"people": counted})
    asked = {"leaving": _json(leaving, {}), "day_ago": now - timedelta(days=1),
             "awake_since": now - timedelta(minutes=policy.awake_minutes)}
    rows = {row.effect: row for row in trips.rows(session, _FACTS, asked)}
    counts = _counts(session, [one for one in leaving if one.purpose == "marketing"], rows, policy, now)
    return {one.effect_id: _facts(one, rows[one.effect_id], counts.get(one.effect_id, {}), now) for one in leaving}


def taking_slots(leaving: Sequence[Leaving], now: datetime) -> trips.Closing | None:
    """The statement that counts those of these that are counted: they leave now. None: none is."""
    counted = [one for one in leaving if one.takes_slot]
    return trips.Closing(_SLOTS, {"leaving": _json(counted, {}), "now": now}) if counted else None


def _facts(one: Leaving, row: Any, counts: Mapping[str, Any], now: datetime) -> Facts:
    known: dict[str, Any] = {"repeated": row.repeated, **counts}
    return Facts(
        one.purpose, now, _zone(row), one.expires_at, one.reachable, row.consented, row.last_heard_at,
        less=bool(row.less), switched_off=row.switched_off, paused_until=row.paused_until,
        quiet=(row.quiet_from, row.quiet_until) if row.quiet_from else None, spread=place_of(one.person_id),
        late=one.asked_at is not None and one.asked_at <= now - LATE, **known)


def _counts(
    session: Session, leaving: Sequence[Leaving], rows: Mapping[int, Any], policy: Policy, now: datetime
) -> dict[int, dict[str, Any]]:
    """What is counted of messages for marketing, by effect."""
    if not leaving:
        return {}
    local = {one.effect_id: now.astimezone(_zone(rows[one.effect_id])) for one in leaving}
    today = {effect: at.replace(hour=0, minute=0, second=0, microsecond=0) for effect, at in local.items()}
    found = trips.rows(session, _CAPS, {
        "leaving": _json(leaving, today), "now": now, "soon": now + timedelta(minutes=policy.plan_minutes),
        "behind": now - timedelta(minutes=policy.behind_minutes), "day_ago": now - timedelta(days=1),
        "week_ago": now - timedelta(days=7), "month_ago": now - timedelta(days=30)})
    return {row.effect: {name: value for name, value in row._asdict().items() if name != "effect"} for row in found}


def _zone(row: Any) -> ZoneInfo:
    return ZoneInfo(row.zone) if row.zone else SHANGHAI


def _json(leaving: Sequence[Leaving], today: Mapping[int, datetime]) -> str:
    rows = [{"effect": one.effect_id, "person": one.person_id, "purpose": one.purpose, "digest": one.digest,
             "priority": one.priority, "expires": one.expires_at, "planned": one.planned,
             "today": today.get(one.effect_id)} for one in leaving]
    return msgspec.json.encode(rows).decode()
