"""The rows of what orders opened: compares them with what the orders carry now, writes the difference. Never commits.

Only rows and memberships; what a change means in money, points and coupons is domain/workflows/programme.py.
"""

from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import bindparam, insert, select, text, update
from sqlalchemy.orm import Session

from domain.audit import service as audit
from domain.audit.rules import Actor
from domain.orders.service import spread_news
from domain.people.queries import survivors
from domain.rewards.climbing import Kept, Opened, Reach, carrying, opened, reaches_of
from domain.rewards.models import Membership, Reward
from domain.rewards.programme import Programme
from domain.shared.errors import NotFound
from domain.shared.records import record

RETURNED, MERGED, BY_HAND = "returned", "merged", "operator"
"""Reasons of a revoked reward: too few kept orders are left to carry it; two persons who were one had it twice; two
operators took it back, and orders do not open it again."""
DOUBLE = "#"
"""Marks the rung of a reward that somebody has twice since a merge."""

_LOCK = text("""
    select pg_advisory_xact_lock(hashtextextended('programme:' || b.id, 0))
      from (select distinct i as id from unnest(cast(:ids as bigint[])) as i order by 1) b""")
_TAKE = text("""
    with taken as (select id from programme_stale where look_at is null or look_at <= :now
                    order by id limit :limit for update skip locked),
         gone as (delete from programme_stale s using taken t where s.id = t.id returning s.person_id)
    select person_id from gone""")
_AT_ONCE = text("""
    with mine as (select id from programme_stale where look_at is not null and (:all or person_id = any(:ids))
                   order by id for update)
    update programme_stale s set look_at = least(s.look_at, :now) from mine where mine.id = s.id
    returning s.person_id""")
_DUE = text("""
    select buyer_id from reward r where state = 'provisional' and final_at <= :now
       and not exists (select from account_hold h where h.person_id = r.person_id and h.lifted_at is null)
       and not exists (select from programme_stale s where s.person_id = r.buyer_id and s.look_at > :now)
     order by final_at, id limit :limit""")
# An order with a return that is being worked on is looked at again, hour by hour, until that is settled.
_ORDERS = text("""
    select o.buyer_id, o.id, o.paid_at, o.completed_at, o.seller_id,
           exists (select from commerce_open e where e.subject = 'order:' || o.channel || '/' || o.order_no
                      and e.type in ('order.refunded', 'order.closed')) as disputed
      from customer_order o
     where o.buyer_id = any(:ids) and o.closed_at is null and o.goods_fen >= :kept""")
_VERIFIED = text("select id from person where id = any(:ids) and phone_verified_at is not null")

AGAIN = timedelta(hours=1)


@dataclass(slots=True)
class Row:
    """A stored reward while it is worked on."""

    id: int
    person_id: int
    buyer_id: int
    ladder: str
    rung: str
    what: str
    amount: int
    detail: str
    title: str
    benefits: list[str]
    needed: int
    within_days: int | None
    order_id: int
    since: datetime
    final_at: datetime | None
    state: str
    reason: str
    turn: int

    @property
    def key(self) -> str:
        """Names this turn of it, for everything that hangs on it."""
        return f"reward:{self.id}:{self.turn}"


@dataclass(slots=True)
class Changes:
    """What came of a count. ``planned``: provisional ones whose final day is another now. ``lost`` has each row as it
    was, so with the person who loses it, and the reason."""

    gained: list[Row] = field(default_factory=list)
    planned: list[Row] = field(default_factory=list)
    due: list[Row] = field(default_factory=list)
    lost: list[Row] = field(default_factory=list)


def take_stale(session: Session, now: datetime, limit: int) -> list[int]:
    """Whose orders changed: a mark each, taken off the list. Who is parked comes when their time has come."""
    spread_news(session)
    return list(session.scalars(_TAKE, {"limit": limit, "now": now}))


