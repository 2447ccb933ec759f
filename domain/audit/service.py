"""Operators and the log of their acts. Never commits."""

import hmac
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from sqlalchemy import func, select, text
from sqlalchemy.orm import Session

from domain.audit.models import AuditEvent, Operator
from domain.audit.rules import ROLES, TERMINAL, Actor, Role, alike, key_hash, plain
from domain.shared.errors import Conflict, DomainError, NotFound
from domain.shared.ids import short_code

KEY_LENGTH = 40
"""Characters of the secret part of an operator's key: 232 bits."""
_PREFIX = "op"


def operator(session: Session, name: str) -> Actor:
    """The operator of that name. Raises NotFound("operator_unknown"), DomainError("operator_disabled")."""
    found = _named(session, name)
    if found.disabled_at is not None:
        raise DomainError("operator_disabled", name=name)
    return Actor(found.name, found.role)


def record(
    session: Session, actor: Actor, act: str, subject: str, detail: Mapping[str, Any], now: datetime
) -> None:
    """Write one act into the log, in the transaction that does it. ``subject`` names what it was done to, as in
    ``person:17``. ``detail`` is JSON without secrets and without personal data: the log is never erased."""
    facts = dict(detail) | ({"via": actor.via} if actor.via else {})
    session.add(AuditEvent(at=now, operator=actor.name, role=actor.role, act=act, subject=subject, detail=facts))
    session.flush()


def add_operator(session: Session, name: str, role: Role, by: Actor | None, now: datetime) -> Actor:
    """A new operator, without a key; the name is kept in one spelling (``rules.plain``). The first one must be an owner
    and is added by nobody (``by`` None); later ones are added by an owner.

    Raises DomainError("operator_name" | "operator_role" | "not_permitted" | "first_owner"),
    Conflict("operator_exists").
    """
    if role not in ROLES:
        raise DomainError("operator_role", role=role)
    name = plain(name)
    session.execute(text("lock table operator in share row exclusive mode"))
    if session.scalar(select(func.count()).select_from(Operator)) == 0:
        if role != "owner":
            raise DomainError("first_owner")
        by = Actor(name, "owner")
    elif by is None or by.role != "owner":
        raise DomainError("not_permitted", act="operator.add")
    if name in {alike(known) for known in session.scalars(select(Operator.name))}:
        raise Conflict("operator_exists", name=name)
    session.add(Operator(name=name, role=role, added_at=now))
    session.flush()
    record(session, by, "operator.add", f"operator:{name}", {"role": role}, now)
    return Actor(name, role)


def disable_operator(session: Session, name: str, by: Actor, now: datetime) -> None:
    """Nothing can be done under that name or key any more. An owner goes only if another one with a key stays.

    Raises NotFound("operator_unknown"), DomainError("not_permitted" | "operator_disabled" | "last_owner").
    """
    session.execute(text("lock table operator in share row exclusive mode"))
    found = _named(session, name)
    if by.role != "owner":
        raise DomainError("not_permitted", act="operator.disable")
    if found.disabled_at is not None:
        raise DomainError("operator_disabled", name=name)
    others = select(func.count()).select_from(Operator).where(
        Operator.role == "owner", Operator.disabled_at.is_(None), Operator.key_hash != "", Operator.id != found.id)
    if found.role == "owner" and not session.scalar(others):
        raise DomainError("last_owner", name=found.name)
    found.disabled_at, found.key_hash = now, ""
    record(session, by, "operator.disable", f"operator:{found.name}", {}, now)


def new_key(session: Session, name: str, by: Actor, now: datetime) -> str:
    """A fresh API key, told only here; it replaces the one before. An operator makes their own, an owner anybody's.

    Who makes a key sees it. So whoever got theirs from somebody else is, where two people are needed, that person's
    hand (``hand``), also with the key that they then make with it, until they make one at the terminal. The log keeps
    the beginning of its hash: another key in its place is found by that (domain/ledger/acts.py).

    Raises NotFound("operator_unknown"), DomainError("not_permitted" | "operator_disabled").
    """
    found = _named(session, name, lock=True)
    if found.disabled_at is not None:
        raise DomainError("operator_disabled", name=name)
    if by.role != "owner" and by.name != found.name:
        raise DomainError("not_permitted", act="operator.key")
    if by.name != found.name:
        found.key_by = hand(session, by.name)
    elif by.via.startswith(TERMINAL):
        found.key_by = ""
    key = f"{_PREFIX}_{found.id}_{short_code(KEY_LENGTH)}"
    found.key_hash = key_hash(key)
    seen = {"hand": found.key_by} if found.key_by else {}
    record(session, by, "operator.key", f"operator:{found.name}", seen | {"key": found.key_hash[:12]}, now)
    return key


def named(session: Session, name: str) -> str:
    """The name as it is kept. Raises NotFound("operator_unknown")."""
    return _named(session, name).name


def hand(session: Session, name: str) -> str:
    """Who may have acted under that name by its key: the operator, or whoever made the key and saw it."""
    found = _named(session, name)
    return found.key_by or found.name


def holder(session: Session, key: str) -> Actor | None:
    """Whose key that is, None for nobody's. Digests are compared in constant time."""
    prefix, _, rest = key.partition("_")
    number = rest.partition("_")[0]
    known = prefix == _PREFIX and number.isascii() and number.isdecimal() and len(number) < 19
    found = session.get(Operator, int(number)) if known else None
    stored = found.key_hash if found and found.disabled_at is None else ""
    right = hmac.compare_digest(stored or "-" * 64, key_hash(key))
    return Actor(found.name, found.role) if found and right else None


def _named(session: Session, name: str, *, lock: bool = False) -> Operator:
    # As it is written first: names of before were kept as they were typed.
    wanted = select(Operator).where(Operator.name.in_((name, alike(name)))).order_by((Operator.name == name).desc())
    found = session.scalars((wanted.with_for_update() if lock else wanted).limit(1)).first()
    if found is None:
        raise NotFound("operator_unknown", name=name)
    return found
