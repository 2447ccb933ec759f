"""Fixed sums for a promoter's sales: the first one, a streak of days, so many active buyers. Never for heads.

Sales count that somebody made while they had a promoter's role; what a member sells brings commission only.

A milestone is worked out from orders as they stand, so it does not matter in which order facts come. It is provisional
(pending) while the sales it rests on can still be returned, final (available) when enough of them no longer can, and
revoked when they are returned before that. What was revoked may be reached again; what is final stays.
"""

from collections.abc import Collection, Sequence
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Row, text
from sqlalchemy.orm import Session

from domain.commissions.document import Milestones, Plan
from domain.commissions.service import PlanBook
from domain.ledger import service as ledger
from domain.ledger.rules import Entry, Move, Purse, person, platform
from domain.orders.service import spread_news
from domain.settlements.service import plans_of
from domain.shared import outbox, turns
from domain.shared.outbox import Effect
from domain.shared.records import record

LOOK_AGAIN = timedelta(days=1)
"""How often somebody looks whether a provisional milestone has become final."""

EXPENSE = "expense.milestone"


@record
class MilestoneView:
    """One milestone of a person. ``state``: provisional, final, revoked, merged."""

    key: str
    state: str
    amount_fen: int
    reached_at: datetime
    ended_at: datetime | None


def tend(session: Session, now: datetime, limit: int) -> int:
    """Look at sellers whose sales changed and at provisional milestones whose time has come; returns how many people
    were looked at. Safe to repeat and to run twice at once."""
    people = _waiting(session, now, limit)
    if not people:
        return 0
    turns.take(session, "milestones", people)
    book = plans_of(session)
    standing = _standing(session, people, "provisional")
    _end_or_keep(session, standing, book, now)
    kept = {(row.person_id, row.key) for row in _standing(session, people, "provisional", "final")}
    _reach(session, people, kept, book, now)
    return len(people)


def _waiting(session: Session, now: datetime, limit: int) -> list[int]:
    spread_news(session)
    rows = session.execute(text("""
        with noted as (
            delete from milestone_due where id in (
                select id from milestone_due order by id limit :limit for update skip locked)
            returning person_id),
        due as (select person_id from milestone where state = 'provisional' and check_at <= :now
                 order by check_at limit :limit)
        select distinct coalesce(p.merged_into, p.id) as id
          from (select person_id from noted union select person_id from due) w join person p on p.id = w.person_id
         order by 1
    """), {"limit": limit, "now": now})
    return [row.id for row in rows]


def _standing(session: Session, people: Sequence[int], *states: str) -> Sequence[Row[Any]]:
    return session.execute(text("""
        select id, person_id, key, amount_fen, plan_version, state,
               exists (select from account_hold h where h.person_id = m.person_id and h.lifted_at is null) as frozen
          from milestone m where person_id = any(:people) and state = any(:states) order by id for update
    """), {"people": list(people), "states": list(states)}).all()


def _end_or_keep(session: Session, standing: Sequence[Row[Any]], book: PlanBook, now: datetime) -> None:
    """What has become final is let go, what was returned is taken back; each by the plan that promised it."""
    final, revoked = [], []
    plans = {plan.version: plan for _, plan in book.versions}
    for version in sorted({row.plan_version for row in standing}):
        rows = [row for row in standing if row.plan_version == version]
        found = _reached(session, {row.person_id for row in rows}, plans[version], book, now)
        for row in rows:
            held, firm = found[(row.person_id, row.key)]
            if not held:
                revoked.append(row)
            elif firm and not row.frozen:
                final.append(row)
    purses = ledger.lock(session, [row.person_id for row in final])
    ledger.post(session, [_final(row, purses[row.person_id], now) for row in final]
                + [_revoked(row, now) for row in revoked], now)
    _set(session, [row.id for row in final], "final", now)
    _set(session, [row.id for row in revoked], "revoked", now)
    session.execute(text("update milestone set check_at = :next where id = any(:ids) and state = 'provisional'"),
                    {"ids": [row.id for row in standing], "next": now + LOOK_AGAIN})
    outbox.put(session, [_fact("final", row) for row in final] + [_fact("revoked", row) for row in revoked], now)


def _set(session: Session, ids: list[int], state: str, now: datetime) -> None:
    session.execute(text("update milestone set state = :state, ended_at = :now where id = any(:ids)"),
                    {"ids": ids, "state": state, "now": now})


