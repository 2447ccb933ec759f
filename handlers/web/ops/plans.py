"""Commission plans, through the API: what is published, drafts, what is wrong with one, what it would have cost."""

from datetime import date
from typing import Any

import msgspec
from sqlalchemy import text

from bot.kit.copy import Copy
from domain.audit import queries as audit
from domain.commissions import plans, versions
from domain.commissions import service as commissions
from domain.commissions.findings import Finding as Found
from domain.commissions.models import PlanDraft
from domain.commissions.plan_checks import worst_case
from domain.commissions.versions import DRAFT_STATES, DraftView, VersionView
from domain.shared.errors import DomainError
from domain.shared.wording import Wording
from domain.workflows import publishing
from domain.workflows.simulation import LONGEST_DAYS, Cost, PersonChange, Simulation, simulate
from handlers.web.api.operations import Parameter
from handlers.web.api.problems import invalid
from handlers.web.api.shapes import Fault
from handlers.web.ops.approvals import Approval
from handlers.web.ops.context import NO_SUCH, REFUSED, Asked, OpsOperation, shaped
from handlers.web.ops.plan_shapes import (
    Change,
    ChangedDraft,
    Checked,
    CostShape,
    Draft,
    Drafts,
    Finding,
    FullDraft,
    MarginShape,
    NewDraft,
    PersonShape,
    PlanDocument,
    Rollback,
    SimulationShape,
    Submission,
    ToCheck,
    Version,
    Versions,
)

MOST_ORDERS = 50_000
"""Orders that one request looks at; more at the terminal, where somebody watches."""


def sentence(copy: Copy, found: Found) -> str:
    """A finding in the operators' language."""
    return copy.render(f"plan.finding.{found.code}", **found.facts)


def published(asked: Asked) -> Versions:
    return Versions([_version(one) for one in versions.versions(asked.session, asked.now)])


def document(asked: Asked) -> PlanDocument:
    number = asked.path["version"]
    content = versions.document_of(asked.session, number)
    return PlanDocument(number, content, worst_case(plans.stored(content, number)).total_bps)


def drafts(asked: Asked) -> Drafts:
    state = asked.choice("state", (*DRAFT_STATES, "all"), "all")
    return Drafts([_draft(one) for one in versions.drafts(asked.session, "" if state == "all" else state)])


def draft(asked: Asked) -> FullDraft:
    return _full(asked, versions.draft(asked.session, asked.path["draft_id"]))


def start(asked: Asked) -> FullDraft:
    new: NewDraft = asked.body
    row = publishing.start(asked.session, new.document, asked.actor, asked.now, new.effective_on, new.note)
    return _full(asked, row)


def change(asked: Asked) -> FullDraft:
    new: ChangedDraft = asked.body
    row = publishing.change(asked.session, asked.path["draft_id"], new.revision, new.document, asked.actor, asked.now,
                            new.effective_on, new.note)
    return _full(asked, row)


def check(asked: Asked) -> Checked:
    given: ToCheck = asked.body
    return _checked(asked, given.document, given.effective_on)


def withdraw(asked: Asked) -> Draft:
    row = publishing.withdraw(asked.session, asked.path["draft_id"], asked.actor, asked.now)
    return _draft(versions.draft_view(row))


def submit(asked: Asked) -> Approval:
    given: Submission = asked.body
    try:
        found = publishing.submit(asked.session, asked.path["draft_id"], asked.tool(Wording), given.reason, asked.actor,
                                  asked.now)
    except DomainError as refusal:
        raise _with_places(asked, refusal) from None
    return msgspec.convert(audit.approval_view(found, asked.now), Approval, from_attributes=True)


def rollback(asked: Asked) -> Approval:
    given: Rollback = asked.body
    found = publishing.ask_rollback(asked.session, asked.path["version"], given.reason, asked.actor, asked.now,
                                    given.effective_on)
    return msgspec.convert(audit.approval_view(found, asked.now), Approval, from_attributes=True)


def simulation(asked: Asked) -> SimulationShape:
    days = asked.number("days", 30, LONGEST_DAYS)
    asked.session.execute(text("set transaction isolation level repeatable read read only"))
    row = versions.draft(asked.session, asked.path["draft_id"])
    try:
        wanted = plans.parse(row.document)
    except DomainError as refusal:
        raise _with_places(asked, refusal) from None
    live = commissions.live_plan(asked.session, asked.now)
    return _simulation(simulate(asked.session, live, wanted, asked.now, days, row.effective_on, MOST_ORDERS))


def _full(asked: Asked, row: PlanDraft) -> FullDraft:
    newest = commissions.newest(asked.session)
    before = plans.stored(newest.document, 0).document() if newest else {}
    found = _checked(asked, row.document, row.effective_on)
    readable = found.worst_case_bps is not None
    after = plans.stored(row.document, 0).document() if readable else {}
    changed = [Change(**one) for one in publishing.changes(before, after)] if readable else []
    return FullDraft(_draft(versions.draft_view(row)), row.document, changed, found)


def _checked(asked: Asked, content: dict[str, Any], effective_on: date | None) -> Checked:
    found = publishing.validate(asked.session, content, asked.tool(Wording), asked.now, effective_on)
    worst = None
    if not any(one.code in ("type", "choice", "unknown_field", "missing_field") for one in found):
        worst = worst_case(plans.stored(content, 0)).total_bps
    told = [Finding(one.severity, one.code, one.where, sentence(asked.copy, one)) for one in found]
    return Checked(not any(one.severity == "error" for one in found), told, worst)


