"""Reading people. A merged person's id answers with the survivor everywhere."""

from collections.abc import Iterable, Sequence
from datetime import date, datetime

from sqlalchemy import func, select
from sqlalchemy.orm import Session, aliased

from domain.people import rules
from domain.people.models import Identity, Person, PersonMergeConflict
from domain.people.rules import IdentityRef
from domain.shared import trips
from domain.shared.records import record


@record
class PersonView:
    """A person as people know them. ``nickname`` '' when no channel told one: the view says something friendly."""

    id: int
    nickname: str
    avatar_url: str
    birthday: date | None
    referral_code: str
    joined_at: datetime
    phone_verified_at: datetime | None


@record
class ConflictView:
    """Two persons that may be one, for a human to settle."""

    id: int
    one_id: int
    other_id: int
    conflict: str
    reason: str
    found_at: datetime


def _view(person: Person) -> PersonView:
    return PersonView(person.id, person.nickname, person.avatar_url, person.birthday, person.referral_code,
                      person.joined_at, person.phone_verified_at)


def people(session: Session, person_ids: Iterable[int]) -> dict[int, PersonView]:
    """Views by the ids asked for; unknown ids are missing."""
    asked = aliased(Person, name="asked")
    rows = session.execute(
        select(asked.id, Person).join_from(asked, Person, Person.id == func.coalesce(asked.merged_into, asked.id))
        .where(asked.id.in_(set(person_ids))), execution_options={"populate_existing": True},
    )
    return {asked_id: _view(person) for asked_id, person in rows}


def person(session: Session, person_id: int) -> PersonView | None:
    """The view of a person, None when unknown."""
    return people(session, [person_id]).get(person_id)


def survivors(session: Session, person_ids: Iterable[int]) -> dict[int, int]:
    """The living id of each id (itself unless merged); unknown ids are missing."""
    living = func.coalesce(Person.merged_into, Person.id)
    rows = session.execute(select(Person.id, living).where(Person.id.in_(set(person_ids))))
    return dict(rows.all())


def by_codes(session: Session, codes: Iterable[str]) -> dict[str, int]:
    """The living person of each referral code; the code of a merged person still works. Unknown codes are missing."""
    living = func.coalesce(Person.merged_into, Person.id)
    rows = session.execute(select(Person.referral_code, living).where(Person.referral_code.in_(set(codes))))
    return dict(rows.all())


def find(session: Session, ref: IdentityRef, *, pepper: bytes) -> int | None:
    """The person of an identity, None when it was never seen. Creates nothing."""
    kind, scope, value = rules.key(ref, pepper)
    return session.scalar(
        select(Identity.person_id).where(Identity.kind == kind, Identity.scope == scope, Identity.value == value)
    )


def openid_of(session: Session, person_id: int, app_id: str) -> str | None:
    """The openid that follows the account ``app_id``, the latest follower if there are several; None: not following."""
    living = select(func.coalesce(Person.merged_into, Person.id)).where(Person.id == person_id).scalar_subquery()
    return session.scalar(
        select(Identity.value)
        .where(Identity.person_id == living, Identity.kind == "openid", Identity.scope == app_id,
               Identity.followed_at.is_not(None), Identity.unfollowed_at.is_(None))
        .order_by(Identity.followed_at.desc(), Identity.id.desc()).limit(1)
    )


def openids_of(session: Session, person_ids: Sequence[int], app_ids: Sequence[str]) -> dict[tuple[int, str], str]:
    """As ``openid_of`` for many: by person and app id, without those who do not follow."""
    rows = trips.rows(session, _OPENIDS, {"people": list(person_ids), "apps": list(app_ids)})
    return {(row.person, row.scope): row.value for row in rows}


_OPENIDS = """
    select w.person, a.scope, f.value
      from unnest(%(people)s::bigint[]) as w (person) join person p on p.id = w.person
      cross join unnest(%(apps)s::text[]) as a (scope)
      cross join lateral (
          select i.value from (select * from identity where person_id = coalesce(p.merged_into, p.id) offset 0) i
           where i.kind = 'openid' and i.scope = a.scope and i.followed_at is not null and i.unfollowed_at is null
           order by i.followed_at desc, i.id desc limit 1) f
"""
"""``offset 0``: by the person's few identities, never by the account's thousands, whatever the planner thinks."""


def conflicts(session: Session, limit: int = 100) -> list[ConflictView]:
    """Open merge conflicts, oldest first."""
    rows = session.scalars(
        select(PersonMergeConflict).where(PersonMergeConflict.settled_at.is_(None))
        .order_by(PersonMergeConflict.id).limit(limit)
    )
    return [ConflictView(r.id, r.one_id, r.other_id, r.conflict, r.reason, r.found_at) for r in rows]


def has_unionid(session: Session, person_id: int) -> bool:
    """Whether we know what somebody is called over all accounts of an open platform."""
    return session.scalar(select(Identity.id).where(Identity.person_id == person_id, Identity.kind == "unionid")
                          .limit(1)) is not None
