"""Who has whom in WeCom: events in, codes made, tags wanted and what became of them. Never commits.

Whoever calls with an event holds the lock of the customer's person, so that events of one customer are handled one
after the other.
"""

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any, Literal

from sqlalchemy import select, text, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from domain.contacts import rules
from domain.contacts.models import Contact, ContactTag, ContactWay, CorpTag, StaffMember
from domain.contacts.queries import ContactView, WayView, view, way_by_token, way_view
from domain.contacts.rules import Change, EndedBy, Known
from domain.shared.errors import DomainError, NotFound
from domain.shared.ids import short_code
from domain.shared.records import record

TOKEN_LETTERS = 16
TagKind = Literal["sharer", "interest", "insight"]


@record
class Pair:
    """Employee and customer of an event. ``account``: our name of the application that was told."""

    corp_id: str
    account: str
    userid: str
    external_userid: str


@record
class Wish:
    """A tag that somebody should carry, or (``on`` False) should not. ``value`` as in ``contact_tag``."""

    kind: TagKind
    value: str
    on: bool = True


def added(
    session: Session, pair: Pair, person_id: int, state: str, at: datetime, now: datetime, *, half: bool
) -> tuple[ContactView, Change]:
    """They became friends at ``at`` (the platform's date), the customer with ``state``. Repeats and late ones are safe.
    """
    row = _row(session, pair)
    change = rules.added(_known(row), at, half=half)
    row = _keep(session, row, pair, person_id, change, now)
    if change.fresh:
        row.arrival, row.welcome, row.welcomed_at, row.state, row.way_id = None, "", None, "", None
    if state and not row.state:
        way = way_by_token(session, state)
        row.state, row.way_id = state, way.id if way is not None and way.corp_id == pair.corp_id else None
    session.flush()
    return view(row), change


def ended(
    session: Session, pair: Pair, person_id: int, at: datetime, by: EndedBy, now: datetime
) -> tuple[ContactView, bool]:
    """They parted at ``at``. Also returns whether the customer has no employee of the corp left."""
    row = _row(session, pair)
    row = _keep(session, row, pair, person_id, rules.ended(_known(row), at, by), now)
    session.flush()
    left = select(Contact.id).where(Contact.corp_id == pair.corp_id, Contact.ended_at.is_(None),
                                    Contact.external_userid == pair.external_userid).limit(1)
    return view(row), session.scalar(left) is None


def noticed(session: Session, pair: Pair, person_id: int, now: datetime) -> ContactView:
    """They are friends, however long: an edit, of somebody from before our time or told before their adding. It is no
    arrival itself."""
    row = _row(session, pair)
    if row is None:
        row = _keep(session, None, pair, person_id, Change(Known()), now)
        row.arrival = {"kind": "noticed"}
        session.flush()
    return view(row)


def transfer_failed(session: Session, pair: Pair, fault: str) -> bool:
    """A customer could not be handed over to this employee; whether the two are known."""
    row = _row(session, pair)
    if row is not None:
        row.transfer_fault = fault
        session.flush()
    return row is not None


def lock(session: Session, contact_id: int) -> ContactView:
    """A contact, held until the transaction ends. Raises NotFound."""
    row = session.get(Contact, contact_id, with_for_update={"key_share": True}, populate_existing=True)
    if row is None:
        raise NotFound("contact.unknown")
    return view(row)


def arrived(session: Session, contact_id: int, arrival: Mapping[str, Any]) -> None:
    """What was made of the present stint."""
    session.execute(update(Contact).where(Contact.id == contact_id).values(arrival=dict(arrival)),
                    execution_options={"synchronize_session": False})


def welcomed(session: Session, contact_id: int, outcome: str, now: datetime) -> None:
    """How the welcome ended: sent, or why not. What was sent stays sent."""
    session.execute(update(Contact).where(Contact.id == contact_id, Contact.welcome != "sent")
                    .values(welcome=outcome, welcomed_at=now), execution_options={"synchronize_session": False})


def _row(session: Session, pair: Pair) -> Contact | None:
    return session.scalars(
        select(Contact).where(Contact.corp_id == pair.corp_id, Contact.userid == pair.userid,
                              Contact.external_userid == pair.external_userid).with_for_update(key_share=True),
        execution_options={"populate_existing": True}).one_or_none()


def _known(row: Contact | None) -> Known | None:
    if row is None:
        return None
    return Known(row.added_at, row.ended_at, row.ended_by, row.half, row.stint)  # type: ignore[arg-type]


def _keep(session: Session, row: Contact | None, pair: Pair, person_id: int, change: Change, now: datetime) -> Contact:
    if row is None:
        row = Contact(corp_id=pair.corp_id, userid=pair.userid, external_userid=pair.external_userid, state="",
                      since=now, welcome="", transfer_fault="")
        session.add(row)
    known = change.known
    row.person_id, row.account, row.stint, row.half = person_id, pair.account, known.stint, known.half
    row.added_at, row.ended_at, row.ended_by = known.added_at, known.ended_at, known.ended_by
    meet_staff(session, pair.corp_id, [pair.userid], now)
    return row


