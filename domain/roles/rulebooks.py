"""Publishing the rules of roles as versions, and finding the one that counts."""

import json
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, time
from hashlib import sha256
from typing import Any

from sqlalchemy import select, text
from sqlalchemy.orm import Session

from domain.roles import rulebook
from domain.roles.models import RoleRulebook
from domain.roles.rulebook import Rulebook
from domain.shared.clock import SHANGHAI
from domain.shared.errors import DomainError
from domain.shared.records import record

_PARSED: dict[tuple[int, str], Rulebook] = {}
"""Versions never change, so a process parses each once: by version and digest."""


@record
class Shelf:
    """The published versions, oldest first, with the moment each went live."""

    versions: tuple[tuple[datetime, Rulebook], ...]

    def at(self, moment: datetime) -> Rulebook | None:
        """The rules live at ``moment``; before the first went live, the first; None without any."""
        live = [book for since, book in self.versions if since <= moment]
        return live[-1] if live else next((book for _, book in self.versions), None)


def publish(session: Session, book: Rulebook, now: datetime, actor: str = "huitou") -> Rulebook:
    """Make ``book`` the next version, unless the newest says the same; live from ``effective_from`` or at once.

    Never before the version that it follows, so that the order of versions is the order of their times.
    """
    content = rulebook.document(book)
    digest = sha256(json.dumps(content, sort_keys=True, separators=(",", ":")).encode()).hexdigest()
    session.execute(text("select pg_advisory_xact_lock(hashtext('role_rulebook'))"))
    newest = session.scalars(select(RoleRulebook).order_by(RoleRulebook.version.desc()).limit(1)).first()
    if newest is not None and newest.digest == digest:
        return replace(book, version=newest.version)
    live = now
    if book.effective_from is not None:
        live = max(now, datetime.combine(book.effective_from, time(), SHANGHAI))
    if newest is not None:
        live = max(live, newest.live_from)
    version = newest.version + 1 if newest else 1
    session.add(RoleRulebook(version=version, document=content, digest=digest, regular_orders=book.regular_orders,
                             live_from=live, actor=actor))
    session.flush()
    return replace(book, version=version)


def shelf(session: Session) -> Shelf:
    """Every published version; documents are read only when this process has not seen them."""
    known = session.execute(
        select(RoleRulebook.version, RoleRulebook.digest, RoleRulebook.live_from).order_by(RoleRulebook.version)
    ).all()
    missing = [version for version, digest, _ in known if (version, digest) not in _PARSED]
    for version, digest, document in _documents(session, missing):
        _PARSED[(version, digest)] = rulebook.parse(document, version)
    return Shelf(tuple((since, _PARSED[(version, digest)]) for version, digest, since in known))


def live(session: Session, at: datetime) -> Rulebook:
    """The rules that count at ``at``. Raises DomainError("no_rulebook") when none was ever published."""
    book = shelf(session).at(at)
    if book is None:
        raise DomainError("no_rulebook")
    return book


def _documents(session: Session, versions: Sequence[int]) -> list[tuple[int, str, dict[str, Any]]]:
    if not versions:
        return []
    wanted = select(RoleRulebook.version, RoleRulebook.digest, RoleRulebook.document)
    rows = session.execute(wanted.where(RoleRulebook.version.in_(versions)))
    return [(version, digest, document) for version, digest, document in rows]