def park(session: Session, buyer_id: int, fault: str, now: datetime) -> None:
    """This buyer could not be counted: set apart with the reason, tried again in an hour."""
    session.execute(text("insert into programme_stale (person_id, fault, look_at) values (:id, :fault, :at)"),
                    {"id": buyer_id, "fault": fault, "at": now + AGAIN})


@record
class Parked:
    """Somebody whose rewards could not be counted."""

    person_id: int
    fault: str
    look_at: datetime


def parked(session: Session, limit: int = 100) -> list[Parked]:
    """Who is set apart, the next to be tried first."""
    rows = session.execute(text("select person_id, fault, look_at from programme_stale where look_at is not null"
                                " order by look_at, id limit :limit"), {"limit": limit})
    return [Parked(*row) for row in rows]


def retry(session: Session, person_id: int | None, actor: Actor, now: datetime) -> list[int]:
    """Those who are set apart (or this one) are counted at once instead of in their hour; returns who. Audited.

    Raises NotFound('reward_not_parked') when that person is not set apart.
    """
    given = [] if person_id is None else [person_id, *survivors(session, [person_id]).values()]
    found = sorted(set(session.scalars(_AT_ONCE, {"all": person_id is None, "ids": given, "now": now})))
    if person_id is not None and not found:
        raise NotFound("reward_not_parked", id=person_id)
    audit.record(session, actor, "reward.retry", f"person:{found[0]}" if person_id is not None else "rewards",
                 {"people": len(found)}, now)
    return found


def due(session: Session, now: datetime, limit: int) -> list[int]:
    """Buyers with rewards that become final. Who is frozen waits."""
    return list(session.scalars(_DUE, {"now": now, "limit": limit}))


def orders_of(
    session: Session, ids: Collection[int], programme: Programme, now: datetime
) -> dict[int, list[Kept]]:
    """The kept orders of people."""
    found: dict[int, list[Kept]] = defaultdict(list)
    window = timedelta(days=programme.return_days)
    for row in session.execute(_ORDERS, {"ids": sorted(set(ids)), "kept": programme.min_kept_fen}):
        final = row.completed_at + window if row.completed_at else None
        if final and row.disputed:
            final = max(final, now + AGAIN)
        found[row.buyer_id].append(Kept(row.id, row.paid_at, final, row.seller_id))
    return found


def recount(
    session: Session, buyer_ids: Collection[int], programme: Programme, now: datetime,
    ahead: Callable[[Collection[int]], object],
) -> Changes:
    """Bring the rows of these buyers in line with their orders. Locks them until the transaction ends. ``ahead`` is
    told, before anything is written, whose points become theirs or are taken back."""
    ids = sorted(set(buyer_ids))
    session.execute(_LOCK, {"ids": ids})
    orders = orders_of(session, ids, programme, now)
    stored = _stored(session, ids)
    ids = [one for one in ids if len(orders.get(one, ())) > 1 or one in stored]
    if not ids:
        return Changes()
    reaches = {one: reaches_of(orders.get(one, ())) for one in ids}
    verified = _verified(session, reaches)
    count = _Count(programme, now)
    for one in ids:
        wanted = opened(programme, one, reaches[one], verified)
        count.compare(one, stored.get(one, {}), {(each.ladder, each.rung): each for each in wanted}, reaches[one])
    ahead(count.points_of())
    return count.write(session)


def _stored(session: Session, ids: Sequence[int]) -> dict[int, dict[tuple[str, str], Row]]:
    found: dict[int, dict[tuple[str, str], Row]] = defaultdict(dict)
    rows = session.execute(select(*(getattr(Reward, name) for name in Row.__slots__)).where(Reward.buyer_id.in_(ids))
                           .order_by(Reward.id))
    for raw in rows:
        row = Row(*raw)
        found[row.buyer_id][row.ladder, row.rung] = row
    return found


