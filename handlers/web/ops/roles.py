"""Roles through the API: who holds one and why, given and taken by hand, and who is invited to promote the shop."""

from datetime import date, datetime
from typing import Annotated, Any, Literal, cast

import msgspec
from msgspec import Meta, Struct

from domain.people import queries as people
from domain.people.queries import PersonView
from domain.roles import card, decisions, invitations, queries, service
from domain.roles.rules import Role
from domain.shared.errors import NotFound
from domain.workflows import seeding
from handlers.web.api.operations import Parameter
from handlers.web.api.shapes import Fen, PersonId
from handlers.web.ops.context import BIGGEST_ID, MONEY, NO_SUCH, REFUSED, Asked, OpsOperation, shaped

GIVEN = ("promoter", "gold", "partner")
STATES = ("open", "accepted", "declined", "all")
PAGE = 100
AT_ONCE = 200
"""Invitations that one request sends: as many as the daily chore."""

Given = Literal["promoter", "gold", "partner"]
AnyRole = Literal["member", "promoter", "gold", "partner"]


class Holder(Struct):
    """Somebody who is more than a member, with their effective role."""

    person_id: PersonId
    nickname: str
    role: Given
    since: datetime
    because: Annotated[str, Meta(description="What gave it: order, repurchase, assessment, invitation, operator.")]
    provisional: Annotated[bool, Meta(description="A return may still undo it.")]


class Holders(Struct):
    """A page, by person."""

    holders: list[Holder]
    next_after: Annotated[int | None, Meta(description="Send as ?after= for the next page; null at the end.")]


class HeldRole(Struct):
    """A role that is held now, and why."""

    role: Given
    since: datetime
    because: str
    detail: Annotated[str, Meta(description="The order's number, how many repurchases, the month assessed …")]
    provisional: bool
    final_on: Annotated[date | None, Meta(description="When a provisional one is expected to be final.")]


class KeepRole(Struct):
    """What keeps a role."""

    role: Given
    falls_to: AnyRole
    until: Annotated[date | None, Meta(description="The last day, when a warning stands.")]
    missing_fen: Fen
    target_fen: Fen
    below: Annotated[int, Meta(description="Months in a row below the target, of limit.")]
    limit: int
    missing_orders: int


class RoleDecision(Struct):
    """What an assessment or an operator decided."""

    at: datetime
    role: Given
    what: Literal["promoted", "warned", "calmed", "demoted", "granted", "revoked"]
    month: date | None
    reason: str
    actor: str
    evidence: dict[str, Any]


class PersonRole(Struct):
    """What somebody is and why, what keeps it, and every decision about it, newest first."""

    person_id: PersonId
    nickname: str
    role: AnyRole
    held: Annotated[list[HeldRole], Meta(description="Highest first; empty for a member.")]
    keep: list[KeepRole]
    decisions: list[RoleDecision]


class RoleAct(Struct):
    """Which role, and the reason, for whoever asks later; it is kept and audited."""

    role: Given
    why: Annotated[str, Meta(min_length=1, max_length=1000)]


class RoleDone(Struct):
    """What came of it."""

    person_id: PersonId
    role: Given
    changed: Annotated[bool, Meta(description="false: they had it already, or had it not; the act is kept anyway.")]
    now: Annotated[AnyRole, Meta(description="Their effective role now.")]


class Invitation(Struct):
    """The one invitation that somebody ever gets."""

    person_id: PersonId
    asked_at: datetime
    expires_at: datetime
    state: Literal["open", "accepted", "declined"]
    evidence: Annotated[dict[str, Any], Meta(description="What it was made for, and what was offered.")]


class Invitations(Struct):
    """The newest 200 first."""

    invitations: list[Invitation]


class Candidate(Struct):
    """Somebody whom the rules name and nobody invited yet."""

    person_id: PersonId
    evidence: Annotated[dict[str, Any], Meta(description="What speaks for them, and what they would be offered.")]


class Candidates(Struct):
    """Whom the next invitations go to."""

    candidates: list[Candidate]


class Invited(Struct):
    """Who is invited by this."""

    person_ids: list[PersonId]


def holders(asked: Asked) -> Holders:
    role = asked.choice("role", (*GIVEN, "all"), "all")
    found = queries.holders(asked.session, None if role == "all" else cast("Role", role),
                            asked.number("after", 0, BIGGEST_ID, least=0), PAGE)
    more = found[-1].person_id if len(found) == PAGE else None
    return Holders([msgspec.convert(one, Holder, from_attributes=True) for one in found], more)


