"""Binding newcomers to sharers, renewing by purchase, and referrals' part of a merge of persons.

Needs READ COMMITTED. Edges are added under locks of both ends (see referral_take_edges in migration 0001), taken in
id order for a whole call; call ``bind_many`` once a transaction rather than ``bind`` many times.
"""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import datetime

from sqlalchemy import ARRAY, BigInteger, cast, func, insert, or_, select, text, update
from sqlalchemy.dialects.postgresql import insert as pg_insert
from sqlalchemy.orm import Session

from domain.people import queries as people
from domain.people.models import Person
from domain.referrals import models, rules
from domain.referrals.models import Referral, ReferralRenewal
from domain.referrals.rules import BindingPolicy, BindOutcome, Decision, Edge, End, Touch
from domain.shared.errors import Conflict, NotFound

_TRIES = 10
_IDS = ARRAY(BigInteger)
_QUIET = {"synchronize_session": False}


def bind(session: Session, touch: Touch, policy: BindingPolicy, now: datetime) -> BindOutcome:
    """Record a touch and bind the visitor if the policy says so. Safe to repeat. NotFound for an unknown referee."""
    return bind_many(session, [touch], policy, now)[0]


def bind_many(
    session: Session, touches: Sequence[Touch], policy: BindingPolicy, now: datetime
) -> list[BindOutcome]:
    """Outcomes in the order of ``touches`` (at most a few hundred). Touches of one person are judged in order of time.

    A touch dated after ``now`` counts as of now. Raises NotFound for an unknown referee.
    """
    dated = [replace(touch, at=min(touch.at, now)) for touch in touches]
    named = _name(session, dated)
    outcomes: dict[int, BindOutcome] = {}
    waiting = sorted(range(len(named)), key=lambda n: named[n].at)
    if len({touch.referee_id for touch in named}) < len(named):
        _lock(session, {(t.referee_id, t.sharer_id) for t in named if t.sharer_id not in (0, t.referee_id)})
    while waiting:
        busy: set[int] = set()
        turn: list[int] = []
        later: list[int] = []
        for n in waiting:
            (later if named[n].referee_id in busy else turn).append(n)
            busy.add(named[n].referee_id)
        outcomes.update(zip(turn, _bind_turn(session, [dated[n] for n in turn], policy), strict=True))
        waiting = later
    _record(session, _name(session, dated))
    return [outcomes[n] for n in range(len(touches))]


def _bind_turn(session: Session, touches: Sequence[Touch], policy: BindingPolicy) -> list[BindOutcome]:
    """Bind touches of different referees: decide, lock what has to change, decide again on what the lock shows."""
    locked: set[tuple[int, int]] = set()
    for _ in range(_TRIES):
        named = _name(session, touches)
        decisions = _decide(session, named, policy)
        wanted = {(d.start.referee_id, d.start.referrer_id) for d in decisions if d.start}
        if wanted <= locked:
            if locked:
                decisions = _refuse_cycles(session, decisions)
            _apply(session, decisions)
            return [decision.outcome for decision in decisions]
        locked |= wanted
        _lock(session, locked)
    raise Conflict("referral.busy")


def _lock(session: Session, pairs: set[tuple[int, int]]) -> None:
    """Lock edges (referee, referrer) to be. First the people, against being merged away, as a merge does too."""
    if not pairs:
        return
    session.execute(select(Person.id).where(Person.id.in_({one for pair in pairs for one in pair}))
                    .order_by(Person.id).with_for_update(read=True, key_share=True)).all()
    below, above = (cast(list(side), _IDS) for side in zip(*sorted(pairs), strict=True))
    session.execute(select(func.referral_take_edges(below, above)))


def _name(session: Session, touches: Sequence[Touch]) -> list[Touch]:
    """Touches with living persons; ``sharer_id`` 0 where no such sharer is known."""
    codes = people.by_codes(session, [t.referral_code for t in touches if not t.sharer_id])
    ids = people.survivors(session, [i for t in touches for i in (t.referee_id, t.sharer_id)])
    if unknown := {t.referee_id for t in touches} - ids.keys():
        raise NotFound("person.unknown", ids=sorted(unknown))
    return [
        replace(t, referee_id=ids[t.referee_id],
                sharer_id=ids.get(t.sharer_id, 0) if t.sharer_id else codes.get(t.referral_code, 0))
        for t in touches
    ]


