"""Reading WeCom contacts: for jobs, the command line, and whoever wants to know which employee has a customer."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from domain.contacts.models import Contact, ContactTag, ContactWay, StaffMember
from domain.people.models import Person
from domain.shared.errors import NotFound
from domain.shared.records import record


@dataclass(frozen=True, slots=True)
class WayView:
    """A code. ``url`` '' while the platform has not made it."""

    id: int
    token: str
    corp_id: str
    userid: str
    sharer_id: int | None
    sku: str
    config_id: str
    url: str
    made_at: datetime


@dataclass(frozen=True, slots=True)
class ContactView:
    """One employee and one customer; see ``models.Contact``."""

    id: int
    corp_id: str
    account: str
    userid: str
    external_userid: str
    person_id: int
    way_id: int | None
    state: str
    stint: int
    half: bool
    since: datetime
    added_at: datetime | None
    ended_at: datetime | None
    ended_by: str
    arrival: dict[str, Any] | None
    welcome: str
    welcomed_at: datetime | None

    @property
    def open(self) -> bool:
        return self.ended_at is None


@dataclass(frozen=True, slots=True)
class TagView:
    """A tag wanted (or not) at a contact, and what became of it."""

    contact_id: int
    kind: str
    value: str
    name: str
    wanted: bool
    state: str
    reason: str
    changed_at: datetime


@record
class ListedContact:
    """A contact with the customer's name, for lists."""

    contact: ContactView
    nickname: str


@record
class ListedWay:
    """A code with its sharer's name and how many came by it and are still there."""

    way: WayView
    sharer: str
    contacts: int


@record
class StaffView:
    """An employee and how many customers they have."""

    corp_id: str
    userid: str
    contacts: int
    last_seen_at: datetime


def view(row: Contact) -> ContactView:
    return ContactView(**{name: getattr(row, name) for name in ContactView.__slots__})


def way_view(row: ContactWay) -> WayView:
    return WayView(**{name: getattr(row, name) for name in WayView.__slots__})


def way_by_token(session: Session, token: str) -> WayView | None:
    """The code whose customers arrive with this state."""
    row = session.scalars(select(ContactWay).where(ContactWay.token == token)).one_or_none()
    return way_view(row) if row is not None else None


def way(session: Session, way_id: int) -> WayView | None:
    row = session.get(ContactWay, way_id)
    return way_view(row) if row is not None else None


def contact(session: Session, contact_id: int) -> ContactView | None:
    row = session.get(Contact, contact_id, populate_existing=True)
    return view(row) if row is not None else None


def open_of(session: Session, person_id: int) -> list[ContactView]:
    """The employees who have a person now, the latest first."""
    rows = session.scalars(select(Contact).where(Contact.person_id == person_id, Contact.ended_at.is_(None))
                           .order_by(Contact.added_at.desc(), Contact.id.desc()),
                           execution_options={"populate_existing": True})
    return [view(row) for row in rows]


def open_among(session: Session, people: Sequence[int]) -> list[ContactView]:
    """The present contacts of some people."""
    rows = session.scalars(select(Contact).where(Contact.person_id.in_(set(people)), Contact.ended_at.is_(None))
                           .order_by(Contact.id), execution_options={"populate_existing": True})
    return [view(row) for row in rows]


def tags_of(session: Session, contact_ids: Sequence[int]) -> dict[int, list[TagView]]:
    """The tags of contacts, by contact."""
    found: dict[int, list[TagView]] = {one: [] for one in contact_ids}
    rows = session.scalars(select(ContactTag).where(ContactTag.contact_id.in_(contact_ids))
                           .order_by(ContactTag.contact_id, ContactTag.kind, ContactTag.value),
                           execution_options={"populate_existing": True})
    for row in rows:
        found[row.contact_id].append(TagView(**{name: getattr(row, name) for name in TagView.__slots__}))
    return found


def open_tags(session: Session, *, limit: int) -> list[TagView]:
    """Tags of present contacts that are not as wanted: those that wait, then those that were refused, newest first."""
    rows = session.scalars(
        select(ContactTag).join(Contact, Contact.id == ContactTag.contact_id)
        .where(ContactTag.state != "done", Contact.ended_at.is_(None))
        .order_by(ContactTag.state.desc(), ContactTag.changed_at.desc(), ContactTag.contact_id).limit(limit))
    return [TagView(**{name: getattr(row, name) for name in TagView.__slots__}) for row in rows]


def one(session: Session, contact_id: int) -> ListedContact:
    """A contact with the customer's name. Raises NotFound("contact.unknown")."""
    row = session.execute(select(Contact, Person.nickname).join(Person, Person.id == Contact.person_id)
                          .where(Contact.id == contact_id)).one_or_none()
    if row is None:
        raise NotFound("contact.unknown")
    return ListedContact(view(row[0]), row[1])


def listed(
    session: Session, *, userid: str = "", person_id: int | None = None, ended: bool = False, limit: int = 200
) -> list[ListedContact]:
    """Contacts, the newest first; without ``ended`` only those who are there."""
    asked = select(Contact, Person.nickname).join(Person, Person.id == Contact.person_id)
    if userid:
        asked = asked.where(Contact.userid == userid.lower())
    if person_id is not None:
        asked = asked.where(Contact.person_id == person_id)
    if not ended:
        asked = asked.where(Contact.ended_at.is_(None))
    rows = session.execute(asked.order_by(Contact.since.desc(), Contact.id.desc()).limit(limit))
    return [ListedContact(view(row), nickname) for row, nickname in rows]


def ways(session: Session, *, limit: int = 200) -> list[ListedWay]:
    """Codes that the platform has made, the newest first."""
    here = (select(func.count()).where(Contact.way_id == ContactWay.id, Contact.ended_at.is_(None))
            .correlate(ContactWay).scalar_subquery())
    rows = session.execute(
        select(ContactWay, Person.nickname, here).outerjoin(Person, Person.id == ContactWay.sharer_id)
        .where(ContactWay.url != "").order_by(ContactWay.id.desc()).limit(limit))
    return [ListedWay(way_view(row), nickname or "", count) for row, nickname, count in rows]


def staff(session: Session) -> list[StaffView]:
    """Every known employee with the number of their customers."""
    here = (select(func.count()).where(Contact.corp_id == StaffMember.corp_id, Contact.userid == StaffMember.userid,
                                       Contact.ended_at.is_(None)).correlate(StaffMember).scalar_subquery())
    rows = session.execute(select(StaffMember, here).order_by(StaffMember.corp_id, StaffMember.userid))
    return [StaffView(row.corp_id, row.userid, count, row.last_seen_at) for row, count in rows]
