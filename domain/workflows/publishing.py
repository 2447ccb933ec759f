"""The life of a plan: draft, submitted, published by a second person, live at a date; and back to an older version.

One wins of two that publish at once: an approval names the version that it follows (``follows``), and is refused when
another one was published meanwhile. What somebody agreed to is named by its digest; the database compares it too.
"""

from collections.abc import Mapping, Sequence
from datetime import date, datetime
from typing import Any

from sqlalchemy.orm import Session

from domain.audit import approvals
from domain.audit import service as audit
from domain.audit.approvals import Approval
from domain.audit.rules import Actor
from domain.catalog import queries as catalog
from domain.commissions import plans, versions
from domain.commissions import service as commissions
from domain.commissions.document import Plan
from domain.commissions.findings import Finding, error, warning
from domain.commissions.models import CommissionPlan, PlanDraft
from domain.commissions.plan_checks import worst_case
from domain.shared.clock import business_date, day_starts
from domain.shared.errors import Conflict, DomainError
from domain.shared.wording import Wording

PUBLISH, ROLLBACK = "plan.publish", "plan.rollback"
ROLLBACK_SUBJECT = "plan"


def validate(
    session: Session, document: Mapping[str, Any], wording: Wording, now: datetime, effective_on: date | None = None
) -> list[Finding]:
    """All that there is to say about a document in this shop, errors first: its own faults, the levels that the shop
    allows, a date that is over, goods that nobody sells, and a plan that says what the newest says already."""
    found = plans.check(document, wording)
    if effective_on is not None and effective_on < business_date(now):
        found.append(error("date_over", "effective_on", day=effective_on.isoformat()))
    if not any(one.severity == "error" and one.code != "wording" for one in found):
        found += _for_shop(session, plans.stored(document, 0))
    return sorted(found, key=lambda one: one.severity != "error")


def _for_shop(session: Session, plan: Plan) -> list[Finding]:
    allowed = commissions.limits(session)
    found: list[Finding] = []
    if plan.levels > allowed.max_levels:
        found.append(error("levels_not_allowed", "levels", levels=plan.levels, allowed=allowed.max_levels))
    if plan.team is not None and not allowed.team_pay:
        found.append(error("team_not_allowed", "team"))
    named = {rule.sku for rule in plan.rules if rule.sku}
    unknown = named - set(catalog.products(session, named))
    found += [warning("sku_unknown", f"rules[{n}].sku", sku=rule.sku)
              for n, rule in enumerate(plan.rules) if rule.sku in unknown]
    newest = commissions.newest(session)
    if newest is not None and newest.digest == plan.digest():
        found.append(error("unchanged", "", version=newest.version))
    return found


def start(
    session: Session, document: Mapping[str, Any], actor: Actor, now: datetime, effective_on: date | None = None,
    note: str = ""
) -> PlanDraft:
    """A new draft; it may have faults until it is submitted. Raises DomainError("draft_name") without a name."""
    newest = commissions.newest(session)
    row = PlanDraft(
        name=_name(document), document=dict(document), effective_on=effective_on, note=note.strip(), author=actor.name,
        based_on=newest.version if newest else None, created_at=now, changed_at=now, revision=1, state="draft",
    )
    session.add(row)
    session.flush()
    audit.record(session, actor, "plan.draft", _subject(row), {"name": row.name}, now)
    return row


def change(
    session: Session, draft_id: int, revision: int, document: Mapping[str, Any], actor: Actor, now: datetime,
    effective_on: date | None = None, note: str = ""
) -> PlanDraft:
    """Write a draft anew. ``revision``: the one that the writer has read, so that nobody overwrites another's work.

    Raises NotFound("draft_unknown"), Conflict("draft_state" | "draft_changed"), DomainError("draft_name").
    """
    row = _lock(session, draft_id, "draft")
    if row.revision != revision:
        raise Conflict("draft_changed", id=draft_id, revision=row.revision)
    newest = commissions.newest(session)
    row.name, row.document, row.effective_on, row.note = _name(document), dict(document), effective_on, note.strip()
    row.based_on, row.revision, row.changed_at = newest.version if newest else None, revision + 1, now
    session.flush()
    audit.record(session, actor, "plan.change", _subject(row), {"name": row.name, "revision": row.revision}, now)
    return row


def withdraw(session: Session, draft_id: int, actor: Actor, now: datetime) -> PlanDraft:
    """Give a draft up; one that waits for an answer can then no longer be approved.

    Raises NotFound("draft_unknown"), Conflict("draft_state").
    """
    row = _lock(session, draft_id, "draft", "submitted")
    row.state, row.changed_at = "withdrawn", now
    session.flush()
    audit.record(session, actor, "plan.withdraw", _subject(row), {"name": row.name}, now)
    return row


def submit(session: Session, draft_id: int, wording: Wording, reason: str, actor: Actor, now: datetime) -> Approval:
    """Ask a second person to publish a draft. Whoever decides sees what is warned of, and what it changes.

    Raises NotFound("draft_unknown"), Conflict("draft_state" | "approval_open"), DomainError("plan_invalid",
    faults=[Finding, …]) and what ``approvals.ask`` raises.
    """
    row = _lock(session, draft_id, "draft")
    found = validate(session, row.document, wording, now, row.effective_on)
    if faults := [one for one in found if one.severity == "error"]:
        raise DomainError("plan_invalid", faults=faults)
    plan, newest = plans.parse(row.document), commissions.newest(session)
    asked = approvals.ask(session, PUBLISH, _subject(row), {
        "draft": row.id, "name": plan.name, "digest": plan.digest(), "follows": newest.version if newest else 0,
        "effective_on": row.effective_on.isoformat() if row.effective_on else None,
        "worst_case_bps": worst_case(plan).total_bps, "cap_bps": plan.cap_bps,
        "warnings": [{"code": one.code, "where": one.where, "facts": dict(one.facts)} for one in found],
        "changes": changes(plans.stored(newest.document, 0).document() if newest else {}, plan.document()),
    }, reason, actor, now)
    row.state, row.approval_id, row.changed_at = "submitted", asked.id, now
    session.flush()
    return asked


