"""Late facts about closed months: what must be theirs in all is worked out anew, and the difference is booked now.

A refund after the close, an order that was reported late, two people who turned out to be one, a sale that came into
question or was cleared: each only says that a person's month has to be looked at again. So it does not matter in which
order such facts come, or how often.
"""

from dataclasses import dataclass, field
from datetime import datetime, timedelta

from sqlalchemy import text
from sqlalchemy.orm import Session

from domain.commissions import volumes
from domain.commissions.document import Plan
from domain.commissions.volumes import Volume
from domain.ledger import queries as wallets
from domain.ledger import service as ledger
from domain.ledger.rules import Entry, Move, Purse, person, platform
from domain.roles import queries as roles
from domain.settlements import service
from domain.settlements.rules import Month, taken_from, targets, within
from domain.shared import outbox
from domain.shared.outbox import Effect
from domain.shared.records import record

INSTANT = timedelta(microseconds=1)


@dataclass(slots=True)
class Booked:
    """What is booked for one person, month and kind so far: the sum, the next number, and what is still pending."""

    total_fen: int = 0
    next_n: int = 0
    held: list[tuple[int, int]] = field(default_factory=list)


@record
class Change:
    """A difference to be booked."""

    month: Month
    person_id: int
    kind: str
    volume_fen: int
    target_fen: int
    booked: Booked

    @property
    def fen(self) -> int:
        return self.target_fen - self.booked.total_fen


def adjust_late(session: Session, now: datetime, limit: int) -> int:
    """Look again at up to ``limit`` notes about closed months; returns how many (month, person) were looked at.

    Differences are booked in the open month: up as new pending money with a hold of its own, down from what is still
    pending of that month, then from available money, then as a debt.
    """
    session.execute(text("select pg_advisory_xact_lock(7114002)"))  # one at a time: the numbers of bookings are in turn
    late = service.take_late(session, limit)
    for month in sorted({month for month, _ in late}):
        _adjust(session, Month(month), [one for at, one in late if at == month], now)
    return len(late)


def _adjust(session: Session, month: Month, people: list[int], now: datetime) -> None:
    version = session.execute(text("select plan_version from month_close where month = :month"),
                              {"month": month.first}).scalar_one()
    plan = service.plan_of(session, version)
    sold = volumes.sold(session, people, month.starts_at, month.ends_at)
    held_roles = roles.roles_of(session, people, month.ends_at - INSTANT)
    booked = _booked(session, month, people)
    changes = []
    for one in people:
        volume = sold.get(one, Volume())
        sure = targets(plan, volume.own_fen, volume.team_fen, held_roles[one])
        hoped = targets(plan, volume.own_fen + volume.own_held_fen, volume.team_fen + volume.team_held_fen,
                        held_roles[one])
        for kind, least in sure.items():
            stands = booked.get((one, kind), Booked())
            target = within(stands.total_fen, sum(fen for _, fen in stands.held), least, hoped[kind])
            change = Change(month, one, kind, volume.own_fen if kind == "ladder" else volume.team_fen, target, stands)
            if change.fen:
                changes.append(change)
    _note_volumes(session, month, {one: sold.get(one, Volume()) for one in people})
    if changes:
        _book(session, changes, plan, now)


def _booked(session: Session, month: Month, people: list[int]) -> dict[tuple[int, str], Booked]:
    """What stands, locked in order of booking."""
    found: dict[tuple[int, str], Booked] = {}
    rows = session.execute(text("""
        select id, person_id, kind, n, change_fen, held_fen from settlement
         where month = :month and person_id = any(:people) order by id for update
    """), {"month": month.first, "people": people})
    for row in rows:
        one = found.setdefault((row.person_id, row.kind), Booked())
        one.total_fen += row.change_fen
        one.next_n = max(one.next_n, row.n + 1)
        if row.held_fen:
            one.held.append((row.id, row.held_fen))
    return found


def _note_volumes(session: Session, month: Month, sold: dict[int, Volume]) -> None:
    """The month's volumes follow what is known now."""
    people = sorted(sold)
    session.execute(text("""
        insert into month_volume as v (month, person_id, direct_fen, direct_orders, team_fen)
        select :month, s.* from unnest(cast(:people as bigint[]), cast(:own as bigint[]), cast(:orders as bigint[]),
                                       cast(:team as bigint[])) as s
            on conflict (month, person_id) do update
           set direct_fen = excluded.direct_fen, direct_orders = excluded.direct_orders, team_fen = excluded.team_fen
    """), {"month": month.first, "people": people, "own": [sold[one].own_fen for one in people],
           "orders": [sold[one].orders for one in people], "team": [sold[one].team_fen for one in people]})


