"""Points: earned, waiting for the return window, spent soonest-to-expire first, taken back with the order that earned
them, gone when their time is over. Lots say which points are which; the ledger (PTS) says how many there are. Both are
written in one transaction. Never commits.

Lots are locked in id order, then the ledger locks its accounts in its own order.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta

import msgspec
from sqlalchemy import text
from sqlalchemy.orm import Session

from domain.ledger import service as ledger
from domain.ledger.rules import Entry, Move, Side
from domain.points.rules import CheckInRule, Day, Life, Lot, Visit, soonest, visit
from domain.shared import turns
from domain.shared.clock import business_date
from domain.shared.errors import Conflict, DomainError
from domain.shared.outbox import Effect, put
from domain.shared.records import record

POINTS, DEBT = "points", "points_debt"
ISSUED, BURNED, EXPIRED = Side(None, "points.issued"), Side(None, "points.burned"), Side(None, "points.expired")

_EARN = text("""
    insert into point_lot (person_id, cause, amount, remaining, state, earned_at, active_at, expires_at)
    select e.person_id, e.cause, e.amount, 0, 'pending', :now, e.active_at, e.until
      from unnest(cast(:people as bigint[]), cast(:causes as text[]), cast(:amounts as bigint[]),
                  cast(:actives as timestamptz[]), cast(:untils as timestamptz[]))
           as e (person_id, cause, amount, active_at, until)
        on conflict (cause) do nothing
    returning id""")
_PLAN = text("""
    update point_lot l
       set active_at = greatest(p.active_at, l.earned_at),
           expires_at = greatest(p.active_at, l.earned_at) + make_interval(days => cast(:days as int))
      from unnest(cast(:causes as text[]), cast(:actives as timestamptz[])) as p (cause, active_at)
     where l.cause = p.cause and l.state = 'pending'""")
_LOTS = text("select id, amount, remaining, reversed, state, expires_at from point_lot"
             " where person_id = :person and state <> 'closed' order by id for update")
_LOT = text("select id, person_id, amount, remaining, reversed, state, expires_at from point_lot where cause = :cause")
_DUE = text("""
    select id, person_id, amount, reversed from point_lot where state = 'pending' and active_at <= :now
       and (cast(:person as bigint) is null or person_id = :person)
     order by id limit :limit for update skip locked""")
_OLD = text("""
    select id, person_id, remaining from point_lot where state = 'active' and expires_at <= :now
     order by id limit :limit for update skip locked""")
_KEPT = text("select merged_into from person where id = :person")
_DAYS = text("select day, streak, bridged from check_in where person_id = :person and day >= :since")
_DEBTS = text("""
    select a.owner_id, b.amount from account a join balance b on b.account_id = a.id
     where a.owner_id = any(:people) and a.kind = 'points_debt' and b.amount > 0
     order by b.account_id for update of b""")


@record
class Change:
    """One row of ``point_move``; ``until``: the lot is good for at least so long afterwards."""

    lot_id: int
    kind: str
    delta: int
    idem: str
    until: datetime | None = None


@record
class Back:
    """``points`` were taken back; ``owed`` of them were spent before, and are a debt now."""

    points: int
    owed: int


@record
class Earning:
    """``points`` > 0 for the fact ``cause``, once ever; to be spent from ``active_at`` on."""

    person_id: int
    points: int
    cause: str
    active_at: datetime


def earn(session: Session, earnings: Sequence[Earning], life: Life, now: datetime) -> int:
    """Take in points; how many of the facts were new. They count when ``activate`` finds them due."""
    if not earnings:
        return 0
    given = sorted(earnings, key=lambda one: one.cause)
    actives = [max(one.active_at, now) for one in given]
    rows = session.execute(_EARN, {
        "now": now, "people": [one.person_id for one in given], "causes": [one.cause for one in given],
        "amounts": [one.points for one in given], "actives": actives,
        "untils": [active + timedelta(days=life.valid_days) for active in actives]}).all()
    return len(rows)


def give(session: Session, person_id: int, points: int, cause: str, life: Life, now: datetime) -> bool:
    """``points`` > 0 for the fact ``cause``, once ever, to be spent at once; False when the fact was known. A debt is
    repaid first, also one that somebody is about to make: they are waited for. Whoever was merged away is their heir.
    """
    person_id = _hold(session, person_id)
    fresh = earn(session, [Earning(person_id, points, cause, now)], life, now)
    activate(session, now, person_id=person_id)
    return bool(fresh)


def queue(session: Session, people: Collection[int]) -> None:
    """Whoever is about to change the points of several takes their turns at all of them before anything else is locked:
    what they give repays a debt that somebody is about to make, too."""
    turns.take(session, "points", people)


def activate(session: Session, now: datetime, limit: int = 500, person_id: int | None = None) -> int:
    """Points whose time has come, of one person or of all, can be spent; a debt is repaid first. Returns how many lots.
    """
    due = session.execute(_DUE, {"now": now, "limit": limit, "person": person_id}).all()
    debts = _debts(session, [row.person_id for row in due])
    moves: list[Change] = []
    entries = []
    for row in due:
        points = row.amount - row.reversed
        repaid = min(points, debts.get(row.person_id, 0))
        debts[row.person_id] = debts.get(row.person_id, 0) - repaid
        key = f"points:{row.id}:active"
        moves.append(Change(row.id, "activate", points, key))
        if repaid:
            moves.append(Change(row.id, "repay", -repaid, key + ":repay"))
        entries.append(_entry(key, "points.earned", now, row.id, (
            (ISSUED, Side(row.person_id, DEBT), repaid), (ISSUED, Side(row.person_id, POINTS), points - repaid))))
    _apply(session, moves, [], entries, now)
    return len(due)


def plan(session: Session, actives: Mapping[str, datetime], life: Life) -> None:
    """Points that still wait can be spent from another time on: {cause: from when}."""
    if actives:
        session.execute(_PLAN, {"causes": list(actives), "actives": list(actives.values()), "days": life.valid_days})


def reverse(session: Session, cause: str, back: int, idem: str, now: datetime) -> int:
    """Take back of the points of ``cause`` until ``back`` of them are taken in all (a cumulative target); how many more
    that was. What was spent meanwhile is taken from the person's other points, the rest becomes a debt."""
    return take_back(session, cause, back, idem, now, "reverse").points