def one(asked: Asked) -> PersonRole:
    person = known(asked)
    found = card.card(asked.session, person.id, asked.now)
    made = decisions.history(asked.session, person.id)
    return PersonRole(
        person.id, person.nickname, found.role, msgspec.convert(found.held, list[HeldRole], from_attributes=True),
        msgspec.convert(found.keep, list[KeepRole], from_attributes=True),
        msgspec.convert(made, list[RoleDecision], from_attributes=True))


def grant(asked: Asked) -> RoleDone:
    return _done(asked, service.give(asked.session, _number(asked), asked.body.role, asked.body.why, asked.actor,
                                     asked.now))


def revoke(asked: Asked) -> RoleDone:
    return _done(asked, service.take(asked.session, _number(asked), asked.body.role, asked.body.why, asked.actor,
                                     asked.now))


def invited(asked: Asked) -> Invitations:
    state = asked.choice("state", STATES, "all")
    found = invitations.listed(asked.session, None if state == "all" else cast("invitations.State", state))
    return Invitations([msgspec.convert(each, Invitation, from_attributes=True) for each in found])


def candidates(asked: Asked) -> Candidates:
    return Candidates([Candidate(person_id, dict(evidence))
                       for person_id, evidence in seeding.due(asked.session, asked.now, AT_ONCE)])


def invite(asked: Asked) -> Invited:
    return Invited(seeding.invite_now(asked.session, asked.actor, asked.now, AT_ONCE))


def known(asked: Asked) -> PersonView:
    """The person of the path. Raises NotFound('person_unknown')."""
    found = people.person(asked.session, _number(asked))
    if found is None:
        raise NotFound("person_unknown", id=_number(asked))
    return found


def _number(asked: Asked) -> int:
    return min(int(asked.path["person_id"]), BIGGEST_ID)


def _done(asked: Asked, changed: bool) -> RoleDone:
    person = known(asked)
    return RoleDone(person.id, asked.body.role, changed, queries.roles_of(asked.session, [person.id])[person.id])


_PLACES = (("person_id", "The person's id."),)
_WRONG = (NO_SUCH, REFUSED)

OPERATIONS = (
    OpsOperation("GET", "/roles", "listRoleHolders", "Roles", "Who holds a role",
                 "Everybody who is more than a member, 100 a page.", Holders, holders,
                 query=(Parameter("role", f"Whose effective role is this: {', '.join(GIVEN)}; all if not given."),
                        Parameter("after", "next_after of the page before."))),
    OpsOperation("GET", "/roles/people/<int:person_id>", "getPersonRole", "Roles", "Somebody's role, and why",
                 "What they hold by which cause, what keeps it, and every decision.", PersonRole, one, places=_PLACES,
                 refusals=(NO_SUCH,)),
    OpsOperation("POST", "/roles/people/<int:person_id>/grant", "grantRole", "Roles", "Give a role",
                 "It stays until it is revoked by hand: no assessment takes it. The person is told.", RoleDone, grant,
                 roles=MONEY, body=(RoleAct,), read_body=shaped(RoleAct), places=_PLACES, refusals=_WRONG),
    OpsOperation("POST", "/roles/people/<int:person_id>/revoke", "revokeRole", "Roles", "Take a role",
                 "Whatever gave it; what they bought or sold before earns it no more. The next completed order opens "
                 "promoter rights again: who must not earn at all is frozen instead.", RoleDone, revoke, roles=MONEY,
                 body=(RoleAct,), read_body=shaped(RoleAct), places=_PLACES, refusals=_WRONG),
    OpsOperation("GET", "/roles/invitations", "listInvitations", "Roles", "Who was invited to promote the shop",
                 "The newest 200, with what they answered.", Invitations, invited,
                 query=(Parameter("state", f"One of {', '.join(STATES)}; all if not given."),)),
    OpsOperation("GET", "/roles/invitations/due", "listInvitationsDue", "Roles", "Who would be invited now",
                 f"By the live rules: who buys often and well, can be reached and was never invited; {AT_ONCE} at "
                 "most.", Candidates, candidates),
    OpsOperation("POST", "/roles/invitations/send", "sendInvitations", "Roles", "Invite them now",
                 f"Those of listInvitationsDue, instead of at the daily hour; {AT_ONCE} at once. Nobody twice.",
                 Invited, invite),
)
