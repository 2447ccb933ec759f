"""Acts that need two people, through the API: what waits, and the second person's yes or no."""

from datetime import datetime
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta, Struct

from domain.audit import approvals as desk
from domain.audit import queries
from domain.audit.queries import ApprovalView
from domain.workflows import acts
from handlers.web.api.operations import Parameter
from handlers.web.ops.context import BIGGEST_ID, NO_SUCH, REFUSED, Asked, OpsOperation, shaped

STATES = ("open", "approved", "rejected", "expired", "all")
PAGE = 50
_PLACES = (("approval_id", "The approval's id."),)


class Approval(Struct):
    """An act as it was asked for, and what became of it."""

    id: int
    act: str
    subject: Annotated[str, Meta(description="What it is done to, as in person:17.")]
    payload: Annotated[dict[str, Any], Meta(description="What exactly is done; it never changes.")]
    reason: str
    asked_by: str
    asked_at: datetime
    expires_at: datetime
    state: Literal["open", "approved", "rejected", "expired"]
    decided_by: str | None
    decided_at: datetime | None
    note: str


class Approvals(Struct):
    """A page, newest first."""

    approvals: list[Approval]
    next_before: Annotated[int | None, Meta(description="Send as ?before= for the next page; null at the end.")]


class Decision(Struct):
    """Why, for whoever asks later."""

    note: Annotated[str, Meta(max_length=1000)] = ""


def some(asked: Asked) -> Approvals:
    state = asked.choice("state", STATES, "open")
    before = asked.number("before", BIGGEST_ID, BIGGEST_ID)
    found = queries.approvals(asked.session, asked.now, "" if state == "all" else state, before, PAGE)
    return Approvals([_shape(one) for one in found], found[-1].id if len(found) == PAGE else None)


def one(asked: Asked) -> Approval:
    return _shape(queries.approval_view(desk.of(asked.session, asked.path["approval_id"]), asked.now))


def approve(asked: Asked) -> Approval:
    return _decided(asked, approve=True)


def reject(asked: Asked) -> Approval:
    return _decided(asked, approve=False)


def _decided(asked: Asked, *, approve: bool) -> Approval:
    wanted: Decision = asked.body
    found = acts.decide(asked.session, asked.path["approval_id"], approve, asked.actor, asked.now, wanted.note)
    return _shape(queries.approval_view(found, asked.now))


def _shape(view: ApprovalView) -> Approval:
    return msgspec.convert(view, Approval, from_attributes=True)


OPERATIONS = (
    OpsOperation("GET", "/approvals", "listApprovals", "Approvals", "What waits for a second person",
                 "Newest first.", Approvals, some,
                 query=(Parameter("state", f"One of {', '.join(STATES)}; open if not given."),
                        Parameter("before", "next_before of the page before."))),
    OpsOperation("GET", "/approvals/<int:approval_id>", "getApproval", "Approvals", "One approval",
                 "With everything that the second person must know.", Approval, one, places=_PLACES,
                 refusals=(NO_SUCH,)),
    OpsOperation("POST", "/approvals/<int:approval_id>/approve", "approve", "Approvals", "Say yes",
                 "As somebody else than who asked, with a role that may decide this act. It is done at once, or "
                 "nothing is and the approval stays open.", Approval, approve, body=(Decision,),
                 read_body=shaped(Decision), places=_PLACES, refusals=(NO_SUCH, REFUSED)),
    OpsOperation("POST", "/approvals/<int:approval_id>/reject", "reject", "Approvals", "Say no",
                 "As somebody else than who asked, with a role that may decide this act.", Approval, reject,
                 body=(Decision,), read_body=shaped(Decision), places=_PLACES,
                 refusals=(NO_SUCH, REFUSED)),
)