def _verified(session: Session, reaches: Mapping[int, Sequence[Reach]]) -> frozenset[int]:
    sellers = {line[0].seller_id for line in reaches.values() if line and line[0].seller_id}
    return frozenset(session.scalars(_VERIFIED, {"ids": sorted(set(reaches) | sellers)})) if sellers else frozenset()


class _Count:
    """Gathers what has to be written for many buyers."""

    def __init__(self, programme: Programme, now: datetime) -> None:
        self._programme, self._now = programme, now
        self._fresh: list[dict[str, Any]] = []
        self._touched: dict[int, Row] = {}
        self._changes = Changes()

    def compare(
        self, buyer_id: int, stored: Mapping[tuple[str, str], Row], wanted: Mapping[tuple[str, str], Opened],
        reaches: Sequence[Reach],
    ) -> None:
        for key, one in wanted.items():
            row = stored.get(key)
            if row is None:
                self._fresh.append(self._new(buyer_id, one))
            elif row.reason == BY_HAND:
                continue
            elif row.state == "revoked":
                self._again(row, one)
            elif row.person_id != one.person_id:
                self._lose(row)
                self._again(row, one)
            else:
                self._plan(row, one.order_id, one.since, one.final_at)
        for key, row in stored.items():
            if key not in wanted and row.state != "revoked":
                reach = None if self._judged_anew(row) else carrying(reaches, row.needed, row.within_days)
                if reach is None:
                    self._lose(row, MERGED if DOUBLE in row.rung else RETURNED)
                else:
                    self._plan(row, reach.id, reach.since, reach.final_at)

    def _judged_anew(self, row: Row) -> bool:
        """An invite hangs on more than a number of orders: who sold the first, and when the second came."""
        return DOUBLE in row.rung or (row.ladder == "invite" and self._programme.invite is not None)

    def _new(self, buyer_id: int, one: Opened) -> dict[str, Any]:
        return {
            "ladder": one.ladder, "rung": one.rung, "buyer_id": buyer_id, "person_id": one.person_id, "what": one.what,
            "amount": one.amount, "detail": one.detail, "title": one.title, "benefits": list(one.benefits),
            "needed": one.needed, "within_days": one.within_days, "order_id": one.order_id, "since": one.since,
            "final_at": one.final_at, "state": "provisional", "reason": "", "turn": 0, "changed_at": self._now}

    def _again(self, row: Row, one: Opened) -> None:
        row.person_id, row.amount, row.detail, row.title = one.person_id, one.amount, one.detail, one.title
        row.benefits, row.needed, row.within_days = list(one.benefits), one.needed, one.within_days
        row.order_id, row.since, row.final_at = one.order_id, one.since, one.final_at
        row.what, row.state, row.reason, row.turn = one.what, "provisional", "", row.turn + 1
        self._touched[row.id] = row
        self._changes.gained.append(row)

    def _plan(self, row: Row, order_id: int, since: datetime, final_at: datetime | None) -> None:
        """What is final stays so while enough orders carry it, whichever they are."""
        if row.state == "provisional" and (row.order_id, row.since, row.final_at) != (order_id, since, final_at):
            row.order_id, row.since, row.final_at = order_id, since, final_at
            self._touched[row.id] = row
            self._changes.planned.append(row)
        if row.state == "provisional" and self._ripe(final_at):
            self._changes.due.append(row)

    def _lose(self, row: Row, reason: str = RETURNED) -> None:
        was = Row(*(getattr(row, name) for name in Row.__slots__))
        was.reason = reason
        self._changes.lost.append(was)
        row.state, row.reason, row.final_at = "revoked", reason, None
        self._touched[row.id] = row

    def points_of(self) -> set[int]:
        """Whose points of these rewards are taken back, or are theirs for good at once."""
        changes = self._changes
        ripe = [row for row in changes.gained if self._ripe(row.final_at)]
        found = {row.person_id for row in (*changes.lost, *changes.due, *ripe) if row.what == "points"}
        return found | {one["person_id"] for one in self._fresh
                        if one["what"] == "points" and self._ripe(one["final_at"])}

    def _ripe(self, final_at: datetime | None) -> bool:
        return final_at is not None and final_at <= self._now

    def write(self, session: Session) -> Changes:
        changes = self._changes
        _update(session, self._touched.values(), self._now)
        if self._fresh:
            names = [getattr(Reward, name) for name in Row.__slots__]
            rows = session.execute(insert(Reward).returning(*names, sort_by_parameter_order=True), self._fresh)
            changes.gained += [Row(*raw) for raw in rows]
        changes.due += [row for row in changes.gained if self._ripe(row.final_at)]
        return changes


