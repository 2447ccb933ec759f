"""Who is whom: resolving identities to persons, merging persons, following and profiles.

Every function needs READ COMMITTED, which is the default: races are settled by unique keys and row locks, and
each statement must see what others have just committed. Persons handed out are locked FOR KEY SHARE until the
transaction ends, so that nobody is merged away under a transaction that has just been told their id.
"""

import unicodedata
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import date, datetime
from typing import Any

from sqlalchemy import func, insert, select, update
from sqlalchemy.dialects.postgresql import insert as pg_insert
from sqlalchemy.orm import Session

from domain.people import rules
from domain.people.models import Identity, Person, PersonMerge, PersonMergeConflict
from domain.people.rules import IdentityRef, Key
from domain.shared.errors import Conflict, DomainError, NotFound
from domain.shared.outbox import Outbox
from domain.shared.records import record

Mover = Callable[[Session, int, int, datetime], Mapping[str, int]]
"""``move(session, kept_id, gone_id, now)``: one room's part of a merge: what belongs to ``gone`` becomes ``kept``'s.
Returns counts for the audit trail; raises DomainError to refuse the whole merge (its code names the conflict)."""

_KNOWN = """
    select place, identity_id, person_id, seen_at < %(stale)s as stale
      from resolve_known(%(groups)s::int[], %(kinds)s::text[], %(scopes)s::text[], %(vals)s::text[])
"""
"""The hot statement of booking goes to the driver as it is: the way through the ORM takes twice the time."""

_TRIES = 10
_NICKNAME_LENGTH = 64
_DIRECTION_MARKS = frozenset("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")

_BLANKS = frozenset("\u115f\u1160\u3164\uffa0\u2800")
"""Letters and a symbol that nobody sees: what WeChat's names of nothing are made of, beside joiners and marks."""


@record
class Merge:
    """What became of a merge. ``conflict`` names the rule that refused ('' = merged, or they were one already)."""

    kept_id: int
    gone_id: int
    conflict: str = ""


@record
class Follow:
    """``first``: nobody known to be this person has ever followed before."""

    person_id: int
    first: bool


class _Outrun(Exception):
    """Somebody else changed the same identities meanwhile: look again."""


def resolve(
    session: Session, refs: Sequence[IdentityRef], now: datetime, *, pepper: bytes,
    movers: Sequence[Mover] = (), wrote: bool = False,
) -> int:
    """The id of the person behind ``refs`` (all of one human), made on first sight.

    One identity costs one statement. ``wrote`` says that the identity has just sent a message (not: an event), which
    only followers can; it only matters with one identity. Several identities: see ``resolve_many``.
    """
    if len(refs) != 1:
        return resolve_many(session, [refs], now, pepper=pepper, movers=movers)[0]
    kind, scope, value = rules.key(refs[0], pepper)
    asked = func.resolve_person(kind, scope, value, now, wrote)
    return int(session.execute(select(asked)).scalar_one())


def resolve_many(
    session: Session, groups: Sequence[Sequence[IdentityRef]], now: datetime, *, pepper: bytes,
    movers: Sequence[Mover] = (),
) -> list[int]:
    """The person of each group of identities, in order. One statement when all are known and agree.

    Unknown identities join the person of their group, or a new one. Known ones that point to different persons
    merge them by ``movers``; a merge that is refused is recorded in person_merge_conflict and the group belongs
    to the person of its strongest identity. Raises ValueError for an empty group, Conflict when outrun again and again.
    """
    if not all(groups):
        raise ValueError("a group needs at least one identity")
    keyed = [[rules.key(ref, pepper) for ref in group] for group in groups]
    for _ in range(_TRIES if groups else 0):
        found, stale = _lookup(session, keyed, now)
        clean = [{found.get(k) for k in keys} for keys in keyed]
        if all(len(people) == 1 and None not in people for people in clean):
            # Only now that the persons are locked: whoever merges takes persons first and identities after them, too.
            _see(session, stale, now)
            return [next(person for person in people if person) for people in clean]
        try:
            with session.begin_nested():
                return _settle(session, keyed, found, now, movers)
        except _Outrun:
            continue
    if groups:
        raise Conflict("identity.busy")
    return []


def _lookup(session: Session, keyed: Sequence[Sequence[Key]], now: datetime) -> tuple[dict[Key, int], set[int]]:
    """Known identities and their persons, and the identities not seen for long. Locks the persons if every group is
    known and of one mind."""
    flat = [(number, k) for number, keys in enumerate(keyed) for k in keys]
    rows = session.connection().exec_driver_sql(_KNOWN, {
        "groups": [number for number, _ in flat], "kinds": [k[0] for _, k in flat],
        "scopes": [k[1] for _, k in flat], "vals": [k[2] for _, k in flat], "stale": now - rules.SEEN_STEP,
    }).all()
    known = {flat[place - 1][1]: person_id for place, _, person_id, _ in rows}
    return known, {identity_id for _, identity_id, _, is_stale in rows if is_stale}


