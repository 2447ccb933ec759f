"""Electronic certificates: issued for a role or an honour, checked by whoever has the code, void when the role ends."""

from collections.abc import Collection, Mapping
from datetime import datetime, timedelta
from secrets import randbelow
from typing import Literal, cast

from sqlalchemy import select, text
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from domain.people.queries import survivors
from domain.roles.models import Badge, Certificate, RoleGrant
from domain.roles.rules import ROLES, highest
from domain.shared import outbox
from domain.shared.clock import business_date
from domain.shared.errors import Conflict, NotFound
from domain.shared.ids import short_code
from domain.shared.outbox import WAITED_FOR, Effect
from domain.shared.records import record

CODE_LENGTH = 20
"""116 bits: nobody finds somebody's certificate by trying."""

Kind = Literal["role", "badge"]
WORTH_SENDING = timedelta(days=7)
_TRIES = 5
"""A number may be taken already; somebody else may issue the same one at this moment."""


@record
class CertificateView:
    """What is printed on it. ``revoked_at`` None: valid. ``period``: a month such as 2026-11 for a monthly honour."""

    code: str
    number: str
    person_id: int
    kind: Kind
    subject: str
    period: str
    title: str
    issued_at: datetime
    revoked_at: datetime | None


def of_role(session: Session, person_id: int, title_of: Mapping[str, str], now: datetime) -> CertificateView | None:
    """The certificate of the highest confirmed role, issued on first demand; None when there is no such role.

    Raises NotFound for an unknown person.
    """
    alive = _living(session, person_id)
    held = session.scalars(select(RoleGrant.role).where(
        RoleGrant.person_id == alive, RoleGrant.revoked_at.is_(None), RoleGrant.confirmed_at.is_not(None))).all()
    role = highest(held)
    if role == ROLES[0]:
        return None
    return _issue(session, alive, "role", role, "", title_of[role], now)


def of_badge(session: Session, person_id: int, key: str, period: str, title: str, now: datetime) -> CertificateView:
    """The certificate of an honour that was awarded. Raises NotFound when it was not."""
    alive = _living(session, person_id)
    known = session.scalar(select(Badge.id).where(Badge.person_id == alive, Badge.key == key, Badge.period == period))
    if known is None:
        raise NotFound("badge.unknown")
    return _issue(session, alive, "badge", key, period, title, now)


def order(
    session: Session, view: CertificateView, key: str, now: datetime, *, account: str = "", asked: bool = False
) -> bool:
    """Put the making of the picture into the outbox, once for ``key``; whether that is new. ``asked``: somebody waits
    for it. ``account`` '': whichever of the shop's the person follows."""
    effect = Effect(
        "slow", "certificate.make", f"certificate.make:{key}", view.person_id,
        {"code": view.code, "account": account, "purpose": "answer" if asked else "service"},
        expires_at=now + (WAITED_FOR if asked else WORTH_SENDING))
    return outbox.put(session, [effect], now) == 1


def being_made(session: Session, view: CertificateView, now: datetime) -> bool:
    """Whether somebody who asked for this one is waiting for it already."""
    row = session.execute(_BEING_MADE, {"person": view.person_id, "code": view.code, "now": now}).first()
    return row is not None


def by_code(session: Session, code: str) -> CertificateView | None:
    """The certificate with this code, whether or not it is still valid."""
    row = session.scalar(select(Certificate).where(Certificate.code == code),
                         execution_options={"populate_existing": True})
    return _view(row) if row is not None else None


def void(session: Session, person_ids: Collection[int], role: str, reason: str, now: datetime) -> int:
    """Certificates of a role that these people have lost are not valid from now on; returns how many."""
    done = session.execute(_VOID, {"ids": list(person_ids), "role": role, "reason": reason, "now": now})
    return len(done.all())


def merge(session: Session, kept_id: int, gone_id: int, now: datetime) -> None:
    """A merge's part: of two valid ones for the same thing the survivor's stays valid."""
    ends = {"kept": kept_id, "gone": gone_id, "now": now}
    session.execute(_DOUBLES, ends)
    session.execute(text("update certificate set person_id = :kept where person_id = :gone"), ends)


_BEING_MADE = text("""
    select from outbox
     where person_id = :person and kind = 'certificate.make' and state in ('waiting', 'running')
       and payload ->> 'code' = :code and payload ->> 'purpose' = 'answer' and expires_at > :now""")

_VOID = text("""
    update certificate set revoked_at = greatest(:now, issued_at), revoke_reason = :reason
     where person_id = any (:ids) and kind = 'role' and subject = :role and revoked_at is null returning id""")

_DOUBLES = text("""
    update certificate g set revoked_at = greatest(:now, g.issued_at), revoke_reason = 'merged'
      from certificate k
     where g.person_id = :gone and k.person_id = :kept and g.revoked_at is null and k.revoked_at is null
       and (k.kind, k.subject, k.period) = (g.kind, g.subject, g.period)""")


def _issue(
    session: Session, person_id: int, kind: Kind, subject: str, period: str, title: str, now: datetime
) -> CertificateView:
    """The valid one for this subject, a new one if there is none."""
    wanted = select(Certificate).where(
        Certificate.person_id == person_id, Certificate.kind == kind, Certificate.subject == subject,
        Certificate.period == period, Certificate.revoked_at.is_(None))
    for _ in range(_TRIES):
        known = session.scalar(wanted)
        if known is not None:
            return _view(known)
        session.execute(insert(Certificate).on_conflict_do_nothing().values(
            code=short_code(CODE_LENGTH), number=f"{business_date(now):%Y%m%d}{randbelow(10**6):06d}",
            person_id=person_id, kind=kind, subject=subject, period=period, title=title, issued_at=now))
    raise Conflict("certificate.busy")


def _view(row: Certificate) -> CertificateView:
    return CertificateView(row.code, row.number, row.person_id, cast(Kind, row.kind), row.subject, row.period,
                           row.title, row.issued_at, row.revoked_at)


def _living(session: Session, person_id: int) -> int:
    alive = survivors(session, [person_id]).get(person_id)
    if alive is None:
        raise NotFound("person_unknown", id=person_id)
    return alive
