"""What leads up and down in this shop: the document of assets/roles.toml, typed, and judged as a whole. Pure.

The facts that rules may look at are a closed set, and none of them counts heads: a role, a title or an invitation
always comes from goods that were paid for and kept (the shop's law sheet: nothing pays for recruiting).
"""

import tomllib
from collections.abc import Iterator, Mapping
from datetime import date
from typing import Annotated, Any, Final, Literal, get_args

import msgspec
from msgspec import Meta, Struct

from domain.roles.rules import ROLES, Role, Titles
from domain.shared.records import record

Count = Annotated[int, Meta(ge=1, le=100)]
Days = Annotated[int, Meta(ge=0, le=120)]
Fen = Annotated[int, Meta(ge=0, le=10**12)]
Key = Annotated[str, Meta(pattern=r"^[a-z][a-z0-9_]{1,30}$")]
Name = Annotated[str, Meta(min_length=1, max_length=16)]


class Promoter(Struct, frozen=True, forbid_unknown_fields=True):
    """The first completed order opens it, the return of the last one closes it."""

    fact: Literal["first_completed_order"]


class Gold(Struct, frozen=True, forbid_unknown_fields=True):
    """Coming back earns it at once: provisional until the orders' return windows have closed.

    An order counts while at least ``min_kept_fen`` of it was not refunded; it is final ``return_days`` after receipt.
    Afterwards only the monthly assessment takes it: first a warning, then, ``grace_months`` later, and at least
    ``notice_days`` after the warning, the role.
    """

    fact: Literal["repurchases"]
    at_least: Count
    min_kept_fen: Annotated[int, Meta(ge=1)] = 1
    return_days: Days = 7
    grace_months: Annotated[int, Meta(ge=1, le=12)] = 1
    notice_days: Days = 20


class Partner(Struct, frozen=True, forbid_unknown_fields=True):
    """``months`` in a row with own direct sales, less refunds, of ``at_least_fen`` earn it; ``below_months`` in a row
    below that end it. The last of those is the month of grace: it begins with a warning, at least ``notice_days``
    before the end. The month of the promotion itself is not judged.
    """

    fact: Literal["direct_net_month"]
    at_least_fen: Annotated[int, Meta(ge=1)]
    months: Annotated[int, Meta(ge=1, le=24)]
    below_months: Annotated[int, Meta(ge=2, le=24)]
    from_role: Literal["promoter", "gold"] = "promoter"
    notice_days: Days = 20


class Assessment(Struct, frozen=True, forbid_unknown_fields=True):
    """A month is judged from this day of the next one on."""

    day: Annotated[int, Meta(ge=1, le=28)] = 1


_FIRST: Final = Assessment()


class Seed(Struct, frozen=True, forbid_unknown_fields=True):
    """Whom to invite as a promoter: ``orders`` in ``within_days``, on average above ``average_above_fen``, and nobody
    twice. Who accepts within ``answer_days`` earns ``boost_bps`` of the commission on top for ``boost_months``.
    """

    orders: Count
    within_days: Annotated[int, Meta(ge=1, le=366)]
    average_above_fen: Fen
    boost_bps: Annotated[int, Meta(ge=0, le=10_000)]
    boost_months: Annotated[int, Meta(ge=1, le=24)]
    answer_days: Annotated[int, Meta(ge=1, le=60)] = 14


class Star(Struct, frozen=True, forbid_unknown_fields=True):
    """Each month the ``top`` people by own direct sales, from ``at_least_fen`` on. Worn for a month."""

    key: Key
    title: Name
    fact: Literal["top_direct_net_month"]
    top: Count
    at_least_fen: Annotated[int, Meta(ge=1)]


class Circle(Struct, frozen=True, forbid_unknown_fields=True):
    """``at_least`` direct customers who each keep a paid order past its return window. For good; an honour, no money.
    """

    key: Key
    title: Name
    fact: Literal["direct_buyers"]
    at_least: Count


Badge = Star | Circle
FACTS: Final[Mapping[str, type[Any]]] = {"top_direct_net_month": Star, "direct_buyers": Circle}
SECTIONS: Final[Mapping[str, type[Any]]] = {
    "promoter": Promoter, "gold": Gold, "partner": Partner, "assessment": Assessment, "seed": Seed,
}
_NEEDED: Final = ("promoter",)


class RulebookError(ValueError):
    """The document is not usable. ``faults`` has one plain sentence for each thing wrong."""

    def __init__(self, faults: list[str]) -> None:
        super().__init__("roles.toml: " + "; ".join(faults))
        self.faults = tuple(faults)


@record
class Rulebook:
    """The rules of one version. A role without rules is only given by operators; ``version`` 0: not published."""

    titles: Titles
    promoter: Promoter
    gold: Gold | None = None
    partner: Partner | None = None
    assessment: Assessment = _FIRST
    seed: Seed | None = None
    badges: tuple[Badge, ...] = ()
    effective_from: date | None = None
    version: int = 0

    def badge(self, key: str) -> Badge | None:
        """The badge of a key, None when the shop does not give it any more."""
        return next((badge for badge in self.badges if badge.key == key), None)

    @property
    def regular_orders(self) -> int | None:
        """From how many orders on somebody's repurchases matter; None when no role asks for them."""
        return self.gold.at_least + 1 if self.gold else None


