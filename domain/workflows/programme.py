"""Rewards for coming back, from orders to money: counted by business facts, provisional until the return windows have
closed, taken back by returns. Never commits; every piece can be repeated.

A red packet waits in ``pending``, points wait as a lot, a coupon is issued at the end, a membership counts at once.
Facts for subscribers (queue ``fact``), one a person and count: ``reward.unlocked``, ``reward.final``,
``reward.revoked`` with {items: [{title, ladder, what, amount, rung, buyer_id}], until}.
"""

from collections import defaultdict
from collections.abc import Callable, Collection, Sequence
from datetime import date, datetime, timedelta

from sqlalchemy import text
from sqlalchemy.orm import Session

from domain.ledger import service as ledger
from domain.ledger.queries import frozen_among
from domain.ledger.rules import Entry, Move, Purse, person
from domain.memberships import service as memberships
from domain.memberships.rules import Cards
from domain.points import service as points
from domain.points.rules import Life
from domain.points.service import Earning
from domain.rewards import service as rewards
from domain.rewards import unlocking
from domain.rewards.cash import EXPENSE, TAKEN
from domain.rewards.programme import BIRTHDAY, Programme
from domain.rewards.rules import Offers
from domain.rewards.unlocking import Row
from domain.shared.clock import business_date
from domain.shared.outbox import Effect, put

FAR = timedelta(days=90)
"""Points wait at most so long for an order that is never received; then the final day is known anyway."""
BIRTHDAY_OFFER = "birthday"
BIRTHDAY_LATE = 3
"""Days after which a present would be an embarrassment."""


def refresh(
    session: Session, programme: Programme, offers: Offers, life: Life, cards: Cards, now: datetime, limit: int
) -> int:
    """Count whose orders changed; returns how many marks that settled. Workers share the work. Who cannot be counted is
    parked with the reason, and nobody else waits for them."""
    def count(ids: Collection[int]) -> None:
        recount(session, ids, programme, offers, life, now)
        memberships.recount(session, ids, cards, now)

    marks = unlocking.take_stale(session, now, limit)
    _each(session, marks, count, now)
    return len(marks)


def _each(session: Session, ids: Collection[int], work: Callable[[Collection[int]], None], now: datetime) -> None:
    """All together; if that fails, one by one, each in a savepoint of their own; once more where somebody was merged
    away since they were read."""
    try:
        with session.begin_nested():
            work(ids)
        return
    except Exception as fault:
        if ledger.try_again(fault):
            raise
    for one in sorted(set(ids)):
        found = _alone(session, one, work)
        if found is not None and ledger.merged_meanwhile(found):
            found = _alone(session, one, work)
        if found is not None:
            reason = (str(found).splitlines() or [""])[0]
            unlocking.park(session, one, f"{type(found).__name__}: {reason}"[:300], now)


def _alone(session: Session, one: int, work: Callable[[Collection[int]], None]) -> Exception | None:
    """Work for one person in a savepoint; returns the fault that undid it, if any."""
    try:
        with session.begin_nested():
            work([one])
    except Exception as fault:
        if ledger.try_again(fault):
            raise
        return fault
    return None


def turn(session: Session, programme: Programme, offers: Offers, life: Life, now: datetime, limit: int) -> int:
    """Time's part: what becomes final now. Returns how many rewards were due."""
    ids = unlocking.due(session, now, limit)
    _each(session, ids, lambda some: recount(session, some, programme, offers, life, now), now)
    return len(ids)


