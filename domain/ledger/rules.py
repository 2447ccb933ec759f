"""The ledger's grammar: moves between accounts, and how a person's purse gives and takes. Pure, integers only."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256
from operator import attrgetter
from typing import Literal

import msgspec

from domain.shared.errors import Conflict
from domain.shared.rows import Shape, Written, maybe

PersonKind = Literal["pending", "available", "held", "frozen", "debt", "points", "points_debt"]
Currency = Literal["CNY", "PTS"]

EXPENSE_BY_LEVEL = {1: "expense.direct", 2: "expense.level2", 3: "expense.level3"}
"""Where the money of a base commission comes from."""


class Side(msgspec.Struct, frozen=True, gc=False):
    """An account by name: a person's (``owner_id``) or the platform's (``owner_id`` None)."""

    owner_id: int | None
    kind: str


def person(owner_id: int, kind: PersonKind) -> Side:
    return Side(owner_id, kind)


def platform(kind: str) -> Side:
    return Side(None, kind)


class Move(msgspec.Struct, frozen=True, gc=False):
    """``amount`` > 0 from ``debit`` to ``credit``: a whole posting, so it always balances."""

    debit: Side
    credit: Side
    amount: int
    currency: Currency = "CNY"


class Entry(msgspec.Struct, frozen=True, gc=False):
    """One journal to book. ``idem`` is the business fact; booking it twice books it once.

    ``source_type``/``source_id``/``label`` name the cause. ``reverses`` and ``resolves`` are journal ids; each journal
    can be reversed once and resolved once.
    """

    idem: str
    kind: str
    effective_at: datetime
    source_type: str
    source_id: int
    label: str
    moves: tuple[Move, ...]
    actor: str = ""
    reverses: int | None = None
    resolves: int | None = None

    @property
    def digest(self) -> str:
        """What the fact says: the same ``idem`` with another digest is a conflict."""
        moves = [[m.debit.owner_id, m.debit.kind, m.credit.owner_id, m.credit.kind, m.currency, m.amount]
                 for m in self.moves]
        content = [self.kind, self.source_type, self.source_id, moves, self.reverses, self.resolves]
        return sha256(msgspec.json.encode(content)).hexdigest()


JOURNALS = Shape("idem digest kind effective_at source_type source_id label actor reverses resolves")
POSTINGS = Shape("journal n debit_owner debit credit_owner credit currency amount")
"""The types new_journal and new_posting of the database."""


def written(entries: Iterable[Entry]) -> tuple[Written | None, Written | None]:
    """The entries as the arrays of journals and postings that the database books, in the order of their keys; the same
    fact twice is taken once. None and None when there is nothing to book.

    Raises Conflict("journal_conflict") when one key comes with two contents.
    """
    said: dict[str, str] = {}
    journals: list[tuple[object, ...]] = []
    postings: list[tuple[object, ...]] = []
    for entry in sorted(entries, key=attrgetter("idem")):
        digest = entry.digest
        if said.setdefault(entry.idem, digest) != digest:
            raise Conflict("journal_conflict", idem=entry.idem)
        if len(said) == len(journals):
            continue
        journals.append((entry.idem, digest, entry.kind, entry.effective_at, entry.source_type, entry.source_id,
                         entry.label, entry.actor, maybe(entry.reverses), maybe(entry.resolves)))
        place = len(journals)
        for n, move in enumerate(entry.moves, 1):
            postings.append((place, n, maybe(move.debit.owner_id), move.debit.kind, maybe(move.credit.owner_id),
                             move.credit.kind, move.currency, move.amount))
    return JOURNALS.array(journals), POSTINGS.array(postings)


def owing(entries: Iterable[Entry]) -> list[tuple[str, int]]:
    """(key of the entry, person) wherever somebody came to owe the shop. What a payment itself leaves owing (tax that
    was reserved too low) is left out: it is no reason to pay less than was told."""
    return sorted({(entry.idem, move.debit.owner_id) for entry in entries if entry.source_type != "withdrawal"
                   for move in entry.moves if move.debit.kind == "debt" and move.debit.owner_id is not None})


@dataclass(slots=True)
class Purse:
    """A person's spendable money while a batch works on it; balances are locked in the database meanwhile."""

    owner_id: int
    available: int = 0
    debt: int = 0

    def take_back(self, amount: int, to: Side) -> list[Move]:
        """Claw back released money: from what is available, the rest becomes a debt."""
        here = min(amount, self.available)
        self.available -= here
        self.debt += amount - here
        return _moves(
            (person(self.owner_id, "available"), to, here), (person(self.owner_id, "debt"), to, amount - here)
        )

    def give(self, amount: int, source: Side) -> list[Move]:
        """Money that nobody can ask back: a debt is repaid first, the rest is available at once."""
        repaid = min(amount, self.debt)
        self.debt -= repaid
        self.available += amount - repaid
        return _moves((source, person(self.owner_id, "debt"), repaid),
                      (source, person(self.owner_id, "available"), amount - repaid))

    def let_go(self, amount: int) -> list[Move]:
        """Release pending money: debt is repaid first, the rest becomes available."""
        repaid = min(amount, self.debt)
        self.debt -= repaid
        self.available += amount - repaid
        pending = person(self.owner_id, "pending")
        return _moves(
            (pending, person(self.owner_id, "debt"), repaid),
            (pending, person(self.owner_id, "available"), amount - repaid),
        )


def _moves(*parts: tuple[Side, Side, int]) -> list[Move]:
    return [Move(debit, credit, amount) for debit, credit, amount in parts if amount]


def purses(balances: Mapping[tuple[int, str], int]) -> dict[int, Purse]:
    """Purses from locked balances ``{(owner_id, kind): amount}``."""
    owners = {owner for owner, _ in balances}
    return {o: Purse(o, balances.get((o, "available"), 0), balances.get((o, "debt"), 0)) for o in owners}