def _decide(session: Session, named: Sequence[Touch], policy: BindingPolicy) -> list[Decision]:
    history: dict[int, list[Edge]] = defaultdict(list)
    for row in session.scalars(
        select(Referral).where(Referral.referee_id.in_({t.referee_id for t in named})).order_by(Referral.bound_at),
        execution_options={"populate_existing": True},
    ):
        history[row.referee_id].append(_edge(row))
    return [
        rules.decide(touch, history[touch.referee_id], policy) if touch.sharer_id
        else Decision(BindOutcome("unknown_code"))
        for touch in named
    ]


def _edge(row: Referral) -> Edge:
    return Edge(row.referee_id, row.referrer_id, row.source, row.bound_at, row.valid_until, row.protected_until,
                row.ended_at, row.end_reason, row.id)


def _above(session: Session, person_ids: Iterable[int]) -> dict[int, Edge]:
    """All edges that are not ended on the ways up from some persons, by referee."""
    up = select(func.unnest(cast(list(person_ids), _IDS)).label("person_id")).cte("up", recursive=True)
    up = up.union(select(Referral.referrer_id).join(up, Referral.referee_id == up.c.person_id)
                  .where(Referral.ended_at.is_(None)))
    rows = session.scalars(
        select(Referral).join(up, Referral.referee_id == up.c.person_id).where(Referral.ended_at.is_(None)),
        execution_options={"populate_existing": True},
    )
    return {row.referee_id: _edge(row) for row in rows}


def _refuse_cycles(session: Session, decisions: Sequence[Decision]) -> list[Decision]:
    above = _above(session, {d.start.referrer_id for d in decisions if d.start})
    judged = []
    for decision in decisions:
        if decision.start is None or decision.start.ended_at is not None:
            judged.append(decision)
            continue
        ends = rules.break_cycle(decision.start, above)
        if ends is None:
            judged.append(Decision(BindOutcome("cycle")))
            continue
        gone = {end.id for end in ends}
        above = {person: edge for person, edge in above.items() if edge.id not in gone}
        above[decision.start.referee_id] = decision.start
        judged.append(replace(decision, ends=decision.ends + ends))
    return judged


def _apply(session: Session, decisions: Sequence[Decision]) -> None:
    _end(session, [end for decision in decisions for end in decision.ends])
    starts = [
        {
            "referee_id": edge.referee_id, "referrer_id": edge.referrer_id, "source": edge.source,
            "bound_at": edge.bound_at, "first_until": edge.valid_until, "valid_until": edge.valid_until,
            "protected_until": edge.protected_until, "ended_at": edge.ended_at, "end_reason": edge.end_reason,
        }
        for edge in (decision.start for decision in decisions) if edge
    ]
    if starts:
        session.execute(insert(Referral), starts)


def _end(session: Session, ends: Sequence[End]) -> None:
    for end in sorted(ends, key=lambda end: end.id):
        session.execute(
            update(Referral).where(Referral.id == end.id, Referral.ended_at.is_(None))
            .values(ended_at=end.at, end_reason=end.reason), execution_options=_QUIET,
        )


def _record(session: Session, named: Sequence[Touch]) -> None:
    seen = sorted(
        (t for t in named if t.sharer_id and t.sharer_id != t.referee_id),
        key=lambda t: (t.referee_id, t.sharer_id, t.at, t.source),  # in one order everywhere: no deadlocks
    )
    rows = [
        {"visitor_id": t.referee_id, "sharer_id": t.sharer_id, "source": t.source, "scene": t.scene, "at": t.at}
        for t in seen
    ]
    if rows:
        session.execute(pg_insert(models.Touch).on_conflict_do_nothing(), rows)


def visit(session: Session, referral_code: str, at: datetime, *, source: str, scene: str = "") -> int | None:
    """Record an anonymous visit (a landing page) and return the sharer, None for an unknown code. Binds nobody."""
    sharer_id = people.by_codes(session, [referral_code]).get(referral_code)
    if sharer_id is not None:
        session.execute(insert(models.Touch), [{"sharer_id": sharer_id, "source": source, "scene": scene, "at": at}])
    return sharer_id