def _reach(session: Session, people: Sequence[int], kept: set[tuple[int, str]], book: PlanBook, now: datetime) -> None:
    """New milestones by the plan of now."""
    plan = book.at(now)
    worth = sums(plan.milestones)
    if not worth:
        return
    reached = sorted(
        (one, key) for (one, key), (held, _) in _reached(session, people, plan, book, now).items()
        if held and key in worth and (one, key) not in kept
    )
    if not reached:
        return
    rows = session.execute(text("""
        insert into milestone (person_id, key, n, amount_fen, plan_version, reached_at, check_at)
        select p, k, (select count(*) from milestone m where m.person_id = p and m.key = k), f, :version, :now, :next
          from unnest(cast(:people as bigint[]), cast(:keys as text[]), cast(:fens as bigint[])) as s (p, k, f)
        returning id, person_id, key, n, amount_fen
    """), {"people": [one for one, _ in reached], "keys": [key for _, key in reached], "version": plan.version,
           "fens": [worth[key] for _, key in reached], "now": now, "next": now + LOOK_AGAIN}).all()
    ledger.post(session, [
        Entry(f"milestone:{row.key}:{row.person_id}:{row.n}", "milestone.reached", now, "milestone", row.id, "",
              (Move(platform(EXPENSE), person(row.person_id, "pending"), row.amount_fen),)) for row in rows
    ], now)
    outbox.put(session, [_fact("reached", row) for row in rows], now)


def sums(milestones: Milestones | None) -> dict[str, int]:
    """What each key of a plan pays, fen; without those that pay nothing."""
    if milestones is None:
        return {}
    worth = {"first_sale": milestones.first_sale_fen, "streak": milestones.streak_fen, "team": milestones.team_fen}
    return {key: fen for key, fen in worth.items() if fen}


def _reached(
    session: Session, people: Collection[int], plan: Plan, book: PlanBook, now: datetime
) -> dict[tuple[int, str], tuple[bool, bool]]:
    """(person, key) → (held by unreturned sales, held by sales that can no longer be returned)."""
    assert plan.milestones is not None
    rows = session.execute(text("select * from milestones_reached(:people, :since, :now, :hold, :days, :size)"), {
        "people": sorted(people), "since": _since(book, plan), "now": now, "hold": plan.release.hold,
        "days": plan.milestones.streak_days, "size": plan.milestones.team_size,
    })
    return {(row.person_id, row.key): (row.held, row.firm) for row in rows}


def _since(book: PlanBook, plan: Plan) -> datetime | None:
    """From when on sales count: since milestones were last begun to be paid. None: from the shop's first day."""
    since: datetime | None = None
    paying = False
    for number, (live_from, one) in enumerate(book.versions):
        if one.milestones is not None and not paying:
            since = live_from if number else None
        paying = one.milestones is not None
        if one.version == plan.version:
            break
    return since


def _final(row: Row[Any], purse: Purse, now: datetime) -> Entry:
    return Entry(f"milestone:{row.id}:final", "milestone.released", now, "milestone", row.id, "",
                 tuple(purse.let_go(row.amount_fen)))


def _revoked(row: Row[Any], now: datetime) -> Entry:
    return Entry(f"milestone:{row.id}:revoked", "milestone.revoked", now, "milestone", row.id, "",
                 (Move(person(row.person_id, "pending"), platform(EXPENSE), row.amount_fen),))


def _fact(what: str, row: Row[Any]) -> Effect:
    return Effect("fact", f"milestone.{what}", f"milestone.{what}:{row.id}", row.person_id,
                  {"key": row.key, "amount_fen": row.amount_fen})


def of_person(session: Session, person_id: int) -> list[MilestoneView]:
    """Somebody's milestones, the newest first."""
    rows = session.execute(text("""
        select key, state, amount_fen, reached_at, ended_at from milestone where person_id = :person order by id desc
    """), {"person": person_id})
    return [MilestoneView(*row) for row in rows]


def move(session: Session, kept_id: int, gone_id: int, now: datetime) -> dict[str, int]:
    """A merge's part: of two people's same milestone one stays; a provisional second one is taken back. The money has
    been moved over by the ledger before."""
    both = session.execute(text("""
        select g.id, g.key, g.amount_fen, g.state, cast(:kept as bigint) as person_id from milestone g
          join milestone k on k.key = g.key and k.person_id = :kept and k.state in ('provisional', 'final')
         where g.person_id = :gone and g.state in ('provisional', 'final') order by g.id
    """), {"kept": kept_id, "gone": gone_id}).all()
    early = [row for row in both if row.state == "provisional"]
    ledger.post(session, [_revoked(row, now) for row in early], now)
    _set(session, [row.id for row in early], "revoked", now)
    _set(session, [row.id for row in both if row.state == "final"], "merged", now)
    moved = session.execute(text("""
        update milestone g set person_id = :kept, n = g.n + (
            select count(*) from milestone k where k.person_id = :kept and k.key = g.key)
         where g.person_id = :gone returning id
    """), {"kept": kept_id, "gone": gone_id}).all()
    return {"milestone": len(moved)} if moved else {}
