"""Makes the money follow the cases: what open cases and freezes hold is frozen, what they do not hold is not, and what
was confiscated goes back to where it came from.

``settle`` compares what should be with what is and books the difference, so it can be repeated, and goes on wherever a
process died. The dates of a line are never touched: whatever is lifted is let go when it would have been.
"""

from collections.abc import Iterable, Sequence
from datetime import datetime

from sqlalchemy import TextClause, text
from sqlalchemy.orm import Session

from domain.commissions import holds
from domain.commissions.holds import Line
from domain.ledger import service as ledger
from domain.ledger.rules import EXPENSE_BY_LEVEL, Entry, Move, person, platform
from domain.orders import service as orders

MOST = 500
"""Lines of one kind that one call settles."""

_OPEN = "k.state in ('open', 'appealed') and k.effect = 'hold'"

_TO_HOLD = text(f"""
    select c.id, c.order_id from (
        select l.line_id as id from risk_case k join risk_line l on l.case_id = k.id
         where {_OPEN} and (cast(:person as bigint) is null or k.person_id = :person)
        union
        select c.id from account_hold h join commission_line c on c.beneficiary_id = h.person_id
         where h.lifted_at is null and (cast(:person as bigint) is null or h.person_id = :person)
           and c.released_at is null and c.held_at is null
    ) wanted join commission_line c using (id)
     where c.held_at is null and c.released_at is null and c.amount_fen > c.clawed_fen order by c.id limit :most
""")  # noqa: S608 - a constant

_TO_LIFT = text(f"""
    select c.id, c.order_id from commission_line c
     where c.held_at is not null and (cast(:person as bigint) is null or c.beneficiary_id = :person)
       and not exists (select from account_hold h where h.person_id = c.beneficiary_id and h.lifted_at is null)
       and not exists (select from risk_line l join risk_case k on k.id = l.case_id
                        where l.line_id = c.id
                          and ({_OPEN} or (k.state = 'confiscated' and c.amount_fen > c.clawed_fen)))
     order by c.id limit :most
""")  # noqa: S608 - a constant

_TO_TAKE = text("""
    select c.id, c.order_id
      from risk_case k join risk_line l on l.case_id = k.id join commission_line c on c.id = l.line_id
     where k.state = 'confiscated' and (cast(:person as bigint) is null or k.person_id = :person)
       and c.confiscated_at is null and c.amount_fen > c.clawed_fen
     group by c.id order by c.id limit :most
""")


def settle(session: Session, now: datetime, person_id: int | None = None) -> int:
    """Bring the lines of one person, or of everybody, in line with their cases; returns how many changed.

    A piece at a time: call it again until it returns 0. Takes the leases of the orders concerned.
    """
    done = 0
    for wanted, apply in ((_TO_TAKE, _take), (_TO_LIFT, _lift), (_TO_HOLD, _hold)):
        found = _leased(session, wanted, person_id)
        if found:
            done += apply(session, found, now)
    return done


def _leased(session: Session, wanted: TextClause, person_id: int | None) -> list[int]:
    """The lines that ``wanted`` names still, once nobody else works on their orders."""
    asked = {"person": person_id, "most": MOST}
    first = session.execute(wanted, asked).all()
    if not first:
        return []
    orders.lease(session, sorted({order_id for _, order_id in first}))
    mine = {line_id for line_id, _ in first}
    return [line_id for line_id, _ in session.execute(wanted, asked) if line_id in mine]


def _hold(session: Session, line_ids: Sequence[int], now: datetime) -> int:
    return _shift(session, holds.hold(session, line_ids, now), "commission.held", now)


def _lift(session: Session, line_ids: Sequence[int], now: datetime) -> int:
    return _shift(session, holds.lift(session, line_ids), "commission.lifted", now)


def _shift(session: Session, lines: Sequence[Line], kind: str, now: datetime) -> int:
    """Pending money becomes frozen or the other way, one journal an order and person. A hold has its number, so that
    one that comes again is booked again."""
    entries = []
    for (order_id, who), mine in _by_order(lines):
        ways = person(who, "pending"), person(who, "frozen")
        source, target = ways if kind == "commission.held" else ways[::-1]
        moves = tuple(Move(source, target, line.fen) for line in mine if line.fen)
        if moves:
            key = f"order:{order_id}:{kind.split('.')[1]}:{who}:{mine[0].id}:{mine[0].hold_no}"
            entries.append(Entry(key, kind, now, "order", order_id, mine[0].label, moves))
    ledger.post(session, entries, now)
    return len(lines)


def _take(session: Session, line_ids: Sequence[int], now: datetime) -> int:
    """Back to expense: from what is frozen or pending, and what was let go already from what is available; the rest is
    a debt."""
    lines = holds.left(session, line_ids)
    purses = ledger.lock(session, sorted({line.beneficiary_id for line in lines if line.released}))
    entries = []
    for (order_id, who), mine in _by_order(lines):
        moves: list[Move] = []
        for line in mine:
            expense = platform(EXPENSE_BY_LEVEL[line.level])
            if line.released:
                moves += purses[who].take_back(line.fen, expense)
            else:
                moves.append(Move(person(who, "frozen" if line.held else "pending"), expense, line.fen))
        key = f"order:{order_id}:confiscated:{who}:{mine[0].id}"
        entries.append(Entry(key, "commission.confiscated", now, "order", order_id, mine[0].label, tuple(moves)))
    ledger.post(session, entries, now)
    holds.confiscate(session, [line.id for line in lines], now)
    return len(lines)


def _by_order(lines: Iterable[Line]) -> list[tuple[tuple[int, int], list[Line]]]:
    """The lines of each order and person, in the order of their ids."""
    found: dict[tuple[int, int], list[Line]] = {}
    for line in sorted(lines, key=lambda line: line.id):
        found.setdefault((line.order_id, line.beneficiary_id), []).append(line)
    return list(found.items())