def _with_places(asked: Asked, refusal: DomainError) -> Exception:
    """A plan's faults at their places; every other refusal as it is."""
    faults = refusal.facts.get("faults")
    if refusal.code != "plan_invalid" or not isinstance(faults, list):
        return refusal
    return invalid([Fault(pointer(one.where), sentence(asked.copy, one)) for one in faults])


def pointer(where: str) -> str:
    """``rules[2].rate_bps`` → ``/document/rules/2/rate_bps``."""
    inside = "/".join(part for part in where.replace("[", ".").replace("]", "").split(".") if part)
    return f"/document/{inside}" if inside else "/document"


def _version(view: VersionView) -> Version:
    return msgspec.convert(view, Version, from_attributes=True)


def _draft(view: DraftView) -> Draft:
    return msgspec.convert(view, Draft, from_attributes=True)


def _simulation(done: Simulation) -> SimulationShape:
    return SimulationShape(
        done.days, done.begins_on, done.live_version, done.orders, done.all_orders, done.sales_fen,
        _cost(done.live, done.live_share_bps), _cost(done.draft, done.draft_share_bps),
        msgspec.convert(done.margin, MarginShape, from_attributes=True), done.gaining, done.losing, done.same,
        [_person(one) for one in done.gainers], [_person(one) for one in done.losers],
    )


def _cost(cost: Cost, share_bps: int) -> CostShape:
    levels = {str(level): fen for level, fen in sorted(cost.by_level.items())}
    return CostShape(cost.total_fen, cost.base_fen, levels, cost.ladder_fen, cost.team_fen, cost.cut_fen,
                     cost.cut_lines, share_bps)


def _person(one: PersonChange) -> PersonShape:
    return PersonShape(one.person_id, one.name, one.live_fen, one.draft_fen, one.change_fen)


_VERSION = (("version", "The version's number."),)
_DRAFT = (("draft_id", "The draft's id."),)
_TAG = "Plans"

OPERATIONS = (
    OpsOperation("GET", "/plans", "listPlans", _TAG, "Published plans", "Newest first; the one that counts is live.",
                 Versions, published),
    OpsOperation("GET", "/plans/<int:version>", "getPlan", _TAG, "A published plan", "Everything that it says.",
                 PlanDocument, document, places=_VERSION, refusals=(NO_SUCH,)),
    OpsOperation("POST", "/plans/check", "checkPlan", _TAG, "Check a document",
                 "All that is wrong with it and all that should be known, at once. Nothing is stored.", Checked, check,
                 body=(ToCheck,), read_body=shaped(ToCheck)),
    OpsOperation("POST", "/plans/<int:version>/rollback", "askForRollback", _TAG, "Go back to a version",
                 "Asks a second person (plan.rollback) to publish what this version said, as a new version.", Approval,
                 rollback, status=201, body=(Rollback,), read_body=shaped(Rollback), places=_VERSION,
                 refusals=(NO_SUCH, REFUSED)),
    OpsOperation("GET", "/plan-drafts", "listPlanDrafts", _TAG, "Drafts", "Newest first.", Drafts, drafts,
                 query=(Parameter("state", f"One of {', '.join(DRAFT_STATES)}; all if not given."),)),
    OpsOperation("POST", "/plan-drafts", "startPlanDraft", _TAG, "Start a draft",
                 "With all that is to be said about it. Send the document of getPlan with your changes.", FullDraft,
                 start, status=201, body=(NewDraft,), read_body=shaped(NewDraft), refusals=(REFUSED,)),
    OpsOperation("GET", "/plan-drafts/<int:draft_id>", "getPlanDraft", _TAG, "A draft",
                 "With its document, what it changes, and all that is to be said about it.", FullDraft, draft,
                 places=_DRAFT, refusals=(NO_SUCH,)),
    OpsOperation("POST", "/plan-drafts/<int:draft_id>", "changePlanDraft", _TAG, "Write a draft anew",
                 "While nobody decides on it.", FullDraft, change, body=(ChangedDraft,), read_body=shaped(ChangedDraft),
                 places=_DRAFT, refusals=(NO_SUCH, REFUSED)),
    OpsOperation("POST", "/plan-drafts/<int:draft_id>/withdraw", "withdrawPlanDraft", _TAG, "Give a draft up",
                 "One that waits for an answer can then no longer be approved.", Draft, withdraw, places=_DRAFT,
                 refusals=(NO_SUCH, REFUSED)),
    OpsOperation("POST", "/plan-drafts/<int:draft_id>/submit", "submitPlanDraft", _TAG, "Ask to publish a draft",
                 "A second person approves (plan.publish), and the plan begins on its day.", Approval, submit,
                 status=201, body=(Submission,), read_body=shaped(Submission), places=_DRAFT,
                 refusals=(NO_SUCH, REFUSED)),
    OpsOperation("GET", "/plan-drafts/<int:draft_id>/simulation", "simulatePlanDraft", _TAG,
                 "What a draft would have cost",
                 f"The orders of the last days once by the live plan and once by the draft, as if both began on the "
                 f"draft's day; the newest {MOST_ORDERS} orders at most. Reads only.", SimulationShape, simulation,
                 places=_DRAFT, refusals=(NO_SUCH,),
                 query=(Parameter("days", f"How many, 1 to {LONGEST_DAYS}; 30 if not given."),)),
)