def take_back(session: Session, cause: str, back: int, idem: str, now: datetime, kind: str) -> Back:
    """As ``reverse``, told in full. ``kind``: reverse (by a return) or take (by an operator, ``domain.points.taking``).
    """
    found = session.execute(_LOT, {"cause": cause}).one_or_none()
    if found is None:
        return Back(0, 0)
    lots = {lot.id: lot for lot in _lots(session, _hold(session, found.person_id))}
    # Read again under the lock; a lot that is closed was spent, and is not among those locked.
    row = session.execute(_LOT, {"cause": cause}).one()
    delta = int(min(back, row.amount) - row.reversed)
    if delta <= 0:
        return Back(0, 0)
    backs = [{"lot_id": row.id, "back": delta}]
    if row.state == "pending":
        _apply(session, [], backs, [], now)
        return Back(delta, 0)
    takes = soonest(list(lots.values()), delta, first=row.id)
    taken = sum(take.points for take in takes)
    person = row.person_id
    moves = [Change(take.lot_id, kind, -take.points, idem) for take in takes]
    _apply(session, moves, backs, [_entry(idem, "points.taken_back", now, row.id, (
        (Side(person, POINTS), ISSUED, taken), (Side(person, DEBT), ISSUED, delta - taken)))], now)
    return Back(delta, delta - taken)


def spend(session: Session, person_id: int, points: int, what: str, idem: str, now: datetime) -> bool:
    """Spend ``points`` > 0 on ``what``, what expires soonest first; False when the fact ``idem`` spent them before.

    Raises DomainError("points_short", have=…) when there are too few, Conflict("points_conflict") when ``idem`` spent
    something else.
    """
    if points <= 0:
        raise ValueError("points to spend are more than nothing")
    person_id = _hold(session, person_id)
    lots = [lot for lot in _lots(session, person_id) if lot.expires_at > now]
    known = session.execute(text("select person_id, amount, what from point_spending where idem = :idem"),
                            {"idem": idem}).one_or_none()
    if known is not None:
        if (known.person_id, known.amount, known.what) != (person_id, points, what):
            raise Conflict("points_conflict", idem=idem)
        return False
    have = sum(lot.remaining for lot in lots)
    if have < points:
        raise DomainError("points_short", have=have, wanted=points)
    session.execute(text("insert into point_spending (idem, person_id, amount, what, at)"
                         " values (:idem, :person, :amount, :what, :now)"),
                    {"idem": idem, "person": person_id, "amount": points, "what": what, "now": now})
    takes = soonest(lots, points)
    _apply(session, [Change(take.lot_id, "spend", -take.points, idem) for take in takes], [],
           [_entry(idem, "points.spent", now, takes[0].lot_id, ((Side(person_id, POINTS), BURNED, points),))], now)
    return True


def hold(session: Session, person_id: int, now: datetime) -> int:
    """How many points somebody can spend; they stay so many until the transaction ends."""
    lots = _lots(session, _hold(session, person_id))
    return sum(lot.remaining for lot in lots if lot.expires_at > now and lot.state == "active")