def renew_many(session: Session, purchases: Sequence[tuple[int, datetime]], policy: BindingPolicy) -> int:
    """Purchases ``(person_id, paid_at)`` renew the bindings they fall into; returns how many edges now last longer.

    In any order and repeated: the end is the same. Bindings that are permanent or ended stay as they are.
    """
    if not purchases or not policy.renew_on_purchase:
        return 0
    alive = people.survivors(session, [person_id for person_id, _ in purchases])
    edges = {
        row.referee_id: row
        for row in session.scalars(
            select(Referral)
            .where(Referral.referee_id.in_(set(alive.values())), Referral.ended_at.is_(None),
                   Referral.first_until.is_not(None))
            .order_by(Referral.id).with_for_update(key_share=True),
            execution_options={"populate_existing": True},
        )
    }
    facts = {
        (edges[alive[person_id]].id, at)
        for person_id, at in purchases
        if alive.get(person_id) in edges and edges[alive[person_id]].bound_at <= at
    }
    if not facts:
        return 0
    session.execute(pg_insert(ReferralRenewal).on_conflict_do_nothing(),
                    [{"referral_id": edge_id, "at": at} for edge_id, at in sorted(facts)])
    return _renew(session, edges.values(), policy)


def _renew(session: Session, edges: Iterable[Referral], policy: BindingPolicy) -> int:
    bought: dict[int, list[datetime]] = defaultdict(list)
    for row in session.scalars(
        select(ReferralRenewal).where(ReferralRenewal.referral_id.in_([edge.id for edge in edges]))
    ):
        bought[row.referral_id].append(row.at)
    longer = 0
    for edge in edges:
        if edge.first_until is None or edge.valid_until is None:
            continue
        until = max(edge.valid_until, rules.renewed(edge.first_until, bought[edge.id], policy))
        longer += until > edge.valid_until
        edge.valid_until = until
    session.flush()
    return longer


def move(session: Session, kept_id: int, gone_id: int, now: datetime) -> dict[str, int]:
    """Referrals' part of a merge (a people.service.Mover). Raises Conflict('merge.cycle') if it would close a ring.

    An edge between the two is undone from its start: nobody belongs to themselves. Of two uplines the one valid now
    stays, of two valid ones the older.
    """
    session.execute(select(func.referral_take_all()))
    both = (kept_id, gone_id)
    session.execute(select(Referral.id).where(or_(Referral.referee_id.in_(both), Referral.referrer_id.in_(both)))
                    .order_by(Referral.id).with_for_update(key_share=True)).all()
    above = _above(session, [kept_id, gone_id])
    for lower, upper in ((kept_id, gone_id), (gone_id, kept_id)):
        edge = above.get(lower)
        while edge is not None:
            if edge.referrer_id == upper and edge.referee_id != lower:
                raise Conflict("merge.cycle")
            edge = above.get(edge.referrer_id)
    own = [edge for edge in (above.get(kept_id), above.get(gone_id)) if edge]
    uplines = sorted((edge for edge in own if edge.referrer_id not in both),
                     key=lambda edge: (not edge.valid_at(now), edge.bound_at))
    _end(session, [End(edge.id, max(now, edge.bound_at), "merged") for edge in uplines[1:]])
    return _repoint(session, kept_id, gone_id)


_REPOINT = {
    "between": """
        update referral set ended_at = bound_at, end_reason = 'merged'
        where :kept in (referee_id, referrer_id) and :gone in (referee_id, referrer_id)""",
    "referees": "update referral set referee_id = :kept where referee_id = :gone and referrer_id <> :kept",
    "referrers": "update referral set referrer_id = :kept where referrer_id = :gone and referee_id <> :kept",
    "touches_doubled": """
        delete from touch t where :gone in (t.visitor_id, t.sharer_id) and exists (
            select 1 from touch k where k.id <> t.id and k.source = t.source and k.at = t.at
            and case k.visitor_id when :gone then :kept else k.visitor_id end
              = case t.visitor_id when :gone then :kept else t.visitor_id end
            and case k.sharer_id when :gone then :kept else k.sharer_id end
              = case t.sharer_id when :gone then :kept else t.sharer_id end
            and (:gone not in (k.visitor_id, k.sharer_id) or k.id < t.id))""",
    "touches": """
        update touch set
            visitor_id = case visitor_id when :gone then :kept else visitor_id end,
            sharer_id = case sharer_id when :gone then :kept else sharer_id end
        where :gone in (visitor_id, sharer_id)""",
}


def _repoint(session: Session, kept_id: int, gone_id: int) -> dict[str, int]:
    ends = {"kept": kept_id, "gone": gone_id}
    counts = {what: session.connection().execute(text(sql), ends).rowcount for what, sql in _REPOINT.items()}
    return {what: count for what, count in counts.items() if count}