def _see(session: Session, identity_ids: set[int], now: datetime) -> None:
    """They are in use. Whatever somebody else holds at the moment is seen by them."""
    if identity_ids:
        free = select(Identity.id).where(Identity.id.in_(identity_ids))
        session.execute(
            update(Identity).where(Identity.id.in_(free.with_for_update(skip_locked=True, key_share=True)))
            .values(seen_at=now), execution_options={"synchronize_session": False},
        )


def _settle(
    session: Session, keyed: Sequence[Sequence[Key]], found: dict[Key, int], now: datetime, movers: Sequence[Mover]
) -> list[int]:
    plan = rules.plan(keyed, found, _accounts(session, found.values()))
    if plan.merges:
        _lock(session, {person for pair in plan.merges for person in pair})
        if _lookup(session, keyed, now)[0] != found:
            raise _Outrun
    became: dict[int, int] = {}
    for one, other in plan.merges:
        done = merge(session, _follow_map(became, one), _follow_map(became, other), "identities", now, movers)
        if not done.conflict and done.gone_id:
            became[done.gone_id] = done.kept_id
    became |= _bear(session, [*plan.mains, *plan.owners.values(), *(p for c in plan.conflicts for p in c)], now)
    _add_identities(session, {k: _follow_map(became, person) for k, person in plan.owners.items()}, now)
    for one, other in plan.conflicts:
        pair = _follow_map(became, one), _follow_map(became, other)
        _record_conflict(session, pair, "two_accounts", "identities", now)
    people = [_follow_map(became, person) for person in plan.mains]
    alive = select(Person.id).where(Person.id.in_(people), Person.merged_into.is_(None)).order_by(Person.id)
    if len(session.execute(alive.with_for_update(read=True, key_share=True)).all()) != len(set(people)):
        raise _Outrun
    return people


def _accounts(session: Session, people: Iterable[int]) -> dict[int, list[Key]]:
    rows = session.execute(
        select(Identity.person_id, Identity.kind, Identity.scope, Identity.value)
        .where(Identity.person_id.in_(set(people)), Identity.kind.in_(rules.ONE_A_PERSON))
    )
    held: dict[int, list[Key]] = {}
    for person_id, *name in rows:
        held.setdefault(person_id, []).append((name[0], name[1], name[2]))
    return held


def _follow_map(became: Mapping[int, int], person: int) -> int:
    while person in became:
        person = became[person]
    return person


def _lock(session: Session, people: Iterable[int]) -> dict[int, Person]:
    """Lock persons against everything, in id order."""
    rows = session.scalars(
        select(Person).where(Person.id.in_(set(people))).order_by(Person.id).with_for_update(),
        execution_options={"populate_existing": True},
    )
    return {person.id: person for person in rows}


def _bear(session: Session, mentioned: Iterable[int], now: datetime) -> dict[int, int]:
    """Make the planned persons (negative numbers); returns their real ids."""
    planned = sorted({person for person in mentioned if person < 0}, reverse=True)
    if not planned:
        return {}
    rows = session.execute(insert(Person).returning(Person.id), [{"joined_at": now} for _ in planned])
    return dict(zip(planned, rows.scalars(), strict=True))


def _add_identities(session: Session, owners: Mapping[Key, int], now: datetime) -> None:
    if not owners:
        return
    rows = [
        {"kind": k[0], "scope": k[1], "value": k[2], "person_id": person, "seen_at": now}
        for k, person in sorted(owners.items())
    ]
    added = session.execute(pg_insert(Identity).on_conflict_do_nothing().returning(Identity.id), rows)
    if len(added.all()) != len(rows):
        raise _Outrun


def merge(
    session: Session, one: int, other: int, reason: str, now: datetime, movers: Sequence[Mover] = ()
) -> Merge:
    """Make one person of two: the older is kept, everything of the younger follows by ``movers``.

    Either all of it happens or nothing. A mover's refusal is recorded in person_merge_conflict and told in the
    answer, not raised. Raises NotFound for an unknown person. ``reason`` goes to the audit trail.
    """
    kept, gone = _lock_pair(session, one, other)
    if kept.id == gone.id:
        return Merge(kept.id, 0)
    try:
        with session.begin_nested():
            detail: dict[str, Any] = {}
            for move in movers:
                detail.update(move(session, kept.id, gone.id, now))
            detail.update(_move_own(session, kept, gone))
            session.add(PersonMerge(kept_id=kept.id, gone_id=gone.id, reason=reason, detail=detail, merged_at=now))
    except DomainError as refusal:
        _record_conflict(session, (kept.id, gone.id), refusal.code, reason, now)
        return Merge(kept.id, gone.id, refusal.code)
    return Merge(kept.id, gone.id)


def _lock_pair(session: Session, one: int, other: int) -> tuple[Person, Person]:
    """The living persons of two ids, locked, the older first (the same one twice if they are one)."""
    for _ in range(_TRIES):
        living = dict(session.execute(
            select(Person.id, func.coalesce(Person.merged_into, Person.id)).where(Person.id.in_({one, other}))
        ).all())
        if not {one, other} <= living.keys():
            raise NotFound("person.unknown")
        locked = _lock(session, living.values())
        if all(person.merged_into is None for person in locked.values()):
            first, second = locked[living[one]], locked[living[other]]
            older, younger = sorted((first, second), key=lambda person: (person.joined_at, person.id))
            return older, younger
    raise Conflict("identity.busy")