def meet_staff(session: Session, corp_id: str, userids: Iterable[str], now: datetime) -> None:
    """These employees are there."""
    rows = [{"corp_id": corp_id, "userid": one.lower(), "first_seen_at": now, "last_seen_at": now}
            for one in sorted(set(userids))]
    if rows:
        put = insert(StaffMember)
        session.execute(put.on_conflict_do_update(index_elements=["corp_id", "userid"],
                                                  set_={"last_seen_at": put.excluded.last_seen_at}), rows)


def new_way(
    session: Session, corp_id: str, userid: str, sharer_id: int | None, sku: str, now: datetime
) -> WayView:
    """A code to be: its token is kept before the platform is asked, so that nobody arrives with one we do not know."""
    userid = userid.strip().lower()
    if not userid:
        raise DomainError("contact.userid")
    row = ContactWay(token=short_code(TOKEN_LETTERS), corp_id=corp_id, userid=userid, sharer_id=sharer_id, sku=sku,
                     config_id="", url="", made_at=now)
    session.add(row)
    meet_staff(session, corp_id, [userid], now)
    session.flush()
    return way_view(row)


def way_made(session: Session, way_id: int, config_id: str, url: str) -> WayView:
    """The platform has made the code. Raises NotFound."""
    row = session.get(ContactWay, way_id, populate_existing=True)
    if row is None:
        raise NotFound("contact.way_unknown")
    row.config_id, row.url = config_id, url
    session.flush()
    return way_view(row)


def drop_way(session: Session, way_id: int) -> None:
    """The platform did not make it."""
    session.execute(text("delete from contact_way where id = :id and url = ''"), {"id": way_id})


def wish(session: Session, contact_id: int, wished: Wish, now: datetime) -> int:
    """Note that a tag is wanted, or not any more. Returns the turn that this is, 0 when it was known already; one that
    was refused is wanted anew."""
    put = insert(ContactTag).values(contact_id=contact_id, kind=wished.kind, value=wished.value, wanted=wished.on,
                                    state="waiting", reason="", changed_at=now)
    news = (ContactTag.wanted != wished.on) | (ContactTag.state == "refused")
    put = put.on_conflict_do_update(
        index_elements=["contact_id", "kind", "value"], where=news,
        set_={"wanted": wished.on, "state": "waiting", "reason": "", "turn": ContactTag.turn + 1, "changed_at": now})
    return session.execute(put.returning(ContactTag.turn)).scalar() or 0


def wished(session: Session, contact_id: int, kind: TagKind, value: str) -> Wish | None:
    """What is wanted now of a tag, None when nothing is left to do."""
    row = session.get(ContactTag, (contact_id, kind, value), populate_existing=True)
    return Wish(kind, value, row.wanted) if row is not None and row.state == "waiting" else None


def forget_tags(session: Session, contact_id: int) -> None:
    """They became friends anew: what the customer carried before is gone with the old friendship."""
    session.execute(text("delete from contact_tag where contact_id = :id"), {"id": contact_id})


def wish_ended(
    session: Session, contact_id: int, wished: Wish, name: str, reason: str, now: datetime
) -> None:
    """A tag stands in WeCom as wanted (``reason`` ''), or why not. One that is wanted otherwise by now stays."""
    session.execute(
        update(ContactTag)
        .where(ContactTag.contact_id == contact_id, ContactTag.kind == wished.kind, ContactTag.value == wished.value,
               ContactTag.wanted == wished.on)
        .values(name=name, state="refused" if reason else "done", reason=reason, changed_at=now),
        execution_options={"synchronize_session": False})


def tag_id(session: Session, corp_id: str, group: str, name: str) -> str:
    """The corp's tag of this name as far as known, else ''."""
    row = session.get(CorpTag, (corp_id, group, name), populate_existing=True)
    return row.tag_id if row is not None else ""


def keep_tag_id(session: Session, corp_id: str, group: str, name: str, found: str, now: datetime) -> None:
    """Remember a corp tag; '' forgets it (somebody deleted it in WeCom)."""
    if not found:
        session.execute(text("delete from corp_tag where corp_id = :corp and group_name = :group and name = :name"),
                        {"corp": corp_id, "group": group, "name": name})
        return
    put = insert(CorpTag).values(corp_id=corp_id, group_name=group, name=name, tag_id=found, known_at=now)
    session.execute(put.on_conflict_do_update(index_elements=["corp_id", "group_name", "name"],
                                              set_={"tag_id": found, "known_at": now}))


def move(session: Session, kept_id: int, gone_id: int, now: datetime) -> dict[str, int]:
    """Contacts' part of a merge: their employees, and the codes they gave out, are the kept person's."""
    ends = {"kept": kept_id, "gone": gone_id}
    counts = {}
    for table, column in (("contact", "person_id"), ("contact_way", "sharer_id")):
        moved = session.execute(text(
            f"update {table} set {column} = :kept where {column} = :gone returning id"), ends).all()  # noqa: S608
        counts[table] = len(moved)
    return {name: count for name, count in counts.items() if count}
