"""Reading published plans and drafts: lists and single ones, for the terminal, the operator API and pages."""

from collections.abc import Sequence
from datetime import date, datetime
from typing import Any, Literal

from sqlalchemy import select
from sqlalchemy.orm import Session

from domain.commissions import plans
from domain.commissions.models import CommissionPlan, PlanDraft
from domain.shared.errors import NotFound
from domain.shared.records import record

VersionState = Literal["live", "scheduled", "ended", "superseded"]
DraftState = Literal["draft", "submitted", "published", "withdrawn"]

DRAFT_STATES: tuple[DraftState, ...] = ("draft", "submitted", "published", "withdrawn")
MOST_SHOWN = 200


@record
class VersionView:
    """One published version. ``superseded``: a later version took its place before it ever went live."""

    version: int
    name: str
    state: VersionState
    live_from: datetime
    published_at: datetime
    actor: str
    approval_id: int | None
    reverts: int | None


@record
class DraftView:
    """A draft without its document; see PlanDraft."""

    id: int
    name: str
    state: DraftState
    author: str
    revision: int
    effective_on: date | None
    note: str
    based_on: int | None
    approval_id: int | None
    version: int | None
    created_at: datetime
    changed_at: datetime


def versions(session: Session, now: datetime) -> list[VersionView]:
    """Every published version, newest first."""
    rows = session.scalars(select(CommissionPlan).order_by(CommissionPlan.version)).all()
    states = _states([(one.version, one.live_from) for one in rows], now)
    return [
        VersionView(one.version, one.name, states[one.version], one.live_from, one.published_at, one.actor,
                    one.approval_id, one.reverts)
        for one in reversed(rows)
    ]


def document_of(session: Session, version: int) -> dict[str, Any]:
    """What a version says, with everything that it leaves unsaid. Raises NotFound("plan_unknown")."""
    row = session.get(CommissionPlan, version) if 0 < version < 2**63 else None
    if row is None:
        raise NotFound("plan_unknown", version=version)
    return plans.stored(row.document, version).document()


def drafts(session: Session, state: str = "", limit: int = MOST_SHOWN) -> list[DraftView]:
    """Drafts, newest first; ``state`` '' for all."""
    wanted = select(PlanDraft).order_by(PlanDraft.id.desc()).limit(limit)
    return [draft_view(one) for one in session.scalars(wanted.where(PlanDraft.state == state) if state else wanted)]


def draft_view(one: PlanDraft) -> DraftView:
    """The view of a draft's row."""
    state = next(state for state in DRAFT_STATES if state == one.state)
    return DraftView(one.id, one.name, state, one.author, one.revision, one.effective_on, one.note, one.based_on,
                     one.approval_id, one.version, one.created_at, one.changed_at)


def draft(session: Session, draft_id: int) -> PlanDraft:
    """A draft's row as it is now. Raises NotFound("draft_unknown")."""
    known = 0 < draft_id < 2**63
    row = session.get(PlanDraft, draft_id, populate_existing=True) if known else None
    if row is None:
        raise NotFound("draft_unknown", id=draft_id)
    return row


def _states(known: Sequence[tuple[int, datetime]], now: datetime) -> dict[int, VersionState]:
    """The newest version whose time has come is live; a later version ends every earlier one from its time on."""
    live = max((version for version, since in known if since <= now), default=0)
    found: dict[int, VersionState] = {}
    for version, since in known:
        later = [at for other, at in known if other > version]
        if version == live:
            found[version] = "live"
        elif any(at <= since for at in later):
            found[version] = "superseded"
        else:
            found[version] = "scheduled" if since > now else "ended"
    return found
