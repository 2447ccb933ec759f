"""Reading roles."""

from collections.abc import Iterable
from datetime import datetime

from sqlalchemy import ColumnElement, func, or_, select, text
from sqlalchemy.orm import Session

from domain.people.models import Person
from domain.roles.models import RoleGrant
from domain.roles.rules import ROLES, Role, highest
from domain.shared.records import record

_HOLDERS = text("""
    select person_id, nickname, role, since, because, provisional from (
        select distinct on (g.person_id) g.person_id, p.nickname, g.role, g.granted_at as since,
               g.cause_kind as because, g.confirmed_at is null as provisional
          from role_grant g join person p on p.id = g.person_id
         where g.revoked_at is null and g.person_id > :after
         order by g.person_id, array_position(cast(:ranks as text[]), g.role) desc, g.granted_at, g.id) held
     where :role = '' or role = :role order by person_id limit :limit""")


@record
class Holder:
    """Somebody with their effective role. ``because``: order, repurchase, assessment, invitation, operator."""

    person_id: int
    nickname: str
    role: Role
    since: datetime
    because: str
    provisional: bool


def holders(session: Session, role: Role | None = None, after: int = 0, limit: int = 100) -> list[Holder]:
    """Who is more than a member, by id from ``after`` on; with ``role``: whose effective role it is."""
    rows = session.execute(_HOLDERS, {"after": after, "role": role or "", "ranks": list(ROLES), "limit": limit})
    return [Holder(*row) for row in rows]


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
