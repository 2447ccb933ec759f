"""Reading roles."""

from collections.abc import Iterable
from datetime import datetime

from sqlalchemy import ColumnElement, func, or_, select
from sqlalchemy.orm import Session

from domain.people.models import Person
from domain.roles.models import RoleGrant
from domain.roles.rules import Role, highest


def roles_of(session: Session, person_ids: Iterable[int], at: datetime | None = None) -> dict[int, Role]:
    """The effective role of each person asked for, now or as it stood ``at`` a time; unknown people are members."""
    ids = set(person_ids)
    standing: list[ColumnElement[bool]] = [RoleGrant.revoked_at.is_(None)]
    if at is not None:
        standing = [RoleGrant.granted_at <= at, or_(RoleGrant.revoked_at.is_(None), RoleGrant.revoked_at > at)]
    rows = session.execute(
        select(Person.id, RoleGrant.role)
        .join(RoleGrant, RoleGrant.person_id == func.coalesce(Person.merged_into, Person.id))
        .where(Person.id.in_(ids), *standing)
    )
    held: dict[int, list[str]] = {person_id: [] for person_id in ids}
    for person_id, role in rows:
        held[person_id].append(role)
    return {person_id: highest(roles) for person_id, roles in held.items()}