def _move_own(session: Session, kept: Person, gone: Person) -> dict[str, int]:
    """People's own part of a merge: identities, waiting effects, what the kept profile lacks, earlier merges."""
    moved = {
        table.__tablename__: session.execute(
            update(table).where(table.person_id == gone.id).values(person_id=kept.id).returning(table.id),
            execution_options={"synchronize_session": False},
        ).all()
        for table in (Identity, Outbox)
    }
    kept.nickname = kept.nickname or gone.nickname
    kept.avatar_url = kept.avatar_url or gone.avatar_url
    kept.birthday = kept.birthday or gone.birthday
    kept.phone_verified_at = min(filter(None, (kept.phone_verified_at, gone.phone_verified_at)), default=None)
    gone.merged_into = kept.id
    session.flush()
    session.execute(update(Person).where(Person.merged_into == gone.id).values(merged_into=kept.id))
    return {name: len(rows) for name, rows in moved.items()}


def _record_conflict(session: Session, pair: tuple[int, int], conflict: str, reason: str, now: datetime) -> None:
    one, other = sorted(pair)
    if one == other:
        return
    row = {"one_id": one, "other_id": other, "conflict": conflict, "reason": reason, "found_at": now}
    session.execute(pg_insert(PersonMergeConflict).values(row).on_conflict_do_nothing())


def settle_conflict(session: Session, conflict_id: int, how: str, now: datetime) -> None:
    """A human has decided about a conflict; ``how`` is their note. Raises NotFound if none is open under that id."""
    done = session.execute(
        update(PersonMergeConflict)
        .where(PersonMergeConflict.id == conflict_id, PersonMergeConflict.settled_at.is_(None))
        .values(settled_at=now, settled_how=how).returning(PersonMergeConflict.id)
    ).first()
    if done is None:
        raise NotFound("merge_conflict_unknown", number=conflict_id)


def follow(session: Session, ref: IdentityRef, at: datetime) -> Follow:
    """Somebody follows (openid) or adds the contact (external_userid) at ``at``. Late and repeated events are safe.

    An unfollow that the platform dated later than ``at`` stands.
    """
    person_id = _resolve_account(session, ref, at)
    before = session.scalars(select(Identity).where(Identity.person_id == person_id).order_by(Identity.id)
                             .with_for_update(key_share=True)).all()
    first = all(identity.followed_at is None for identity in before)
    mine = next(i for i in before if (i.kind, i.scope, i.value) == (ref.kind, ref.scope, ref.value))
    mine.followed_at = max(at, mine.followed_at or at)
    if mine.unfollowed_at is not None and mine.unfollowed_at <= at:
        mine.unfollowed_at = None
    session.flush()
    return Follow(person_id, first)


def unfollow(session: Session, ref: IdentityRef, at: datetime) -> int:
    """Somebody unfollows at ``at``: no message reaches this identity from now on. Returns the person.

    A follow that the platform dated later than ``at`` stands.
    """
    person_id = _resolve_account(session, ref, at)
    mine = session.scalars(select(Identity).where(
        Identity.kind == ref.kind, Identity.scope == ref.scope, Identity.value == ref.value
    ).with_for_update(key_share=True), execution_options={"populate_existing": True}).one()
    if mine.followed_at is None or mine.followed_at <= at:
        mine.unfollowed_at = max(at, mine.unfollowed_at or at)
    session.flush()
    return person_id


def _resolve_account(session: Session, ref: IdentityRef, at: datetime) -> int:
    if ref.kind not in ("openid", "external_userid"):
        raise ValueError("only an openid or an external_userid can follow")
    return resolve(session, [ref], at, pepper=b"")


def set_profile(
    session: Session, person_id: int, *, nickname: str | None = None, avatar_url: str | None = None,
    birthday: date | None = None, phone_verified_at: datetime | None = None,
) -> None:
    """Store what a channel told about somebody; None leaves a field alone. Raises NotFound.

    Nicknames lose control and text-direction characters and end at 64 characters; one that nobody could see is none.
    """
    known = select(func.coalesce(Person.merged_into, Person.id)).where(Person.id == person_id).scalar_subquery()
    person = session.scalars(select(Person).where(Person.id == known).with_for_update(key_share=True),
                             execution_options={"populate_existing": True}).one_or_none()
    if person is None:
        raise NotFound("person.unknown")
    if nickname is not None:
        person.nickname = _printable(nickname)
    if avatar_url is not None:
        person.avatar_url = avatar_url
    if birthday is not None:
        person.birthday = birthday
    if phone_verified_at is not None:
        person.phone_verified_at = person.phone_verified_at or phone_verified_at
    session.flush()


def _printable(nickname: str) -> str:
    kept = (c for c in nickname if unicodedata.category(c) != "Cc" and c not in _DIRECTION_MARKS)
    name = "".join(kept).strip()[:_NICKNAME_LENGTH]
    return name if any(unicodedata.category(c)[0] not in "ZCM" and c not in _BLANKS for c in name) else ""
