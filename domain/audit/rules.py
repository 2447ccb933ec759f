"""Who may do what, which acts need two people, and how a row of the log is sealed. Pure."""

import hashlib
import hmac
import unicodedata
from collections.abc import Mapping
from dataclasses import field
from datetime import timedelta
from typing import Literal, get_args

from domain.shared.errors import DomainError
from domain.shared.records import record

Role = Literal["owner", "finance", "reviewer", "operator"]
ROLES: tuple[Role, ...] = get_args(Role)

LIFE = timedelta(days=7)
"""How long an approval waits for its second person."""

GENESIS = bytes(32)
"""What the first row is chained to."""


@record
class Actor:
    """Who does something. ``role``: one of ROLES, or ``system`` for what the service does by itself."""

    name: str
    role: str
    via: str = field(default="", compare=False)
    """By which way they came, as in ``api`` or ``cli:root``; kept with what they do."""

    def may(self, roles: frozenset[Role]) -> bool:
        """An owner may do everything; the system may ask and decide nothing."""
        return self.role in roles or self.role == "owner"


TERMINAL = "cli:"
"""How ``Actor.via`` begins for whoever has a shell on the server: there ``--as`` is believed, and written down."""


def alike(name: str) -> str:
    """One spelling for all that look alike: NFKC, no capitals."""
    return unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", name).casefold())


def plain(name: str) -> str:
    """An operator's name as it is kept: Latin letters, digits, Chinese characters, ``-``, ``_`` and ``.``, in one
    spelling. Other alphabets have letters that look like these. Raises DomainError("operator_name")."""
    found = alike(name)
    if not 1 <= len(found) <= 40 or not all(_may_be_in_a_name(letter) for letter in found):
        raise DomainError("operator_name", name=name)
    return found


def _may_be_in_a_name(letter: str) -> bool:
    return (letter.isascii() and letter.isalnum()) or letter in "-_." or unicodedata.name(letter, "").startswith(
        "CJK UNIFIED IDEOGRAPH")


SYSTEM = Actor("huitou", "system")


@record
class Rights:
    """Who may ask for an act and who may decide it; always two different people, owners always."""

    ask: frozenset[Role]
    decide: frozenset[Role]


_ANYBODY = frozenset(ROLES)
_OWNER: frozenset[Role] = frozenset({"owner"})
_MONEY: frozenset[Role] = frozenset({"owner", "finance"})
_REVIEW: frozenset[Role] = frozenset({"owner", "reviewer"})

TWO_PERSON_ACTS: Mapping[str, Rights] = {
    "plan.publish": Rights(_ANYBODY - {"reviewer"}, _MONEY),
    "plan.rollback": Rights(_ANYBODY - {"reviewer"}, _MONEY),
    "plan.levels": Rights(_OWNER, _MONEY),
    "withdrawal.approve": Rights(_ANYBODY - {"reviewer"}, _MONEY),
    "pay.explain": Rights(_ANYBODY - {"reviewer"}, _MONEY),
    "person.freeze": Rights(_ANYBODY, _REVIEW),
    "person.release": Rights(_ANYBODY, _REVIEW),
    "person.confiscate": Rights(_ANYBODY, _MONEY),
    "points.take_back": Rights(_ANYBODY - {"reviewer"}, _MONEY),
    "gift.take_back": Rights(_ANYBODY - {"reviewer"}, _MONEY),
}
"""What an approved act does is registered by its owner in domain/workflows/acts.py."""


def link(previous: bytes, row: str) -> bytes:
    """The digest of a row chained to the one before: SHA-256(previous ‖ UTF-8 of the canonical row)."""
    return hashlib.sha256(previous + row.encode()).digest()


@record
class SealKey:
    """The key of the seals. The database does not hold it: who can write there still cannot forge the chain."""

    key: bytes = field(repr=False)

    def mac(self, digest: bytes) -> bytes:
        """HMAC-SHA-256 of a link of the chain."""
        return hmac.digest(self.key, digest, hashlib.sha256)


def key_hash(key: str) -> str:
    """How an operator's API key is stored. Keys are random and long, so a plain digest cannot be guessed back."""
    return hashlib.sha256(key.encode("utf-8", "surrogatepass")).hexdigest()
