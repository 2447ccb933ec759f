"""Sealing the log into a hash chain, and finding what was changed behind its back.

Found: a changed, deleted or slipped-in row that was sealed, and seals made without the key. Not found: rows deleted
before they were sealed, and the last rows deleted together with their seals, unless the head of the chain was noted
elsewhere (it is logged at every sealing) or an approval still speaks of them.
"""

import hmac
from collections.abc import Iterator
from datetime import datetime
from typing import Any

from sqlalchemy import Row, text
from sqlalchemy.exc import OperationalError
from sqlalchemy.orm import Session

from domain.audit.rules import GENESIS, SealKey, link
from domain.shared.records import record

SEALED_AT_ONCE = 1_000
REPORTED = 100
"""Faults that one report lists."""

_HORIZON = text("select coalesce(max(id), 0) from audit_event")
_HEAD = text("select event_id, digest from audit_seal order by event_id desc limit 1")
_OPEN = text("select e.id, audit_canonical(e) as row from audit_event e"
             " where e.id > :after and e.id <= :upto order by e.id limit :most")
_SEAL = text("""
    insert into audit_seal (event_id, digest, mac, sealed_at)
    select event_id, digest, mac, :now
      from unnest(cast(:ids as bigint[]), cast(:digests as bytea[]), cast(:macs as bytea[])) s (event_id, digest, mac)
""")
_ALL = text("""
    select coalesce(e.id, s.event_id) as id, e.id is not null as there, s.event_id is not null as sealed,
           audit_canonical(e) as row, s.digest, s.mac
      from audit_event e full join audit_seal s on s.event_id = e.id
     where coalesce(e.id, s.event_id) <= (select coalesce(max(event_id), 0) from audit_seal)
     order by 1
""")
_UNSAID = text("""
    select a.id, n.act from approval a
      cross join lateral (values ('approval.ask'), (case a.state when 'approved' then 'approval.approve'
           when 'rejected' then 'approval.reject' end)) as n (act)
     where n.act is not null and not exists (
           select from audit_event e where e.subject = 'approval:' || a.id and e.act = n.act)
     order by 1 limit :most
""")
_OUTSIDE = text("select count(*), min(written_at) from audit_event"
                " where id > (select coalesce(max(event_id), 0) from audit_seal)")


@record
class Head:
    """The newest seal: note it elsewhere, and whoever deletes the end of the log is found."""

    event_id: int
    digest: str


@record
class Fault:
    """What is wrong with one row of the log. ``event_id`` is that row's, 0 where there is no row to name."""

    event_id: int
    what: str


@record
class SealReport:
    """``faults``: the first broken row first, at most REPORTED. ``open_since``: the oldest row that has no seal yet."""

    sound: bool
    sealed: int
    unsealed: int
    open_since: datetime | None
    head: Head
    faults: tuple[Fault, ...]


def horizon(session: Session, wait_milliseconds: int = 500) -> int | None:
    """The id below which every row is committed or never will be; None when writers did not pause in time.

    Locks the writers out: end the transaction at once.
    """
    session.execute(text("select set_config('lock_timeout', :most, true)"), {"most": f"{wait_milliseconds}ms"})
    try:
        with session.begin_nested():
            session.execute(text("lock table audit_event in share mode"))
    except OperationalError as fault:
        if getattr(fault.orig, "sqlstate", None) != "55P03":
            raise
        return None
    return int(session.execute(_HORIZON).scalar_one())


def seal(session: Session, upto: int, key: SealKey, now: datetime) -> tuple[int, Head]:
    """Chain the rows up to id ``upto`` (see ``horizon``) that have no seal, at most SEALED_AT_ONCE.

    Returns how many, and the head after them.
    """
    session.execute(text("lock table audit_seal in share row exclusive mode"))
    before = head(session)
    rows = session.execute(_OPEN, {"after": before.event_id, "upto": upto, "most": SEALED_AT_ONCE}).all()
    digest, digests = bytes.fromhex(before.digest), []
    for row in rows:
        digest = link(digest, row.row)
        digests.append(digest)
    if not rows:
        return 0, before
    session.execute(_SEAL, {"ids": [row.id for row in rows], "digests": digests,
                            "macs": [key.mac(one) for one in digests], "now": now})
    return len(rows), Head(rows[-1].id, digest.hex())


def head(session: Session) -> Head:
    """The newest seal; (0, zeros) before the first."""
    newest = session.execute(_HEAD).one_or_none()
    return Head(newest.event_id, newest.digest.hex()) if newest else Head(0, GENESIS.hex())


def verify(session: Session, key: SealKey, noted: Head | None = None) -> SealReport:
    """Compute the whole chain again and compare it. ``noted``: a head that was written down earlier."""
    faults: list[Fault] = []
    sealed = 0
    seen = noted is None or noted.event_id == 0
    for row, fault in _checked(session, key):
        sealed += row.sealed
        if fault and len(faults) < REPORTED:
            faults.append(Fault(row.id, fault))
        if noted and row.sealed and row.id == noted.event_id:
            seen = hmac.compare_digest(row.digest.hex(), noted.digest)
    if not seen and noted:
        faults.append(Fault(noted.event_id, "the noted head is not in the chain: the end of the log was deleted or made"
                                            " anew"))
    for approval, act in session.execute(_UNSAID, {"most": REPORTED}):
        faults.append(Fault(0, f"approval {approval} has no row {act}: rows were deleted before they were sealed"))
    unsealed, since = session.execute(_OUTSIDE).one()
    return SealReport(not faults, sealed, unsealed, since, head(session), tuple(faults[:REPORTED]))


def _checked(session: Session, key: SealKey) -> Iterator[tuple[Row[Any], str]]:
    """Every row up to the head with what is wrong with it, '' for nothing. Each is judged against the stored seal of
    the one before it, so one broken row does not blame those after it."""
    before = GENESIS
    for row in session.execute(_ALL, execution_options={"yield_per": 1_000}):
        if not row.sealed:
            yield row, "was slipped in after the rows around it were sealed"
            continue
        if not row.there:
            yield row, "was deleted"
        elif not hmac.compare_digest(link(before, row.row), row.digest):
            yield row, "was changed after it was sealed"
        elif not hmac.compare_digest(key.mac(row.digest), row.mac):
            yield row, "carries a seal that was not made with this shop's key"
        else:
            yield row, ""
        before = row.digest
