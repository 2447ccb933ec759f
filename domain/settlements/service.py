"""Closing months: counts what was sold, books ladder and team money, adjusts it for late facts, lets it go.

Every function is one bounded piece of work in the caller's transaction and can be repeated: a close that was killed
goes on where it stopped, two closes at once share the work, and nothing is booked twice. Never commits.
"""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import date, datetime, timedelta
from typing import Any

from sqlalchemy import Row, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session

from domain.audit import service as audit
from domain.audit.rules import Actor, Role
from domain.commissions.document import Plan
from domain.commissions.service import PlanBook, plan_book
from domain.ledger import service as ledger
from domain.ledger.rules import Entry, Move, Purse, person, platform
from domain.settlements.rules import Month
from domain.shared import outbox
from domain.shared.errors import DomainError
from domain.shared.outbox import Effect
from domain.shared.records import record

PEOPLE = 5_000
"""People settled in one transaction."""

HANDS = 2
"""Pieces of a close that are settled at once: each keeps one process of the database, and so one core, busy."""

COUNT_SECONDS = 600
"""How long the one pass over a month's orders may take."""

BEYOND = 2**63 - 1
"""Above every person's id."""

GRACE = timedelta(hours=2)
"""Nobody is paid at midnight: what was sold in the last minutes is still on its way."""


FINANCE: frozenset[Role] = frozenset({"finance"})
"""Who may close months by hand, beside owners."""


def by_hand(session: Session, actor: Actor, act: str, subject: str, now: datetime, **detail: object) -> None:
    """An operator does what the clock would do. Noted in the log. Raises DomainError("not_permitted")."""
    if not actor.may(FINANCE):
        raise DomainError("not_permitted", act=act)
    audit.record(session, actor, act, subject, detail, now)


def plans_of(session: Session) -> PlanBook:
    """Every published plan with the moment it went live."""
    rows = session.execute(text("select version, live_from, digest from commission_plan order by version"))
    return plan_book(session, [(row.version, row.live_from, row.digest) for row in rows])


def due_month(session: Session, now: datetime) -> Month | None:
    """The month to be closed next: the oldest one that is over and not closed; None when there is none yet."""
    last, open_one = session.execute(
        text("select max(month), min(month) filter (where closed_at is null) from month_close")
    ).one()
    first: date | None = open_one or (Month(last).next.first if last else _first_month(session))
    return Month(first) if first and Month(first).ends_at <= now else None


def due_by_itself(session: Session, now: datetime) -> Month | None:
    """The month that the clock closes now: one that was begun at once, another when GRACE is over."""
    month = due_month(session, now)
    if month is None or month.ends_at + GRACE <= now:
        return month
    begun = session.scalar(text("select true from month_close where month = :month"), {"month": month.first})
    return month if begun else None


def _first_month(session: Session) -> date | None:
    """The month of the first payment. Orders are booked nearly as they were paid, so the first one that was booked
    leaves a few pages to look through; without it every order is read, at each tick of a shop's first month."""
    booked_first = session.scalar(text("select paid_at from customer_order order by id limit 1"))
    found: date | None = session.scalar(text(
        "select shop_month(min(paid_at)) from customer_order where paid_at <= :at"), {"at": booked_first})
    return found


def close_step(session: Session, month: Month, now: datetime, actor: str = "") -> bool:
    """Do the next piece of closing ``month``: start, count, settle some people, finish. True while more is left.

    Raises DomainError("month_not_over"), DomainError("month_before_open") while an earlier month is not closed.
    """
    state = session.execute(text("select * from month_close where month = :month"), {"month": month.first}).first()
    if state is None:
        _start(session, month, now, actor)
    elif state.closed_at is not None:
        return False
    elif state.counted_at is None:
        _count(session, month, now)
    elif not _settle_some(session, state, now):
        return _finish(session, month, now)
    return True


def close_some(do: Callable[[Callable[[Session], int]], int], month: Month, now: datetime, actor: str = "") -> bool:
    """As ``close_step``, by as many hands as there are pieces for. ``do`` runs work in a transaction of its own, in any
    thread, and returns what the work does."""
    left = do(lambda session: _pieces_left(session, month))
    with ThreadPoolExecutor(HANDS, "close") as hands:
        steps = [hands.submit(do, lambda session: close_step(session, month, now, actor))
                 for _ in range(min(HANDS, left) or 1)]
    return max(step.result() for step in steps) > 0


