"""Keeping, revealing and erasing personal data. Never commits. Nobody is revealed without a reason and a name.

Values enter as typed and leave only through ``reveal``; they are sealed before any statement is sent, so neither the
database's log nor an exception of its driver can hold one.
"""

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import delete, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from domain.audit import service as audit
from domain.audit.rules import Actor
from domain.people.queries import survivors
from domain.shared.clock import business_date
from domain.shared.errors import DomainError, NotFound
from domain.shared.ids import short_code
from domain.vault import rules
from domain.vault.models import VaultItem, VaultKey
from domain.vault.rules import FIELDS, Field, Personal
from domain.vault.seal import PersonKey, Vault

_PSEUDONYM_LENGTH = 10


def keep(session: Session, vault: Vault, person_id: int, kind: Field, typed: str, now: datetime) -> str:
    """Seal what somebody typed; returns how it is shown. What was kept before is overwritten.

    Raises DomainError("vault.<kind>") or DomainError("vault.id_number_checksum") when it cannot be one.
    """
    value = rules.checked(kind, typed, business_date(now))
    row = _row(session, person_id) or _new_row(session, vault, person_id, now)
    masked = rules.masked(kind, value)
    facts = {"sealed": _key(session, vault, row).seal(kind, value), "digest": vault.digest(kind, value),
             "masked": masked, "kept_at": now}
    session.execute(insert(VaultItem).values(key_id=row.id, field=kind, **facts)
                    .on_conflict_do_update(index_elements=["key_id", "field"], set_=facts))
    return masked


def reveal(
    session: Session, vault: Vault, person_id: int, fields: Sequence[Field], actor: Actor, reason: str, now: datetime
) -> Personal:
    """Open somebody's data, in the transaction that writes down who did it and why. What is not kept is ''.

    Raises DomainError("reason_missing"), DomainError("vault.damaged" | "vault.master_unknown").
    """
    if not reason.strip():
        raise DomainError("reason_missing", act="vault.reveal")
    row = _row(session, person_id)
    detail = {"fields": sorted(fields), "reason": reason.strip()}
    audit.record(session, actor, "vault.reveal", f"person:{person_id}", detail, now)
    if row is None:
        return Personal()
    key = _key(session, vault, row)
    sealed = dict(session.execute(
        select(VaultItem.field, VaultItem.sealed).where(VaultItem.key_id == row.id, VaultItem.field.in_(fields))).all())
    return Personal(**{kind: key.open(kind, sealed[kind]) for kind in fields if kind in sealed})


def erase(session: Session, person_id: int, actor: Actor, reason: str, now: datetime) -> str:
    """Destroy a person's key and all that was sealed with it; returns the pseudonym that remains ('' when nothing was
    kept). Copies in older backups cannot be opened either, once those backups' key rows are gone too."""
    if not reason.strip():
        raise DomainError("reason_missing", act="vault.erase")
    row = _row(session, person_id)
    if row is None:
        return ""
    _destroy(session, row, now)
    audit.record(session, actor, "vault.erase", f"person:{person_id}", {"reason": reason.strip()}, now)
    return row.pseudonym


def rewrap(session: Session, vault: Vault, limit: int) -> int:
    """Bring keys under the present master; returns how many were. 0: the earlier masters may be forgotten."""
    rows = session.scalars(
        select(VaultKey).where(VaultKey.master != vault.master, VaultKey.destroyed_at.is_(None))
        .order_by(VaultKey.id).limit(limit).with_for_update(skip_locked=True)
    ).all()
    for row in rows:
        key = _key(session, vault, row)
        for item in session.scalars(select(VaultItem).where(VaultItem.key_id == row.id)):
            kind: Field = next(known for known in FIELDS if known == item.field)
            item.digest = vault.digest(kind, key.open(kind, item.sealed))
        row.wrapped, row.master = vault.wrap(key), vault.master
    session.flush()
    return len(rows)


def move(session: Session, kept_id: int, gone_id: int, now: datetime) -> dict[str, int]:
    """The vault's part of a merge (a people.service.Mover): a key goes over as it is. When both have one, the fuller
    stays and the other is destroyed. Raises DomainError("two_real_names") when they tell different people."""
    gone = _row(session, gone_id)
    if gone is None:
        return {}
    kept = _row(session, kept_id)
    if kept is not None:
        mine, theirs = _digests(session, kept), _digests(session, gone)
        if any(mine[kind] != theirs[kind] for kind in mine.keys() & theirs.keys() - {"phone"}):
            raise DomainError("two_real_names", kept=kept_id, gone=gone_id)
        if len(mine) >= len(theirs):
            _destroy(session, gone, now)
            return {"vault_key": 0}
        _destroy(session, kept, now)
    gone.person_id = kept_id
    session.flush()
    return {"vault_key": 1}


def _row(session: Session, person_id: int) -> VaultKey | None:
    """The living key of a person, locked."""
    wanted = select(VaultKey).where(VaultKey.person_id == person_id, VaultKey.destroyed_at.is_(None))
    return session.scalars(wanted.with_for_update(), execution_options={"populate_existing": True}).one_or_none()


def _new_row(session: Session, vault: Vault, person_id: int, now: datetime) -> VaultKey:
    _, wrapped = vault.new_key(person_id)
    session.execute(
        insert(VaultKey).values(
            person_id=person_id, sealed_for=person_id, pseudonym=short_code(_PSEUDONYM_LENGTH), master=vault.master,
            wrapped=wrapped, made_at=now,
        ).on_conflict_do_nothing(index_elements=["person_id"], index_where=VaultKey.destroyed_at.is_(None)))
    row = _row(session, person_id)
    if row is None:
        raise NotFound("person.unknown")
    return row


def _key(session: Session, vault: Vault, row: VaultKey) -> PersonKey:
    """The key of a row, if the person it was made for is really the one who has it now."""
    if row.sealed_for != row.person_id and survivors(session, [row.sealed_for]).get(row.sealed_for) != row.person_id:
        raise DomainError("vault.damaged")
    assert row.wrapped is not None
    return vault.unwrap(row.master, row.wrapped, row.sealed_for)


def _digests(session: Session, row: VaultKey) -> dict[str, bytes]:
    return dict(session.execute(select(VaultItem.field, VaultItem.digest).where(VaultItem.key_id == row.id)).all())


def _destroy(session: Session, row: VaultKey, now: datetime) -> None:
    session.execute(delete(VaultItem).where(VaultItem.key_id == row.id))
    row.wrapped, row.destroyed_at = None, now
    session.flush()
