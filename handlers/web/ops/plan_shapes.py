"""What the operator API gives and takes about commission plans."""

from datetime import date, datetime
from typing import Annotated, Any, Literal

from msgspec import Meta, Struct

Reason = Annotated[str, Meta(min_length=1, max_length=1000)]
Day = Annotated[date | None, Meta(description="First business day (Shanghai); null: as soon as it is agreed.")]
Document = Annotated[dict[str, Any], Meta(description="The plan as JSON: the fields of a plan file, rates in bps.")]


class Version(Struct):
    """A published version. It never changes."""

    version: int
    name: str
    state: Literal["live", "scheduled", "ended", "superseded"]
    live_from: datetime
    published_at: datetime
    actor: str
    approval_id: int | None
    reverts: int | None


class Versions(Struct):
    """Every version, newest first."""

    plans: list[Version]


class PlanDocument(Struct):
    """What a version says, and the most that one yuan of sales could cost under it."""

    version: int
    document: Document
    worst_case_bps: int


class Draft(Struct):
    """A plan in the making."""

    id: int
    name: str
    state: Literal["draft", "submitted", "published", "withdrawn"]
    author: str
    revision: int
    effective_on: date | None
    note: str
    based_on: int | None
    approval_id: int | None
    version: int | None
    created_at: datetime
    changed_at: datetime


class Drafts(Struct):
    """The newest 200."""

    drafts: list[Draft]


class Change(Struct):
    """One difference from the newest version; null where one of the two says nothing."""

    where: str
    before: Any
    after: Any


class Finding(Struct):
    """One thing about a plan. An error keeps it from being published. ``message``: for operators."""

    severity: Literal["error", "warning"]
    code: str
    where: str
    message: str


class Checked(Struct):
    """Everything about a plan at once. ``worst_case_bps``: null while the document cannot be read."""

    publishable: bool
    findings: list[Finding]
    worst_case_bps: int | None


class FullDraft(Struct):
    """A draft with its document, what it changes, and what is to be said about it."""

    draft: Draft
    document: Document
    changes: list[Change]
    checked: Checked


class NewDraft(Struct):
    """A draft may have faults; they are found when it is checked and when it is submitted."""

    document: Document
    effective_on: Day = None
    note: Annotated[str, Meta(max_length=1000)] = ""


class ChangedDraft(NewDraft, kw_only=True):
    """``revision``: the one that you have read, so that nobody overwrites another's work."""

    revision: Annotated[int, Meta(ge=1)]


class ToCheck(Struct):
    """A document to look at; nothing is stored."""

    document: Document
    effective_on: Day = None


class Submission(Struct):
    """Why, for whoever decides."""

    reason: Reason


class Rollback(Struct):
    """Why, and from when on."""

    reason: Reason
    effective_on: Day = None


class CostShape(Struct):
    """What a plan pays for the orders of the time, net of returns."""

    total_fen: int
    base_fen: int
    by_level: dict[str, int]
    ladder_fen: int
    team_fen: int
    cut_fen: int
    cut_lines: int
    share_bps: Annotated[int, Meta(description="Of sales_fen.")]


class PersonShape(Struct):
    """One person under both plans."""

    person_id: int
    name: str
    live_fen: int
    draft_fen: int
    change_fen: int


class MarginShape(Struct):
    """What goods of known margin leave after their commissions; ``lines_without`` of ``lines`` have none."""

    sales_fen: int
    margin_fen: int
    live_left_fen: int
    draft_left_fen: int
    lines_without: int
    lines: int


class SimulationShape(Struct):
    """The shop's own orders by the live plan and by the draft. ``orders`` of ``all_orders`` were looked at."""

    days: int
    begins_on: date
    live_version: int
    orders: int
    all_orders: int
    sales_fen: int
    live: CostShape
    draft: CostShape
    margin: MarginShape
    gaining: int
    losing: int
    same: int
    gainers: list[PersonShape]
    losers: list[PersonShape]