def recount(
    session: Session, buyer_ids: Collection[int], programme: Programme, offers: Offers, life: Life, now: datetime
) -> None:
    """Bring the rewards that hang on these buyers' orders in line with them."""
    if not buyer_ids:
        return
    changes = unlocking.recount(session, buyer_ids, programme, now, lambda people: points.queue(session, people))
    frozen = frozen_among(session, {row.person_id for row in changes.due})
    due = [row for row in changes.due if row.person_id not in frozen
           and (row.what != "coupon" or row.detail in offers.by_kind)]
    _take_back(session, changes.lost, now)
    _give(session, changes.gained, life, now)
    planned = {_lot(row): row.final_at for row in changes.planned if row.what == "points" and row.final_at}
    points.plan(session, planned, life)
    _finish(session, due, offers, life, now)
    put(session, _to_pass_on(due), now)
    done = {row.id for row in due}
    returned = [row for row in changes.lost if row.reason != unlocking.MERGED]
    put(session, [*_facts("reward.unlocked", [row for row in changes.gained if row.id not in done]),
                  *_facts("reward.final", due), *_facts("reward.revoked", returned)], now)


def _lot(row: Row) -> str:
    """The cause of a reward's points; its first word names them in the history."""
    return f"repurchase:{row.id}:{row.turn}"


def _give(session: Session, rows: Sequence[Row], life: Life, now: datetime) -> None:
    cash = [row for row in rows if row.what == "red_packet"]
    ledger.post(session, [
        _entry(row, "earned", row.since, [Move(EXPENSE, person(row.person_id, "pending"), row.amount)]) for row in cash
    ], now)
    points.earn(session, [Earning(row.person_id, row.amount, _lot(row), row.final_at or now + FAR)
                          for row in rows if row.what == "points"], life, now)
    unlocking.join(session, [row for row in rows if row.what == "tier"])


def _finish(session: Session, rows: Sequence[Row], offers: Offers, life: Life, now: datetime) -> None:
    cash = [row for row in rows if row.what == "red_packet"]
    purses = _purses(session, cash)
    ledger.post(session, [_entry(row, "released", row.final_at or now, purses[row.person_id].let_go(row.amount))
                          for row in cash], now)
    lots = [row for row in rows if row.what == "points"]
    points.plan(session, {_lot(row): now for row in lots}, life)
    for person_id in sorted({row.person_id for row in lots}):
        points.activate(session, now, person_id=person_id)
    for row in rows:
        if row.what == "coupon":
            rewards.issue(session, row.person_id, offers.of(row.detail), row.key, now)
    unlocking.finish(session, rows, now)


def _take_back(session: Session, rows: Sequence[Row], now: datetime) -> None:
    """Pending money goes back whole; what was let go is taken from what is available, the rest becomes a debt."""
    cash = [row for row in rows if row.what == "red_packet"]
    purses = _purses(session, [row for row in cash if row.state == "final"])
    entries = []
    for row in cash:
        moves = ([Move(person(row.person_id, "pending"), EXPENSE, row.amount)] if row.state == "provisional"
                 else purses[row.person_id].take_back(row.amount, EXPENSE))
        entries.append(_entry(row, "taken_back", now, moves))
    ledger.post(session, entries, now)
    for row in sorted(rows, key=lambda row: row.id):
        if row.what == "points":
            points.reverse(session, _lot(row), row.amount, f"{row.key}:back", now)
        if row.what == "coupon" and row.state == "final":
            rewards.revoke(session, row.key, row.reason, now)
    unlocking.leave(session, [row for row in rows if row.what == "tier"], now)


def strike(session: Session, row: Row, gift: int, now: datetime) -> int:
    """Take back a red packet that two operators say was a mistake; ``gift`` is the journal that gave it. What is not
    there any more becomes a debt: returns how much, in fen. As of ``unlocking.held``."""
    if row.state == "provisional":
        moves = [Move(person(row.person_id, "pending"), EXPENSE, row.amount)]
    else:
        moves = _purses(session, [row])[row.person_id].take_back(row.amount, EXPENSE)
    ledger.post(session, [Entry(f"{row.key}:taken_back", TAKEN, now, "reward", row.id, row.title, tuple(moves),
                                reverses=gift)], now)
    unlocking.strike(session, row, now)
    return sum(move.amount for move in moves if move.debit.kind == "debt")


def _purses(session: Session, rows: Sequence[Row]) -> dict[int, Purse]:
    owners = {row.person_id for row in rows}
    locked = ledger.lock(session, sorted(owners))
    return {one: locked.get(one) or Purse(one) for one in owners}