def load(toml: str) -> Rulebook:
    """The rules of a file's text. Raises RulebookError with every fault."""
    try:
        raw = tomllib.loads(toml)
    except tomllib.TOMLDecodeError as fault:
        raise RulebookError([f"not readable as TOML: {fault}"]) from None
    return parse(raw)


def parse(raw: Mapping[str, Any], version: int = 0) -> Rulebook:
    """The rules of a document, from TOML or from the database. Raises RulebookError with every fault."""
    faults = [f"unknown entry {name!r}" for name in sorted(set(raw) - {*SECTIONS, "title", "badge", "effective_from"})]
    faults += [f"[{name}] is missing" for name in _NEEDED if name not in raw]
    faults += _title_faults(raw.get("title"))
    made: dict[str, Any] = {}
    for name, kind in SECTIONS.items():
        if name in raw:
            made[name], wrong = _judged(raw[name], kind, f"[{name}]")
            faults += wrong
    badges = raw.get("badge", [])
    if not isinstance(badges, list):
        faults, badges = [*faults, "badges are given as [[badge]]"], []
    honours = []
    for number, table in enumerate(badges, 1):
        badge, wrong = _badge(table, f"[[badge]] {number}")
        faults += wrong
        honours += [badge] if badge is not None else []
    faults += [f"two badges with the key {key!r}" for key in sorted(_doubles(honour.key for honour in honours))]
    since, wrong = _date(raw.get("effective_from"))
    faults += wrong
    faults += _whole(made)
    if faults:
        raise RulebookError(faults)
    return Rulebook(Titles(dict(raw["title"])), badges=tuple(honours), effective_from=since, version=version, **made)


def document(book: Rulebook) -> dict[str, Any]:
    """The book as plain JSON that ``parse`` reads back."""
    sections = {name: getattr(book, name) for name in SECTIONS}
    return {
        "title": dict(book.titles.by_role),
        **{name: msgspec.to_builtins(value) for name, value in sections.items() if value is not None},
        "badge": [msgspec.to_builtins(badge) for badge in book.badges],
    } | ({"effective_from": book.effective_from.isoformat()} if book.effective_from else {})


def _title_faults(titles: Any) -> Iterator[str]:
    given = titles if isinstance(titles, dict) else {}
    for role in ROLES:
        if not isinstance(given.get(role), str) or not given[role] or len(given[role]) > 16:
            yield f"[title] {role} needs a text of 1 to 16 characters"
    yield from (f"[title] {name!r} is no role" for name in sorted(set(given) - set(ROLES)))


def _badge(table: Any, where: str) -> tuple[Badge | None, list[str]]:
    fact = table.get("fact") if isinstance(table, dict) else None
    kind = FACTS.get(fact) if isinstance(fact, str) else None
    if kind is None:
        return None, [f"{where}: 'fact' must be one of {', '.join(sorted(FACTS))}, not {fact!r}"]
    return _judged(table, kind, where)


def _judged(table: Any, kind: type[Any], where: str) -> tuple[Any, list[str]]:
    """One table as its type, every entry judged by itself, so that one fault does not hide the next."""
    if not isinstance(table, dict):
        return None, [f"{where} must be a table"]
    fields = {field.encode_name: field for field in msgspec.structs.fields(kind)}
    faults = [f"{where}: unknown entry {name!r}" for name in sorted(table.keys() - fields.keys())]
    for name, field in fields.items():
        if name not in table:
            faults += [f"{where}: {name!r} is missing"] if field.required else []
            continue
        try:
            msgspec.convert(table[name], field.type)
        except msgspec.ValidationError as fault:
            faults.append(f"{where}: {name!r} is {table[name]!r}: {fault}")
    return (None, faults) if faults else (msgspec.convert(table, kind), [])


def _whole(made: Mapping[str, Any]) -> Iterator[str]:
    """Faults that only several entries together have."""
    partner = made.get("partner")
    if partner is not None and partner.from_role == "gold" and "gold" not in made:
        yield "[partner]: from_role is gold, but nothing makes anybody gold"


def _date(given: Any) -> tuple[date | None, list[str]]:
    if given is None or (isinstance(given, date) and not hasattr(given, "hour")):
        return given, []
    try:
        return date.fromisoformat(given), []
    except (TypeError, ValueError):
        return None, [f"effective_from is {given!r}: not a date such as 2026-12-01"]


def _doubles(keys: Iterator[str]) -> set[str]:
    seen: set[str] = set()
    return {key for key in keys if key in seen or seen.add(key)}  # type: ignore[func-returns-value]


assert set(SECTIONS) - {"assessment", "seed"} == set(get_args(Role)) - {"member"}