def _book(session: Session, changes: list[Change], plan: Plan, now: datetime) -> None:
    """Write the differences and their money, and say so."""
    ids = _stored(session, changes, plan, now)
    down = [change.person_id for change in changes if change.fen < 0]
    purses = ledger.lock(session, down)
    entries: list[Entry] = []
    facts: list[Effect] = []
    lowered: dict[int, int] = {}
    for change, row_id in zip(changes, ids, strict=True):
        moves = _moves(change, purses, lowered)
        entries.append(Entry(
            f"month:{change.month}:{change.kind}:{change.person_id}:{change.booked.next_n}", "settlement.adjusted", now,
            "settlement", row_id, str(change.month), moves,
        ))
        facts.append(_fact(change, row_id, moves))
    if lowered:
        session.execute(text("""
            update settlement s set held_fen = s.held_fen - t.fen
              from unnest(cast(:ids as bigint[]), cast(:fens as bigint[])) as t (id, fen) where s.id = t.id
        """), {"ids": list(lowered), "fens": list(lowered.values())})
    _say_what_is_under_way(session, facts)
    ledger.post(session, entries, now)
    outbox.put(session, facts, now)


def _say_what_is_under_way(session: Session, facts: list[Effect]) -> None:
    """Of what becomes a debt, how much lies in withdrawals that are open now, and are called back for it."""
    debts = [fact for fact in facts if fact.payload["to_debt_fen"] and fact.person_id is not None]
    found = wallets.under_way(session, [(fact.person_id or 0, fact.payload["to_debt_fen"]) for fact in debts])
    for fact, fen in zip(debts, found, strict=True):
        fact.payload["under_way_fen"] = fen


def _moves(change: Change, purses: dict[int, Purse], lowered: dict[int, int]) -> tuple[Move, ...]:
    """The postings of one difference; notes in ``lowered`` what it takes from pending bookings."""
    expense = f"expense.{change.kind}"
    if change.fen > 0:
        return (Move(platform(expense), person(change.person_id, "pending"), change.fen),)
    taken = taken_from(change.booked.held, -change.fen)
    lowered |= dict(taken)
    return service.moves_down(taken, change.person_id, -change.fen, expense, purses[change.person_id])


def _stored(session: Session, changes: list[Change], plan: Plan, now: datetime) -> list[int]:
    """The rows of the differences; their ids in the order of ``changes``."""
    rows = session.execute(text("""
        insert into settlement (month, person_id, kind, n, cause, volume_fen, target_fen, change_fen, held_fen,
                                plan_version, booked_at, release_at)
        select m, p, k, n, 'adjustment', v, t, c, greatest(c, 0), :version, :now,
               case when c > 0 then cast(:due as timestamptz) end
          from unnest(cast(:months as date[]), cast(:people as bigint[]), cast(:kinds as text[]),
                      cast(:ns as bigint[]), cast(:volumes as bigint[]), cast(:targets as bigint[]),
                      cast(:changes as bigint[])) as s (m, p, k, n, v, t, c)
        returning id, person_id, kind
    """), {
        "version": plan.version, "now": now, "due": now + plan.release.hold,
        "months": [one.month.first for one in changes], "people": [one.person_id for one in changes],
        "kinds": [one.kind for one in changes], "ns": [one.booked.next_n for one in changes],
        "volumes": [one.volume_fen for one in changes], "targets": [one.target_fen for one in changes],
        "changes": [one.fen for one in changes],
    })
    ids = {(row.person_id, row.kind): row.id for row in rows}
    return [ids[(one.person_id, one.kind)] for one in changes]


def _fact(change: Change, row_id: int, moves: tuple[Move, ...]) -> Effect:
    payload = {
        "month": str(change.month), "kind": change.kind, "amount_fen": change.fen, "target_fen": change.target_fen,
        "volume_fen": change.volume_fen, "to_debt_fen": sum(one.amount for one in moves if one.debit.kind == "debt"),
    }
    return Effect("fact", "month.adjusted", f"month.adjusted:{row_id}", change.person_id, payload)