def _entry(row: Row, what: str, at: datetime, moves: Sequence[Move]) -> Entry:
    return Entry(f"{row.key}:{what}", f"reward.{what}", at, "reward", row.id, row.title, tuple(moves))


def _facts(kind: str, rows: Sequence[Row]) -> list[Effect]:
    """One fact a person, with everything that happened to them."""
    of_whom: dict[int, list[Row]] = defaultdict(list)
    for row in sorted(rows, key=lambda row: row.id):
        of_whom[row.person_id].append(row)
    facts = []
    for person_id, mine in of_whom.items():
        days = [row.final_at for row in mine]
        until = max((day for day in days if day), default=None) if all(days) else None
        items = [{"title": row.title, "ladder": row.ladder, "what": row.what, "amount": row.amount, "rung": row.rung,
                  "buyer_id": row.buyer_id} for row in mine]
        facts.append(Effect("fact", kind, f"{kind}:{mine[0].key}", person_id,
                            {"items": items, "until": until.isoformat() if until else None}))
    return facts


def _to_pass_on(rows: Sequence[Row]) -> list[Effect]:
    """Red packets that became somebody's for good go on together (domain/workflows/giving.py)."""
    of_whom: dict[int, list[Row]] = defaultdict(list)
    for row in sorted(rows, key=lambda row: row.id):
        if row.what == "red_packet":
            of_whom[row.person_id].append(row)
    return [Effect("fact", "packet.send", f"packet.send:{mine[0].key}", person_id,
                   {"gifts": [[row.ladder, f"{row.key}:released"] for row in mine]})
            for person_id, mine in of_whom.items()]


_BIRTHDAYS = text("""
    with days as (
        select d::date as day from generate_series(cast(:first as date), cast(:today as date), interval '1 day') d),
    born as (
        select distinct p.id, d.day from person p
          join days d on extract(month from p.birthday) = extract(month from d.day)
           and extract(day from p.birthday) = extract(day from d.day)
         where p.merged_into is null
        union
        -- Who was born on 29 February has their day on the 28th in years without one.
        select p.id, d.day from person p join days d on extract(month from d.day) = 2 and extract(day from d.day) = 28
           and extract(month from d.day + 1) = 3
         where p.merged_into is null and extract(month from p.birthday) = 2 and extract(day from p.birthday) = 29)
    select b.id, b.day from born b
     where (exists (select from membership m where m.person_id = b.id and m.until is null
                       and :benefit = any(m.benefits))
            or exists (select from member_card m where m.person_id = b.id and m.starts_at <= :now and m.ends_at > :now
                          and :benefit = any(m.benefits)))
       and not exists (select from coupon c where c.person_id = b.id and c.kind = :offer
                          and c.valid_from > cast(:now as timestamptz) - interval '300 days')
     order by b.id limit :limit""")


def birthdays(session: Session, offers: Offers, now: datetime, limit: int) -> int:
    """Presents for members whose birthday is today, or was a few days ago while nobody ran: once a year, whatever day
    they tell us, and however many persons they were. Returns how many."""
    today = business_date(now)
    found = session.execute(_BIRTHDAYS, {
        "first": today - timedelta(days=BIRTHDAY_LATE), "today": today, "benefit": BIRTHDAY, "offer": BIRTHDAY_OFFER,
        "now": now, "limit": limit}).all() if BIRTHDAY_OFFER in offers.by_kind else []
    for person_id, day in found:
        _congratulate(session, person_id, day, offers, now)
    return len(found)


def _congratulate(session: Session, person_id: int, day: date, offers: Offers, now: datetime) -> None:
    key = f"birthday:{person_id}:{day.year}"
    coupon = rewards.issue(session, person_id, offers.of(BIRTHDAY_OFFER), key, now)
    put(session, [Effect("fact", "reward.birthday", f"reward.{key}", person_id, {
        "title": coupon.title, "code": coupon.code, "until": coupon.valid_until.isoformat()})], now)