def _pieces_left(session: Session, month: Month) -> int:
    found: int = session.execute(text("select count(*) from month_piece where month = :month"),
                                 {"month": month.first}).scalar_one()
    return found


def _start(session: Session, month: Month, now: datetime, actor: str) -> None:
    """From here on every booking notes what it changes in this month: nothing gets lost between count and close."""
    if month.ends_at > now:
        raise DomainError("month_not_over", month=str(month))
    due = due_month(session, now)
    if due is not None and due.first < month.first:
        raise DomainError("month_before_open", month=str(due))
    session.execute(text("select booking_lock_alone()"))
    session.execute(text("""
        insert into month_close (month, ends_at, plan_version, started_at, actor)
        values (:month, :ends, :version, :now, :actor) on conflict (month) do nothing
    """), {"month": month.first, "ends": month.ends_at, "version": plans_of(session).at(month.starts_at).version,
           "now": now, "actor": actor})


def _count(session: Session, month: Month, now: datetime) -> None:
    """What everybody sold, by the first who comes; who comes next waits, and finds it done."""
    state = {"month": month.first, "most": PEOPLE, "now": now}
    open_one = session.scalar(
        text("select true from month_close where month = :month and counted_at is null for update"), state)
    if open_one:
        _leave_the_disk_to_the_finish(session)
        session.execute(text(f"set local statement_timeout = '{COUNT_SECONDS}s'"))
        session.execute(text("select month_count(:month, :most)"), state)
        session.execute(text("update month_close set counted_at = :now where month = :month"), state)


def _leave_the_disk_to_the_finish(session: Session) -> None:
    """COMMIT of a piece does not wait until it is on the disk: nobody is told of it. What a crash takes, it takes as
    whole pieces, the last ones, and with them the note that they were done; the close goes on there. Whoever builds
    on a piece and waits for the disk, as every other transaction does, waits for the piece, too."""
    session.execute(text("set local synchronous_commit = off"))


def _settle_some(session: Session, state: Row[Any], now: datetime) -> bool:
    plan = plan_of(session, state.plan_version)
    steps = plan.ladder.steps if plan.ladder else ()
    asked = {
        "month": state.month, "most": PEOPLE, "now": now, "due": now + plan.release.hold,
        "whole": bool(plan.ladder and plan.ladder.mode == "whole"), "froms": [step.from_fen for step in steps],
        "rates": [step.rate_bps for step in steps], "team": plan.team.rate_bps if plan.team else 0,
        "roles": list(plan.team.roles) if plan.team else [],
    }
    session.execute(text("select month_volume_of_living(:month)"), {"month": state.month})
    try:
        settled = bool(session.execute(text("""
            select month_close_some(:month, :most, :now, :due, :whole, cast(:froms as bigint[]),
                                    cast(:rates as bigint[]), :team, cast(:roles as text[]))
        """), asked).scalar_one())
    except DBAPIError as fault:
        raise ledger.refusal(fault) from fault
    if settled:
        _leave_the_disk_to_the_finish(session)
    return settled


def _finish(session: Session, month: Month, now: datetime) -> bool:
    """The month's figures stand: what is being booked right now is waited for, the rest belongs to a later month. True
    when more is left after all: a piece that somebody else was at, who died."""
    session.execute(text("select true from month_close where month = :month for update"), {"month": month.first})
    if session.scalar(text("select true from month_piece where month = :month for update"), {"month": month.first}):
        return True
    session.execute(text("select booking_lock_alone()"))
    session.execute(text("""
        update month_close set closed_at = :now, upto_journal = (select coalesce(max(id), 0) from journal)
         where month = :month and closed_at is null
    """), {"month": month.first, "now": now})
    return False


def plan_of(session: Session, version: int) -> Plan:
    """A published plan by version."""
    return plans_of(session).of(version)


def told(session: Session, month: Month, upto: int) -> None:
    """People up to this id have been told what the month brought them."""
    session.execute(text("update month_close set told_upto = :upto where month = :month"),
                    {"month": month.first, "upto": upto})


def all_told(session: Session) -> None:
    """Closed months in which nobody is left to be told."""
    session.execute(text("""
        update month_close c set told_upto = :beyond
         where c.closed_at is not null and c.told_upto < :beyond and not exists (
            select from settlement s where s.month = c.month and s.person_id > c.told_upto and s.cause = 'close')
    """), {"beyond": BEYOND})


@record
class Held:
    """A booking that is due to be let go."""

    id: int
    person_id: int
    kind: str
    month: date
    held_fen: int
    release_at: datetime


