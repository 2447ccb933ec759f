"""Money that is given, not earned by a sale: red packets. Booked at the expense of ``expense.redpacket``; the people's
side is their wallet, from where it goes on into WeChat change (domain/workflows/giving.py, docs/adr/0034), or is
withdrawn like everything else. Never commits.

Facts for subscribers (queue ``fact``): ``packet.send`` {gifts: [["gift", journal key]]}."""

from datetime import datetime

from sqlalchemy import text
from sqlalchemy.orm import Session

from domain.ledger import service as ledger
from domain.ledger.rules import Entry, Purse, platform
from domain.people.queries import survivors
from domain.shared.errors import NotFound
from domain.shared.outbox import Effect, put

EXPENSE = platform("expense.redpacket")
TAKEN = "gift.taken_back"
"""The kind of a journal that takes back what was given by mistake; it reverses the one that gave."""


def give(
    session: Session, person_id: int, fen: int, cause: str, source_id: int, now: datetime, title: str = ""
) -> bool:
    """``fen`` > 0 that can be withdrawn at once, a debt repaid first; False when ``cause`` gave it before. ``title``
    tells the person what for.

    Raises NotFound("person.unknown").
    """
    alive = survivors(session, [person_id]).get(person_id)
    if alive is None:
        raise NotFound("person.unknown")
    session.execute(text("select pg_advisory_xact_lock(hashtextextended('red packet', :person))"), {"person": alive})
    idem = f"grant:{cause}"
    # Asked first: what a second try would book depends on the debt of today, and would be another content.
    if session.scalar(text("select true from journal where idem = :idem"), {"idem": idem}):
        return False
    purse = ledger.lock(session, [alive]).get(alive) or Purse(alive)
    moves = tuple(purse.give(fen, EXPENSE))
    ledger.post(session, [Entry(idem, "reward.given", now, "grant", source_id, title, moves)], now)
    put(session, [Effect("fact", "packet.send", f"packet.send:{idem}", alive, {"gifts": [["gift", idem]]})], now)
    return True


def take_back(session: Session, person_id: int, gift: int, source_id: int, title: str, fen: int, now: datetime) -> int:
    """Take back what ``give`` gave ``person_id`` by the journal ``gift``; what is not there any more becomes a debt:
    returns how much, in fen. Once for each gift: the database lets a journal be reversed once."""
    purse = ledger.lock(session, [person_id]).get(person_id) or Purse(person_id)
    moves = tuple(purse.take_back(fen, EXPENSE))
    ledger.post(session, [Entry(f"gift:{gift}:taken_back", TAKEN, now, "grant", source_id, title, moves,
                                reverses=gift)], now)
    return sum(move.amount for move in moves if move.debit.kind == "debt")
