"""What the vault tells without being opened: which data it holds of whom, masked."""

from collections.abc import Iterable, Mapping

from sqlalchemy import select
from sqlalchemy.orm import Session

from domain.vault.models import VaultItem, VaultKey


def held(session: Session, person_id: int) -> dict[str, str]:
    """Masked values by field; a field that is not kept is missing."""
    return dict(held_by(session, [person_id]).get(person_id, {}))


def held_by(session: Session, person_ids: Iterable[int]) -> dict[int, Mapping[str, str]]:
    """The same for many people at once; who has nothing is missing."""
    rows = session.execute(
        select(VaultKey.person_id, VaultItem.field, VaultItem.masked).join(VaultItem, VaultItem.key_id == VaultKey.id)
        .where(VaultKey.person_id.in_(set(person_ids)), VaultKey.destroyed_at.is_(None))
    )
    found: dict[int, dict[str, str]] = {}
    for person_id, kind, masked in rows:
        found.setdefault(person_id, {})[kind] = masked
    return dict(found)


def pseudonym(session: Session, person_id: int) -> str:
    """What remains of somebody whose data was erased; '' when nothing was ever erased."""
    latest = select(VaultKey.pseudonym).where(VaultKey.person_id == person_id, VaultKey.destroyed_at.is_not(None))
    return session.scalar(latest.order_by(VaultKey.id.desc()).limit(1)) or ""
