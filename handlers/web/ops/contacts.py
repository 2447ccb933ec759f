"""WeCom contacts through the API: which employee has whom, since when and by whose code, the tags they carry there."""

from datetime import datetime
from typing import Annotated, Literal

from msgspec import Meta, Struct

from domain.contacts import queries
from domain.contacts.queries import ListedContact, ListedWay, TagView
from handlers.web.api.operations import Parameter
from handlers.web.api.shapes import PersonId
from handlers.web.ops.context import BIGGEST_ID, NO_SUCH, Asked, OpsOperation

State = Literal["friends", "half", "parted"]


class ContactTag(Struct):
    """A tag in WeCom, wanted or to be taken off, and what became of that."""

    kind: Literal["sharer", "interest", "insight"]
    name: Annotated[str, Meta(description="As it stands in WeCom; empty before it was written there.")]
    wanted: bool
    state: Literal["waiting", "done", "refused"]
    reason: str
    changed_at: datetime


class ContactLine(Struct):
    """One employee and one customer."""

    id: int
    person_id: PersonId
    nickname: str
    corp_id: str
    account: Annotated[str, Meta(description="Our name of the application, [wecom.<account>].")]
    userid: Annotated[str, Meta(description="The employee.")]
    external_userid: str
    state: State
    since: datetime
    ended_at: datetime | None
    ended_by: Annotated[str, Meta(description="staff, customer or transfer; empty while they are friends.")]
    way_id: Annotated[int | None, Meta(description="The code that they came by.")]
    welcome: Annotated[str, Meta(description="sent, welcomed, or why not; empty while it waits.")]
    welcomed_at: datetime | None
    tags: list[ContactTag]


class Contacts(Struct):
    """The newest first."""

    contacts: list[ContactLine]


class Employee(Struct):
    """An employee who has met a customer, or has a code."""

    corp_id: str
    userid: str
    contacts: Annotated[int, Meta(description="Customers they have now.")]
    last_seen_at: datetime


class Staff(Struct):
    """Every employee that we know of."""

    staff: list[Employee]


class ContactCode(Struct):
    """A 「联系我」 code."""

    id: int
    corp_id: str
    userid: str
    sharer_id: PersonId | None
    sharer: Annotated[str, Meta(description="The sharer's nickname.")]
    sku: str
    url: Annotated[str, Meta(description="Of the picture.")]
    contacts: Annotated[int, Meta(description="Customers who came by it and are still there.")]
    made_at: datetime


class ContactCodes(Struct):
    """The newest first."""

    ways: list[ContactCode]


def listed(asked: Asked) -> Contacts:
    person = asked.number("person", 0, BIGGEST_ID, least=0)
    found = queries.listed(asked.session, userid=asked.query.get("userid", ""), person_id=person or None,
                           ended=asked.choice("ended", ("yes", "no"), "no") == "yes",
                           limit=asked.number("limit", 100, 1_000))
    tags = queries.tags_of(asked.session, [one.contact.id for one in found])
    return Contacts([_shape(one, tags[one.contact.id]) for one in found])


def one(asked: Asked) -> ContactLine:
    found = queries.one(asked.session, min(asked.path["contact_id"], BIGGEST_ID))
    return _shape(found, queries.tags_of(asked.session, [found.contact.id])[found.contact.id])


def staff(asked: Asked) -> Staff:
    return Staff([Employee(each.corp_id, each.userid, each.contacts, each.last_seen_at)
                  for each in queries.staff(asked.session)])


def ways(asked: Asked) -> ContactCodes:
    return ContactCodes([_code(each) for each in queries.ways(asked.session, limit=asked.number("limit", 100, 1_000))])


def _shape(found: ListedContact, tags: list[TagView]) -> ContactLine:
    contact = found.contact
    state: State = "parted" if not contact.open else "half" if contact.half else "friends"
    return ContactLine(
        contact.id, contact.person_id, found.nickname, contact.corp_id, contact.account, contact.userid,
        contact.external_userid, state, contact.since, contact.ended_at, contact.ended_by, contact.way_id,
        contact.welcome, contact.welcomed_at, [_tag(each) for each in tags])


def _tag(tag: TagView) -> ContactTag:
    return ContactTag(tag.kind, tag.name, tag.wanted, tag.state, tag.reason, tag.changed_at)  # type: ignore[arg-type]


def _code(found: ListedWay) -> ContactCode:
    way = found.way
    return ContactCode(way.id, way.corp_id, way.userid, way.sharer_id, found.sharer, way.sku, way.url, found.contacts,
                       way.made_at)


_LIMIT = Parameter("limit", "At most so many; 100 if not given, 1000 at most.")

OPERATIONS = (
    OpsOperation("GET", "/contacts", "listContacts", "Contacts", "Who has whom in WeCom",
                 "With their tags, the newest first; those who have parted only if asked for.", Contacts, listed,
                 query=(Parameter("userid", "Only this employee's."), Parameter("person", "Only this person's."),
                        Parameter("ended", "yes: also those who have parted."), _LIMIT)),
    OpsOperation("GET", "/contacts/<int:contact_id>", "getContact", "Contacts", "One employee and one customer",
                 "With the tags.", ContactLine, one, places=(("contact_id", "The contact's id."),),
                 refusals=(NO_SUCH,)),
    OpsOperation("GET", "/contacts/staff", "listContactStaff", "Contacts", "Employees",
                 "Whom customers have met, and how many each has now.", Staff, staff),
    OpsOperation("GET", "/contacts/ways", "listContactWays", "Contacts", "Codes by which customers add employees",
                 "Whose they are, for which sharer and product, and how many came by them.", ContactCodes, ways,
                 query=(_LIMIT,)),
)