_DUE = text("""
    select id, person_id, kind, month, held_fen, release_at from settlement s
     where held_fen > 0 and release_at <= :now
       and not exists (select from account_hold h where h.person_id = s.person_id and h.lifted_at is null)
     order by release_at, id limit :limit for update skip locked
""")


def release_due(session: Session, now: datetime, limit: int) -> int:
    """Let go of ladder and team money whose hold is over: debt is repaid first. Who is frozen waits. Returns how
    many bookings were."""
    due = [Held(*row) for row in session.execute(_DUE, {"now": now, "limit": limit})]
    if not due:
        return 0
    purses = ledger.lock(session, [one.person_id for one in due])
    entries = [_released(one, purses[one.person_id]) for one in due]
    ledger.post(session, entries, now)
    session.execute(text("update settlement set released_at = :now, held_fen = 0 where id = any(:ids)"),
                    {"now": now, "ids": [one.id for one in due]})
    outbox.put(session, [_released_fact(one, entry) for one, entry in zip(due, entries, strict=True)], now)
    return len(due)


def _released(one: Held, purse: Purse) -> Entry:
    return Entry(f"settlement:{one.id}:released", "settlement.released", one.release_at, "settlement", one.id,
                 str(Month(one.month)), tuple(purse.let_go(one.held_fen)))


def _released_fact(one: Held, entry: Entry) -> Effect:
    repaid = sum(move.amount for move in entry.moves if move.credit.kind == "debt")
    payload = {"month": str(Month(one.month)), "kind": one.kind, "amount_fen": one.held_fen,
               "to_available_fen": one.held_fen - repaid, "debt_repaid_fen": repaid}
    return Effect("fact", "settlement.released", f"settlement.released:{one.id}", one.person_id, payload)


def take_late(session: Session, limit: int) -> list[tuple[date, int]]:
    """(month, person) of closed months that changed since; taken from the list, each once, in order."""
    rows = session.execute(text("""
        with taken as (
            delete from settlement_late where id in (
                select l.id from settlement_late l join month_close c using (month)
                 where c.closed_at is not null order by l.id limit :limit for update of l skip locked)
            returning month, person_id)
        select distinct t.month, coalesce(p.merged_into, p.id) from taken t join person p on p.id = t.person_id
         order by 1, 2
    """), {"limit": limit})
    return [(month, person_id) for month, person_id in rows]


def move(session: Session, kept_id: int, gone_id: int, now: datetime) -> dict[str, int]:
    """A merge's part: months of ``gone`` are ``kept``'s. Closed ones are looked at again, since two volumes in one
    ladder may bring something else than each alone."""
    ends = {"kept": kept_id, "gone": gone_id}
    session.execute(text("""
        insert into settlement_late (month, person_id)
        select month, cast(:kept as bigint) from month_volume where person_id = :gone
        union select month, cast(:kept as bigint) from settlement where person_id = :gone
    """), ends)
    session.execute(text("update settlement_late set person_id = :kept where person_id = :gone"), ends)
    session.execute(text("""
        with gone as (delete from month_volume where person_id = :gone returning *)
        insert into month_volume as v
        select month, cast(:kept as bigint), direct_fen, direct_orders, team_fen from gone
            on conflict (month, person_id) do update
           set direct_fen = v.direct_fen + excluded.direct_fen, team_fen = v.team_fen + excluded.team_fen,
               direct_orders = v.direct_orders + excluded.direct_orders
    """), ends)
    session.execute(text("update milestone_due set person_id = :kept where person_id = :gone"), ends)
    session.execute(text("update service_act set person_id = :kept where person_id = :gone"), ends)
    moved = session.execute(text("""
        update settlement g set person_id = :kept, n = g.n + 1 + coalesce((
            select max(k.n) from settlement k
             where k.person_id = :kept and k.month = g.month and k.kind = g.kind), -1)
         where g.person_id = :gone returning id
    """), ends).all()
    return {"settlement": len(moved)} if moved else {}


def moves_down(held: Sequence[tuple[int, int]], owner: int, fen: int, expense: str, purse: Purse) -> tuple[Move, ...]:
    """What takes ``fen`` back: pending money of the month (``held``: row, fen), then what is available, then debt."""
    pending = sum(part for _, part in held)
    from_pending = (Move(person(owner, "pending"), platform(expense), pending),) if pending else ()
    return (*from_pending, *purse.take_back(fen - pending, platform(expense)))
