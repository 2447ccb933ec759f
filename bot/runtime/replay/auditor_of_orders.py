"""What people were told of parcels and commissions, against what the shop was told and what its books say.

Words come from the phones alone. A parcel is what the shop system told of; a commission is what the ledger has, so that
a sum which is told twice, to somebody else, not at all or in other words than it was booked comes to light.
"""

import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import Literal

from bot.runtime.replay.auditor import STOP, Finding, Texts
from bot.runtime.replay.auditor_of_money import SOON, fen_in
from bot.runtime.replay.phones import PUSHES, Line
from domain.shared.records import record

Kind = Literal["earned", "released", "taken back"]
KINDS: Mapping[str, Kind] = {
    "money.earned": "earned", "money.earned_held": "earned", "money.earned_many": "earned",
    "money.released": "released", "money.released_many": "released",
    "money.taken_back": "taken back", "money.closed": "taken back"}
CARD, CARD_OF_EARNED = "card.earned", "待结算"
ALWAYS: tuple[Kind, ...] = ("earned", "released")
"""What leaves as a card when no window is open: whoever follows hears of it."""
PARCELS = ("journey.care.shipped", "card.shipped")

_ORDER = re.compile(r"R\d{5}")
_SECRET = re.compile(r"\bt=[\w-]+", re.ASCII)
"""Of a link: letters by chance, also those of some order."""
_COUPON = re.compile(r"券码 (\w+)")
_MANY = re.compile(r"\d+ 笔")
_SUM = re.compile(r"实付 ¥([\d,.]+\d)(?: × ([\d.]+)% = ¥([\d,.]+\d))?")


@record
class Parcel:
    """The shop was told ``at`` that a parcel of this order left. ``undone``: the order was returned or cancelled."""

    at: datetime
    openid: str
    number: str
    undone: bool = False


@record
class Booked:
    """The ledger has it: what somebody earned by an order, can take out now, or has to give back."""

    at: datetime
    openid: str
    kind: Kind
    number: str
    fen: int


@dataclass
class _Told:
    """What one person was told of one kind: sums by order, and sums of several orders together."""

    single: list[tuple[str, int, Line]] = field(default_factory=list)
    many: list[int] = field(default_factory=list)


def audit_orders(log: Sequence[Line], parcels: Iterable[Parcel], booked: Iterable[Booked], paid: Mapping[str, int],
                 texts: Texts, until: datetime) -> list[Finding]:
    """Everything in which words and facts differ. ``paid``: fen of each order's goods
    that earn somebody something, as the shop system told."""
    silent = {line.openid for line in log if line.what == "left" or (line.what == "said" and line.content == STOP)}
    heard = [(line, texts.meaning(line)[0]) for line in log if line.what in PUSHES or line.what == "lost"]
    found = [*_parcels(heard, parcels, silent, until), *_commissions(heard, booked, silent, until),
             *_reckoned(heard, paid)]
    return sorted(found, key=lambda one: (one.at, one.openid))


def audit_names(log: Iterable[Line], owners: Mapping[str, frozenset[str]]) -> list[Finding]:
    """Whatever names an order or a coupon, asked for or not, says it to somebody whose it is. ``owners``: openids by
    order number and coupon code; whoever earns by an order may read its number."""
    return [Finding("somebody else's order or coupon", line.at, line.openid, name, line.content)
            for line in log if line.what in PUSHES or line.what == "reply"
            for name in dict.fromkeys([*_ORDER.findall(_SECRET.sub("", line.content)), *_COUPON.findall(line.content)])
            if line.openid not in owners.get(name, ())]


def _parcels(heard: Iterable[tuple[Line, str]], parcels: Iterable[Parcel], silent: set[str],
             until: datetime) -> Iterable[Finding]:
    """Each parcel is told of once, to who bought it."""
    sent = {(one.openid, one.number): one for one in parcels}
    told: Counter[tuple[str, str]] = Counter()
    for line, key in heard:
        number = _number(line.content)
        if key not in PARCELS or not number:
            continue
        told[line.openid, number] += 1
        if (line.openid, number) not in sent:
            yield Finding("somebody else's parcel", line.at, line.openid, key, line.content)
        elif told[line.openid, number] > 1:
            yield Finding("a parcel told twice", line.at, line.openid, key, line.content)
    for mine, one in sent.items():
        if not (told[mine] or one.undone or one.openid in silent) and one.at < until - SOON:
            yield Finding("a parcel was not told", one.at, one.openid, "parcel", one.number)


def _commissions(heard: Iterable[tuple[Line, str]], booked: Iterable[Booked], silent: set[str],
                 until: datetime) -> Iterable[Finding]:
    """Each sum is told as it was booked, to whom it was booked, once; what may leave without a window is told."""
    said: dict[tuple[str, Kind], _Told] = defaultdict(_Told)
    for line, key in heard:
        if (kind := _kind(line, key)) is None:
            continue
        number, fen = _number(line.content), fen_in(line.content)
        if number:
            said[line.openid, kind].single.append((number, fen, line))
        elif _MANY.search(line.content):
            said[line.openid, kind].many.append(fen)
    books: dict[tuple[str, Kind], list[Booked]] = defaultdict(list)
    for one in booked:
        books[one.openid, one.kind].append(one)
    for openid, kind in sorted(said.keys() | books.keys()):
        yield from _compared(openid, kind, said[openid, kind], books[openid, kind], openid not in silent, until)


def _compared(openid: str, kind: Kind, said: _Told, books: Sequence[Booked], listens: bool,
              until: datetime) -> Iterable[Finding]:
    untold = Counter((one.number, one.fen) for one in books)
    for number, fen, line in said.single:
        if untold[number, fen] <= 0:
            yield Finding(f"{kind}: told otherwise than booked", line.at, openid, number, line.content)
        untold[number, fen] -= 1
    rest = [one for one in books if untold[one.number, one.fen] > 0]
    most, least = sum(one.fen for one in rest), sum(one.fen for one in rest if one.at < until - SOON)
    if sum(said.many) > most:
        yield Finding(f"{kind}: more was told than booked", until, openid, "many", f"{sum(said.many)} of {most} fen")
    if kind in ALWAYS and listens and sum(said.many) < least:
        yield Finding(f"{kind}: booked and not told", until, openid, "money", f"{sum(said.many)} of {least} fen")


def _reckoned(heard: Iterable[tuple[Line, str]], paid: Mapping[str, int]) -> Iterable[Finding]:
    """What a message reckons before the customer's eyes is right: of what was paid, at the rate that it names."""
    for line, key in heard:
        if key != "money.earned" or line.what not in PUSHES or (sums := _SUM.search(line.content)) is None:
            continue
        base, rate, fen = sums.groups()
        wrong = _fen(base) != paid.get(_number(line.content))
        if rate is not None:
            wrong |= not _fen(fen) == fen_in(line.content) == (_fen(base) * int(Decimal(rate) * 100) + 5_000) // 10_000
        if wrong:
            yield Finding("reckoned wrongly", line.at, line.openid, key, line.content)


def _kind(line: Line, key: str) -> Kind | None:
    if key == CARD:
        return "earned" if CARD_OF_EARNED in line.content else "released"
    return KINDS.get(key)


def _number(said: str) -> str:
    """The order that a message is of; '' when it names none."""
    found = _ORDER.search(said)
    return found[0] if found else ""


def _fen(said: str) -> int:
    return int(Decimal(said.replace(",", "")) * 100)
