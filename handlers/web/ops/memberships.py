"""Paid membership through the API: who has a card, one person's cards, given and taken by hand."""

from datetime import datetime
from typing import Annotated, Literal

import msgspec
from msgspec import Meta, Struct

from domain.memberships import queries, service
from domain.memberships.rules import MOST_DAYS, Cards
from domain.shared.errors import NotFound
from handlers.web.api.operations import Parameter
from handlers.web.api.shapes import Fen, PersonId
from handlers.web.ops.context import NO_SUCH, REFUSED, Asked, OpsOperation, shaped
from handlers.web.ops.roles import known

Reason = Annotated[str, Meta(min_length=1, max_length=500, description="For whoever asks later; kept and logged.")]


class MemberCard(Struct):
    """One card that was bought or given."""

    id: int
    person_id: PersonId
    card: Annotated[str, Meta(description="Its key in the shop's document.")]
    cause: Annotated[str, Meta(description="The order line or the grant that it came from.")]
    days: int
    kept_days: Annotated[int, Meta(description="Fewer than days where refunds took some.")]
    bought_at: datetime
    starts_at: datetime
    ends_at: datetime
    state: Literal["running", "coming", "over", "taken"]
    reason: str
    actor: Annotated[str, Meta(description="Who gave or took it by hand; empty otherwise.")]


class MemberCards(Struct):
    """The newest 100 first."""

    cards: list[MemberCard]


class RunningMembership(Struct):
    """What runs now."""

    number: Annotated[str, Meta(description="As the card shows it.")]
    card: str
    tier: str
    title: str
    benefits: list[str]
    since: datetime
    until: Annotated[datetime, Meta(description="The end of the last card in a row.")]
    days_left: int


class SavedByMembership(Struct):
    """An estimate from today's list prices, never more than what was really less."""

    goods_fen: Fen
    shipping_fen: Fen
    orders: int


class PersonMembership(Struct):
    """Somebody's membership; ``now`` is null when none runs."""

    person_id: PersonId
    now: RunningMembership | None
    saved: SavedByMembership
    cards: list[MemberCard]


class MembershipGrant(Struct):
    """``card``: its key, the first of the document if left out. ``days``: those of the card if left out."""

    reason: Reason
    card: str = ""
    days: Annotated[int, Meta(ge=1, le=MOST_DAYS)] | None = None


class MembershipTaken(Struct):
    """How many cards were taken: what ran and what came after it."""

    person_id: PersonId
    cards: int


class MembershipReason(Struct):
    """Why."""

    reason: Reason


class MembershipUntil(Struct):
    """Until when they are a member now."""

    person_id: PersonId
    until: datetime


def index(asked: Asked) -> MemberCards:
    within = asked.number("ending", 0, MOST_DAYS) or None
    return MemberCards([_card(row) for row in queries.cards_of(asked.session, asked.now, within_days=within)])


def one(asked: Asked) -> PersonMembership:
    person = known(asked)
    card = queries.of(asked.session, person.id, asked.now)
    saved = queries.saved_by(asked.session, person.id, asked.tool(Cards))
    return PersonMembership(
        person.id, msgspec.convert(card, RunningMembership, from_attributes=True) if card else None,
        msgspec.convert(saved, SavedByMembership, from_attributes=True),
        [_card(row) for row in queries.cards_of(asked.session, asked.now, person.id)])


def grant(asked: Asked) -> MembershipUntil:
    person, cards = known(asked), asked.tool(Cards)
    if not cards.card:
        raise NotFound("card_unknown", key=asked.body.card)
    card = cards.of(asked.body.card or cards.card[0].key)
    until = service.grant(asked.session, person.id, card, asked.body.days or card.days, asked.body.reason, asked.actor,
                          asked.now)
    return MembershipUntil(person.id, until)


def revoke(asked: Asked) -> MembershipTaken:
    person = known(asked)
    taken = service.revoke(asked.session, person.id, asked.body.reason, asked.actor, asked.now)
    return MembershipTaken(person.id, taken)


def _card(row: queries.CardRow) -> MemberCard:
    return msgspec.convert(row, MemberCard, from_attributes=True)


_PLACES = (("person_id", "The person's id."),)
_WRONG = (NO_SUCH, REFUSED)

OPERATIONS = (
    OpsOperation("GET", "/memberships", "listMemberCards", "Membership", "Paid cards",
                 "Of everybody.", MemberCards, index,
                 query=(Parameter("ending", "Only cards that end within so many days."),)),
    OpsOperation("GET", "/memberships/<int:person_id>", "getPersonMembership", "Membership", "Somebody's membership",
                 "What runs, what it has saved, and every card.", PersonMembership, one, places=_PLACES,
                 refusals=(NO_SUCH,)),
    OpsOperation("POST", "/memberships/<int:person_id>/grant", "grantMembership", "Membership", "Give a card",
                 "From now on, or after the one that runs. They are told.", MembershipUntil, grant,
                 body=(MembershipGrant,), read_body=shaped(MembershipGrant), places=_PLACES, refusals=_WRONG),
    OpsOperation("POST", "/memberships/<int:person_id>/revoke", "revokeMembership", "Membership", "Take the membership",
                 "What runs and what comes after it. They are told; money is refunded in the mall.", MembershipTaken,
                 revoke, body=(MembershipReason,), read_body=shaped(MembershipReason), places=_PLACES,
                 refusals=_WRONG),
)
