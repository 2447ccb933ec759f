"""The payment channel for operators: what stops paying out, the days that were compared, and saying what it was."""

from datetime import date, datetime, timedelta
from typing import Annotated, Any

import msgspec
from msgspec import Meta, Struct

from domain.audit import queries
from domain.audit import service as audit
from domain.paychannel import service as channel
from domain.payouts import queries as payouts
from domain.payouts import reconcile
from domain.shared import chores
from domain.shared.clock import business_date
from handlers.web.ops.approvals import Approval
from handlers.web.ops.context import ANYBODY, NO_SUCH, REFUSED, Asked, OpsOperation, shaped

DAYS = 31
COMPARISON = "pay.reconcile"
"""The chore in handlers/jobs/reconcile.py."""


class Incident(Struct):
    """A difference between the payment provider and the books. ``text`` is for people."""

    id: int
    account: str
    kind: str
    subject: Annotated[str, Meta(description="A bill number, a flow number of the fund bill, or a day.")]
    day: date | None
    ours_fen: int | None
    theirs_fen: int | None
    opened_at: datetime
    text: str


class FundDay(Struct):
    """A day whose fund bill was compared."""

    account: str
    day: date
    lines: int
    income_fen: int
    outgo_fen: int
    differences: int


class PayStatus(Struct):
    """``stopped``: no money leaves, for ``reason``."""

    stopped: bool
    reason: str
    incidents: list[Incident]
    days: list[FundDay]


class Hastened(Struct):
    """The comparison begins within seconds; what it finds is in getPayStatus."""

    due_at: datetime


class Explanation(Struct):
    """What an incident was."""

    why: Annotated[str, Meta(min_length=4, max_length=500)]


def status(asked: Asked) -> PayStatus:
    switch = payouts.switch(asked.session)
    since = business_date(asked.now) - timedelta(days=DAYS)
    incidents = [_incident(asked, one) for one in channel.open_incidents(asked.session)]
    days = [FundDay(one.account, one.day, one.lines, one.income_fen, one.outgo_fen, one.open_incidents)
            for one in channel.compared_days(asked.session, None, since)]
    return PayStatus(switch.stopped_at is not None, switch.reason, incidents, days)


def _incident(asked: Asked, one: Any) -> Incident:
    return Incident(one.id, one.account, one.kind, one.subject, one.day, one.ours_fen, one.theirs_fen, one.opened_at,
                    asked.copy.render(f"pay.incident.{one.kind}", one=one))


def compare(asked: Asked) -> Hastened:
    """The comparison asks the payment provider, which takes its time: the slow worker does it, not this request."""
    chores.hasten(asked.session, COMPARISON, asked.now)
    audit.record(asked.session, asked.actor, "pay.reconcile", "pay", {}, asked.now)
    return Hastened(asked.now)


def explain(asked: Asked) -> Approval:
    wanted: Explanation = asked.body
    opened = reconcile.explain(asked.session, asked.path["incident_id"], wanted.why, asked.actor, asked.now)
    return msgspec.convert(queries.approval_view(opened, asked.now), Approval, from_attributes=True)


OPERATIONS = (
    OpsOperation("GET", "/pay/status", "getPayStatus", "Paying out", "What stops paying out",
                 "Open differences between the payment provider and the books, and the fund bills of the last month.",
                 PayStatus, status),
    OpsOperation("POST", "/pay/reconcile", "reconcile", "Paying out", "Compare with the fund bills now",
                 "The slow worker compares the days that are due within seconds, not within twenty minutes.",
                 Hastened, compare, status=202, roles=ANYBODY - {"reviewer"}),
    OpsOperation("POST", "/pay/incidents/<int:incident_id>/explain", "explainIncident", "Paying out",
                 "Say what a difference was",
                 "Opens an approval: when a second person agrees, the incident is closed; with the last one, money may "
                 "leave again.", Approval, explain, body=(Explanation,), read_body=shaped(Explanation),
                 roles=ANYBODY - {"reviewer"}, places=(("incident_id", "See getPayStatus."),),
                 refusals=(NO_SUCH, REFUSED)),
)