def finish(session: Session, rows: Sequence[Row], now: datetime) -> None:
    """These are theirs for good."""
    for row in rows:
        row.state = "final"
    _update(session, rows, now)


def held(session: Session, reward_id: int) -> Row:
    """One reward, which no count changes until the transaction ends."""
    wanted = select(*(getattr(Reward, name) for name in Row.__slots__)).where(Reward.id == reward_id)
    row = Row(*session.execute(wanted).one())
    while True:
        session.execute(_LOCK, {"ids": [row.buyer_id]})
        buyer, row = row.buyer_id, Row(*session.execute(wanted).one())
        if row.buyer_id == buyer:
            return row


def strike(session: Session, row: Row, now: datetime) -> None:
    """Two operators took it back: it is nobody's, and stays so."""
    row.state, row.reason, row.final_at = "revoked", BY_HAND, None
    _update(session, [row], now)


def _update(session: Session, rows: Iterable[Row], now: datetime) -> None:
    names = [name for name in Row.__slots__ if name not in ("id", "buyer_id", "ladder", "rung")]
    values = [{f"new_{name}": getattr(row, name) for name in names} | {"row_id": row.id, "now": now} for row in rows]
    if values:
        session.connection().execute(
            update(Reward).where(Reward.id == bindparam("row_id")).values(
                {name: bindparam(f"new_{name}") for name in names} | {"changed_at": bindparam("now")}), values)


def join(session: Session, rows: Sequence[Row]) -> None:
    """Memberships that begin."""
    if rows:
        session.execute(insert(Membership), [
            {"person_id": row.person_id, "tier": row.detail, "benefits": row.benefits, "cause": row.key,
             "since": row.since} for row in rows])


def leave(session: Session, rows: Sequence[Row], now: datetime) -> None:
    """Memberships that end."""
    if rows:
        session.execute(text("update membership set until = greatest(:now, since) where cause = any(:causes)"
                             " and until is null"), {"now": now, "causes": [row.key for row in rows]})


_STRUCK = text("""
    update reward k set rung = k.rung || :mark || k.id from reward g
     where k.buyer_id = :kept and g.buyer_id = :gone and k.ladder = g.ladder and k.rung = g.rung
       and k.reason = :by_hand and g.state <> 'revoked'""")
_DOUBLE = text("""
    update reward g set rung = g.rung || :mark || g.buyer_id from reward k
     where g.buyer_id = :gone and k.buyer_id = :kept and k.ladder = g.ladder and k.rung = g.rung""")


def move(session: Session, kept_id: int, gone_id: int) -> int:
    """A merge's part: what was opened twice is closed by the next count, which is asked for."""
    ends = {"kept": kept_id, "gone": gone_id}
    session.execute(_STRUCK, ends | {"mark": DOUBLE, "by_hand": BY_HAND})  # the other one's was never a mistake
    session.execute(_DOUBLE, ends | {"mark": DOUBLE})
    moved = session.execute(text("update reward set buyer_id = :kept where buyer_id = :gone returning id"), ends).all()
    session.execute(text("update reward set person_id = :kept where person_id = :gone"), ends)
    session.execute(text("update membership set person_id = :kept where person_id = :gone"), ends)
    session.execute(text("insert into programme_stale (person_id) values (:kept)"), ends)
    return len(moved)