def undo(session: Session, idem: str, back: int, fact: str, life: Life, now: datetime) -> int:
    """Give back of a spending until ``back`` points came back in all; how many more that was. They go where they came
    from, last taken first; those whose lot's time was over are good for some days more. A debt is repaid first."""
    owner = session.execute(text("select person_id from point_spending where idem = :idem"), {"idem": idem}).scalar()
    if owner is None:
        return 0
    owner = _hold(session, owner)
    _lots(session, owner)
    spent = session.execute(text("select amount, undone from point_spending where idem = :idem for update"),
                            {"idem": idem}).one()
    delta = int(min(back, spent.amount) - spent.undone)
    if delta <= 0:
        return 0
    session.execute(text("update point_spending set undone = undone + :delta where idem = :idem"),
                    {"delta": delta, "idem": idem})
    debt = min(delta, _debts(session, [owner]).get(owner, 0))
    until = now + timedelta(days=life.return_days)
    moves = [replace(row, until=until) for row in _returns(session, idem, delta, fact)]
    if debt:
        moves += _repayments(moves, debt, fact)
    _apply(session, moves, [], [_entry(fact, "points.returned", now, moves[0].lot_id, (
        (BURNED, Side(owner, DEBT), debt), (BURNED, Side(owner, POINTS), delta - debt)))], now)
    return delta


def _returns(session: Session, idem: str, points: int, fact: str) -> list[Change]:
    """Rows that put ``points`` back into the lots that a spending took from, less what came back before."""
    taken = session.execute(text("""
        select s.lot_id, -s.delta - coalesce((select sum(u.delta) from point_move u
                 where u.lot_id = s.lot_id and u.kind = 'undo' and starts_with(u.idem, :undone)), 0)::bigint as left
          from point_move s where s.idem = :idem and s.kind = 'spend' order by s.id desc"""),
        {"idem": idem, "undone": _undo_key(idem, "")}).all()
    rows = []
    for row in taken:
        back = min(points, row.left)
        if back:
            rows.append(Change(row.lot_id, "undo", back, _undo_key(idem, fact)))
            points -= back
    return rows


def _undo_key(idem: str, fact: str) -> str:
    return f"undo:{idem}:{fact}"


def _repayments(moves: Sequence[Change], debt: int, fact: str) -> list[Change]:
    rows = []
    for move in moves:
        repaid = min(debt, move.delta)
        if repaid:
            rows.append(Change(move.lot_id, "repay", -repaid, fact + ":repay"))
            debt -= repaid
    return rows


def expire(session: Session, now: datetime, limit: int = 500) -> int:
    """Points whose time is over go; how many lots."""
    old = session.execute(_OLD, {"now": now, "limit": limit}).all()
    keys = {row.id: f"points:{row.id}:expired:{now.isoformat()}" for row in old}
    _apply(session, [Change(row.id, "expire", -row.remaining, keys[row.id]) for row in old], [], [
        _entry(keys[row.id], "points.expired", now, row.id, ((Side(row.person_id, POINTS), EXPIRED, row.remaining),))
        for row in old], now)
    return len(old)


def forfeit(session: Session, person_id: int, idem: str, now: datetime) -> int:
    """All points of somebody go, those that wait as well; how many lots. A debt stays."""
    person_id = _hold(session, person_id)
    lots = _lots(session, person_id)
    active = [lot for lot in lots if lot.state == "active"]
    waiting = [lot for lot in lots if lot.state == "pending"]
    gone = sum(lot.remaining for lot in active)
    _apply(session, [Change(lot.id, "expire", -lot.remaining, idem) for lot in active],
           [{"lot_id": lot.id, "back": lot.amount - lot.reversed} for lot in waiting],
           [_entry(idem, "points.expired", now, active[0].id, ((Side(person_id, POINTS), EXPIRED, gone),))]
           if active else [], now)
    return len(lots)


def check_in(session: Session, person_id: int, rule: CheckInRule, life: Life, now: datetime) -> Visit | None:
    """Today's check-in, None when today is done. The points can be spent at once."""
    today = business_date(now)
    person_id = _hold(session, person_id)
    rows = session.execute(_DAYS, {"person": person_id, "since": today - timedelta(days=62)})
    found = visit([Day(row.day, row.streak, row.bridged) for row in rows], today, rule)
    if found is None:
        return None
    session.execute(text("insert into check_in (person_id, day, streak, points, bridged, at)"
                         " values (:person, :day, :streak, :points, :bridged, :now)"),
                    {"person": person_id, "day": today, "streak": found.streak, "points": found.points,
                     "bridged": found.bridged, "now": now})
    if found.points:
        give(session, person_id, found.points, f"check_in:{person_id}:{today}", life, now)
    return found


