"""Identities as values, and the plan of who is whom when several identities arrive together. Pure."""

import hashlib
import hmac
import re
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Literal, get_args

from domain.shared.errors import DomainError
from domain.shared.records import record

Kind = Literal["openid", "unionid", "external_userid", "mall_user_id", "phone"]
STRENGTH: tuple[Kind, ...] = get_args(Kind)
"""Strongest first: when a group's identities stay apart, its person is that of the strongest known one."""

ONE_A_PERSON = frozenset({"openid", "unionid", "external_userid"})
"""Accounts of which a human has one per scope. Two different ones are never joined by a third identity alone."""

SEEN_STEP = timedelta(hours=1)
"""``identity.seen_at`` is kept to this precision, so that resolving reads and does not write."""

_LONGEST = 128
_NAME = re.compile(r"[\x21-\x7e]{1,128}")
_MOBILE = re.compile(r"1[3-9]\d{9}")
_ABROAD = re.compile(r"\+[1-9]\d{7,14}")


@record
class IdentityRef:
    """A name under which somebody is known. ``scope``: app_id for openid, corp_id for external_userid, else ''.

    Normalised when made. Raises DomainError('identity.invalid') for what cannot be an identity.
    A phone is kept in E.164 here and never printed; see ``key`` for what is stored.
    """

    kind: Kind
    value: str
    scope: str = ""

    def __post_init__(self) -> None:
        if self.kind not in STRENGTH:
            raise DomainError("identity.invalid", kind=self.kind)
        value = phone_e164(self.value) if self.kind == "phone" else self.value.strip()
        scope = self.scope.strip()
        if self.kind == "mall_user_id":
            good = 0 < len(value) <= _LONGEST and value.isprintable()
        else:
            good = bool(_NAME.fullmatch(value))
        scoped = {"openid": bool(scope), "external_userid": True}.get(self.kind, not scope)
        if not good or not scoped or len(scope) > _LONGEST:
            raise DomainError("identity.invalid", kind=self.kind)
        object.__setattr__(self, "value", value)
        object.__setattr__(self, "scope", scope)

    def __repr__(self) -> str:
        shown = "…" if self.kind == "phone" else self.value
        return f"IdentityRef({self.kind!r}, {shown!r}, {self.scope!r})"


Key = tuple[str, str, str]
"""(kind, scope, stored value)"""


def phone_e164(written: str) -> str:
    """A phone as people write it → ``+8613812345678``. Raises DomainError('identity.invalid') if it cannot be one."""
    digits = re.sub(r"[\s()./-]", "", unicodedata.normalize("NFKC", written))
    digits = re.sub(r"^00", "+", digits)
    national = re.sub(r"^(\+86|86(?=1[3-9]\d{9}$))", "", digits)
    if _MOBILE.fullmatch(national) and national.isascii():
        return f"+86{national}"
    if _ABROAD.fullmatch(digits) and digits.isascii() and not digits.startswith("+86"):
        return digits
    raise DomainError("identity.invalid", kind="phone")


def key(ref: IdentityRef, pepper: bytes) -> Key:
    """What is stored of an identity. A phone becomes HMAC-SHA256 under ``pepper``: equal phones meet, unreadable."""
    if ref.kind != "phone":
        return ref.kind, ref.scope, ref.value
    if len(pepper) < 16:
        raise ValueError("the pepper must have at least 16 bytes")
    return ref.kind, "", hmac.new(pepper, b"phone:" + ref.value.encode(), hashlib.sha256).hexdigest()


@dataclass(slots=True)
class Plan:
    """What to do so that every group has one person. Negative numbers stand for persons still to be made."""

    mains: list[int] = field(default_factory=list)
    """The person of each group."""
    owners: dict[Key, int] = field(default_factory=dict)
    """New identities and whom they go to."""
    merges: list[tuple[int, int]] = field(default_factory=list)
    """Pairs of existing persons that turned out to be one."""
    conflicts: list[tuple[int, int]] = field(default_factory=list)
    """Pairs that must stay apart because each has an account of its own in the same place."""


class _Planner:
    def __init__(self, known: Mapping[Key, int], accounts: Mapping[int, Iterable[Key]]) -> None:
        self.plan = Plan()
        self._owner: dict[Key, int] = dict(known)
        self._same: dict[int, int] = {}
        self._adopted: dict[int, int] = {}
        self._accounts = {person: {(k, s): v for k, s, v in keys} for person, keys in accounts.items()}
        self._born = 0

    def root(self, person: int) -> int:
        while person in self._same:
            person = self._same[person]
        return person

    def settled(self, person: int) -> int:
        """Whom a planned person became. Planned merges of existing persons do not count: they may be refused yet."""
        while person in self._adopted:
            person = self._adopted[person]
        return person

    def group(self, keys: Sequence[Key]) -> None:
        """Settle one group: choose its person, join the others to it, give it what nobody owns."""
        ordered = sorted(set(keys), key=lambda k: (STRENGTH.index(k[0]), k))
        owners = list(dict.fromkeys(self.root(self._owner[k]) for k in ordered if k in self._owner))
        main = owners[0] if owners else self._new()
        fresh = [k for k in ordered if k not in self._owner]
        if any(self._clash(main, [k]) for k in fresh):
            other, main = main, self._new()
            self.plan.conflicts.append((other, main))
            owners = []
        for k in fresh:
            self._owner[k] = main
            self.plan.owners[k] = main
            self._accounts_of(main).update(_exclusive([k]))
        for other in owners[1:]:
            self._join(main, other)
        self.plan.mains.append(main)

    def _join(self, main: int, other: int) -> None:
        main, other = self.root(main), self.root(other)
        if main == other:
            return
        if self._clash(main, [(k, s, v) for (k, s), v in self._accounts_of(other).items()]):
            self.plan.conflicts.append((main, other))
            return
        if main > 0 and other > 0:
            self.plan.merges.append((main, other))
        kept, gone = (main, other) if main > 0 else (other, main)
        self._same[gone] = kept
        if gone < 0:
            self._adopted[gone] = kept
        self._accounts_of(kept).update(self._accounts_of(gone))

    def _clash(self, person: int, keys: Iterable[Key]) -> bool:
        held = self._accounts_of(self.root(person))
        return any(held.get(place, value) != value for place, value in _exclusive(keys).items())

    def _accounts_of(self, person: int) -> dict[tuple[str, str], str]:
        return self._accounts.setdefault(person, {})

    def _new(self) -> int:
        self._born -= 1
        return self._born


def _exclusive(keys: Iterable[Key]) -> dict[tuple[str, str], str]:
    return {(kind, scope): value for kind, scope, value in keys if kind in ONE_A_PERSON}


def plan(groups: Sequence[Sequence[Key]], known: Mapping[Key, int], accounts: Mapping[int, Iterable[Key]]) -> Plan:
    """Who is whom. ``known``: owners of the identities that exist; ``accounts``: the ONE_A_PERSON identities of those.

    Existing persons met in one group are planned to merge, unless that would give somebody two accounts of one
    place (two openids of one app, two unionids): phones and mall accounts are shared in families, so that is a
    conflict for a human. Persons still to be made are joined freely.
    """
    planner = _Planner(known, accounts)
    for keys in groups:
        planner.group(keys)
    done = planner.plan
    done.mains = [planner.settled(person) for person in done.mains]
    done.owners = {k: planner.settled(person) for k, person in done.owners.items()}
    done.conflicts = [(planner.settled(one), planner.settled(other)) for one, other in done.conflicts]
    return done