def publish(session: Session, approval: Approval, actor: Actor, now: datetime) -> None:
    """What an approval of ``plan.publish`` does. Raises Conflict("draft_state" | "plan_moved_on"),
    DomainError("plan_date_over" | "levels_not_allowed" | "team_not_allowed" | "plan_invalid")."""
    newest = commissions.lock_versions(session)
    row = _lock(session, approval.payload["draft"], "submitted")
    _still_newest(newest, approval)
    plan = plans.parse(row.document)
    done = commissions.publish(session, plan, _begins(row.effective_on, now), now, actor.name, approval_id=approval.id)
    row.state, row.version, row.changed_at = "published", done.version, now
    session.flush()
    audit.record(session, actor, PUBLISH, f"plan:{done.version}", {
        "draft": row.id, "author": row.author, "name": plan.name, "digest": plan.digest()}, now)


def declined(session: Session, approval: Approval, actor: Actor, now: datetime) -> None:
    """A rejection or an expiry gives the draft back to its author, unless it was withdrawn meanwhile."""
    row = versions.draft(session, approval.payload["draft"])
    session.refresh(row, with_for_update=True)
    if row.state == "submitted":
        row.state, row.changed_at = "draft", now
        session.flush()


def ask_rollback(
    session: Session, version: int, reason: str, actor: Actor, now: datetime, effective_on: date | None = None
) -> Approval:
    """Ask a second person to publish what an older version said, as a new version.

    Raises NotFound("plan_unknown"), DomainError("plan_is_newest" | "plan_date_over" | "plan_invalid") and what
    ``approvals.ask`` raises.
    """
    document = versions.document_of(session, version)
    newest = commissions.newest(session)
    assert newest is not None
    plan = plans.parse(document)
    if plan.digest() == newest.digest:
        raise DomainError("plan_is_newest", version=version)
    _begins(effective_on, now)
    return approvals.ask(session, ROLLBACK, ROLLBACK_SUBJECT, {
        "version": version, "name": plan.name, "digest": plan.digest(), "follows": newest.version,
        "effective_on": effective_on.isoformat() if effective_on else None,
        "changes": changes(plans.stored(newest.document, 0).document(), plan.document()),
    }, reason, actor, now)


def roll_back(session: Session, approval: Approval, actor: Actor, now: datetime) -> None:
    """What an approval of ``plan.rollback`` does. Raises as ``publish`` does."""
    newest = commissions.lock_versions(session)
    _still_newest(newest, approval)
    wanted, day = approval.payload["version"], approval.payload["effective_on"]
    plan = plans.parse(versions.document_of(session, wanted))
    begins = _begins(date.fromisoformat(day) if day else None, now)
    done = commissions.publish(session, plan, begins, now, actor.name, approval_id=approval.id, reverts=wanted)
    audit.record(session, actor, ROLLBACK, f"plan:{done.version}", {"reverts": wanted, "digest": plan.digest()}, now)


def changes(before: Mapping[str, Any], after: Mapping[str, Any]) -> list[dict[str, Any]]:
    """What differs between two documents: ``{"where", "before", "after"}``, None for what one does not say. Rules are
    compared by what they are for, not by their place."""
    old, new = _flat(before), _flat(after)
    return [{"where": where, "before": old.get(where), "after": new.get(where)}
            for where in sorted(old.keys() | new.keys()) if old.get(where) != new.get(where)]


def _flat(document: Mapping[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, value in document.items():
        if name == "rules":
            for rule in map(_rule, value):
                found[f"rules[{rule.key}@{rule.level}].rate_bps"] = rule.rate_bps
        elif isinstance(value, Mapping):
            found |= {f"{name}.{inner}": one for inner, one in _flat(value).items()}
        elif isinstance(value, Sequence) and value and isinstance(value[0], Mapping):
            for n, one in enumerate(value):
                found |= {f"{name}[{n}].{inner}": each for inner, each in _flat(one).items()}
        else:
            found[name] = value
    return found


def _rule(value: Mapping[str, Any]) -> plans.Rule:
    return plans.Rule(**value)


def _name(document: Mapping[str, Any]) -> str:
    name = document.get("name")
    if not isinstance(name, str) or not name.strip():
        raise DomainError("draft_name")
    return name.strip()[:100]


def _subject(row: PlanDraft) -> str:
    return f"plan_draft:{row.id}"


def _lock(session: Session, draft_id: int, *states: str) -> PlanDraft:
    """A draft, held until the end of the transaction. Raises Conflict("draft_state") in any other state."""
    row = versions.draft(session, draft_id)
    session.refresh(row, with_for_update=True)
    if row.state not in states:
        raise Conflict("draft_state", id=draft_id, state=row.state)
    return row


def _still_newest(newest: CommissionPlan | None, approval: Approval) -> None:
    version = newest.version if newest else 0
    if version != approval.payload["follows"]:
        raise Conflict("plan_moved_on", version=version, follows=approval.payload["follows"])


def _begins(day: date | None, now: datetime) -> datetime:
    """Now, or the first instant of a day to come. Raises DomainError("plan_date_over")."""
    today = business_date(now)
    if day is not None and day < today:
        raise DomainError("plan_date_over", day=day.isoformat())
    return now if day is None or day == today else day_starts(day)