def warn(session: Session, life: Life, now: datetime) -> int:
    """Tell of points that expire within ``life.warn_days``, all in one ('points.expiring' facts: the first and the last
    day, and their sum), at most once in a calendar week and not of fewer than ``life.warn_from``; how many people."""
    week = business_date(now).isocalendar()
    rows = session.execute(text("""
        select person_id, sum(remaining)::bigint as points,
               min(expires_at at time zone 'Asia/Shanghai')::date as day,
               max(expires_at at time zone 'Asia/Shanghai')::date as until
          from point_lot where state = 'active' and expires_at > :now and expires_at <= :until
         group by 1 having sum(remaining) >= :least order by 1"""), {
        "now": now, "until": now + timedelta(days=life.warn_days), "least": life.warn_from}).all()
    return put(session, [
        Effect("fact", "points.expiring", f"points.expiring:{row.person_id}:{week.year}-W{week.week}", row.person_id,
               {"points": row.points, "day": row.day.isoformat(), "until": row.until.isoformat(),
                "week": f"{week.year}-W{week.week}"}) for row in rows], now)


def move(session: Session, kept_id: int, gone_id: int, now: datetime) -> dict[str, int]:
    """A merge's part, after the ledger's: lots follow; of two check-ins on a day the longer row stays."""
    ends = {"kept": kept_id, "gone": gone_id}
    lots = session.execute(text("update point_lot set person_id = :kept where person_id = :gone returning id"), ends)
    session.execute(text("update point_spending set person_id = :kept where person_id = :gone"), ends)
    session.execute(text("""
        delete from check_in a using check_in b
         where a.day = b.day and a.person_id in (:kept, :gone) and b.person_id in (:kept, :gone)
           and (b.streak, b.person_id) > (a.streak, a.person_id)"""), ends)
    session.execute(text("update check_in set person_id = :kept where person_id = :gone"), ends)
    _settle(session, kept_id, f"merge:{gone_id}:{kept_id}:points", now)
    return {"point_lot": len(lots.all())}


def _settle(session: Session, person_id: int, idem: str, now: datetime) -> None:
    """Whoever has both points and a debt pays it; again for what a merge had left behind."""
    debt = _debts(session, [person_id]).get(person_id, 0)
    takes = soonest(_lots(session, _hold(session, person_id)), debt) if debt else []
    if takes:
        known = "select count(*) from journal where idem = :idem or idem like :idem || ':again:%'"
        if before := session.scalar(text(known), {"idem": idem}):
            idem = f"{idem}:again:{before}"
        paid = sum(take.points for take in takes)
        parts = ((Side(person_id, POINTS), Side(person_id, DEBT), paid),)
        _apply(session, [Change(take.lot_id, "repay", -take.points, idem) for take in takes], [],
               [_entry(idem, "points.repaid", now, person_id, parts)], now)


def _hold(session: Session, person_id: int) -> int:
    """Whatever changes the points of somebody does so one after the other: takes its turn at them, or at whoever they
    are by now, and says who that is."""
    turns.take(session, "points", [person_id])
    while (kept := session.execute(_KEPT, {"person": person_id}).scalar()) is not None:
        person_id = kept
        turns.take(session, "points", [person_id])
    return person_id


def _lots(session: Session, person_id: int) -> list[Lot]:
    """The open lots of somebody who is held."""
    return [Lot(**row._mapping) for row in session.execute(_LOTS, {"person": person_id})]


def _debts(session: Session, people: Sequence[int]) -> dict[int, int]:
    return {row.owner_id: row.amount for row in session.execute(_DEBTS, {"people": sorted(set(people))})}


def _entry(
    idem: str, kind: str, at: datetime, source_id: int, parts: tuple[tuple[Side, Side, int], ...]
) -> Entry:
    moves = tuple(Move(debit, credit, amount, "PTS") for debit, credit, amount in parts if amount)
    return Entry(idem, kind, at, "points", source_id, "", moves)


def _apply(
    session: Session, moves: Sequence[Change], backs: Sequence[dict[str, int]], entries: Sequence[Entry],
    now: datetime,
) -> None:
    if moves or backs:
        session.execute(text("select points_apply(cast(:moves as jsonb), cast(:backs as jsonb), :now)"), {
            "moves": msgspec.json.encode(list(moves)).decode(), "backs": msgspec.json.encode(list(backs)).decode(),
            "now": now})
    ledger.post(session, [entry for entry in entries if entry.moves], now)
