"""The monthly assessment: who rises to partner, who is warned, who goes back. Bounded pieces, resumable, once a month.

Only the last finished month is judged, however long nobody ran it: streaks are read from the facts, so nothing is lost,
and nobody meets a warning and its consequence in one go.
"""

from collections.abc import Mapping, Sequence
from datetime import date, datetime
from typing import Any, cast

from sqlalchemy import select, text
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from domain.roles import decisions, repurchase, rulebooks, service, volumes
from domain.roles.decisions import ASSESSMENT, Decision
from domain.roles.models import RoleAssessment, RoleGrant
from domain.roles.rulebook import Partner, Rulebook
from domain.roles.rules import (
    ROLES,
    Judgement,
    Kept,
    Notice,
    Record,
    Role,
    Target,
    Warned,
    deadline,
    highest,
    judge,
    later,
    month_of,
    repurchases,
)
from domain.roles.service import Cause
from domain.shared import outbox
from domain.shared.clock import business_date
from domain.shared.errors import DomainError
from domain.shared.outbox import Effect
from domain.shared.records import record

_NEXT = text("""
    select distinct person_id from role_grant where revoked_at is null and person_id > :after
     order by person_id limit :limit
""")


@record
class Progress:
    """How far the assessment of a month is. ``ended``: everybody was judged."""

    month: date
    judged: int
    promoted: int
    warned: int
    demoted: int
    ended: bool


def target_of(book: Rulebook) -> Target | None:
    """What a month must reach for partners, by these rules."""
    rules = book.partner
    return Target(rules.at_least_fen, rules.months, rules.below_months, notice_of(book, "partner")) if rules else None


def kept_of(book: Rulebook) -> Kept | None:
    """What a gold promoter must keep, by these rules."""
    return Kept(book.gold.at_least, notice_of(book, "gold")) if book.gold else None


def notice_of(book: Rulebook, role: Role) -> Notice:
    """How long a warning about a role runs."""
    if role == "gold" and book.gold is not None:
        return Notice(book.gold.grace_months, book.gold.notice_days, book.assessment.day)
    return Notice(1, book.partner.notice_days if book.partner else 0, book.assessment.day)


def due_month(session: Session, now: datetime) -> date | None:
    """The month to judge now: the last one, from the day that the rules name, unless that is done. None: nothing."""
    book = rulebooks.shelf(session).at(now)
    today = business_date(now)
    if book is None or today.day < book.assessment.day:
        return None
    month = later(month_of(today), -1)
    done = session.scalar(select(RoleAssessment.ended_at).where(RoleAssessment.month == month))
    return month if done is None else None


def assess(session: Session, month: date, now: datetime, limit: int) -> Progress:
    """Judge the next ``limit`` people of a month's assessment; call until it ``ended``. Safe to call at once and again.

    Raises DomainError("month_not_last") for any month but the last finished one, ("no_rulebook") without rules.
    """
    if month != later(month_of(business_date(now)), -1):
        raise DomainError("month_not_last", month=month.isoformat())
    book = rulebooks.live(session, now)
    session.execute(insert(RoleAssessment).values(month=month, started_at=now).on_conflict_do_nothing())
    row = session.scalars(select(RoleAssessment).where(RoleAssessment.month == month).with_for_update(),
                          execution_options={"populate_existing": True}).one()
    if row.ended_at is None:
        ids = session.scalars(_NEXT, {"after": row.after_id, "limit": limit}).all()
        if ids:
            _judge_all(session, ids, month, book, now, row)
            row.after_id = ids[-1]
            row.judged += len(ids)
        if len(ids) < limit:
            row.ended_at = now
        session.flush()
    return Progress(month, row.judged, row.promoted, row.warned, row.demoted, row.ended_at is not None)


@record
class _Case:
    """One person with all that the judgement looks at."""

    person_id: int
    record: Record
    held: tuple[str, ...]
    grants: Mapping[str, int]
    """Role → id of the standing grant that the assessment may end."""


def _judge_all(
    session: Session, ids: Sequence[int], month: date, book: Rulebook, now: datetime, row: RoleAssessment
) -> None:
    target, kept = target_of(book), kept_of(book)
    made: list[Decision] = []
    facts: list[Effect] = []
    rising: list[tuple[int, Cause, datetime]] = []
    falling: list[tuple[int, datetime]] = []
    recounted: list[int] = []
    for case in _cases(session, ids, month, book, now):
        verdict = judge(case.record, target, kept, now)
        evidence = _evidence(case.record, book)
        made += _decisions(case, verdict, month, now, evidence)
        facts += _told(case, verdict, month, book, now)
        if verdict.promote:
            rising.append((case.person_id, Cause(ASSESSMENT, f"{month:%Y-%m}", evidence), now))
        if verdict.demote == "partner":
            falling.append((case.grants["partner"], now))
        elif verdict.demote == "gold":
            recounted.append(case.person_id)
    decisions.record(session, made)
    service.grant_many(session, "partner", rising, now)
    service.revoke_many(session, falling, "below_target", now)
    repurchase.recount(session, recounted, now)
    outbox.put(session, facts, now)
    row.promoted += sum(one.what == "promoted" for one in made)
    row.warned += sum(one.what == "warned" for one in made)
    row.demoted += sum(one.what == "demoted" for one in made)


def _cases(session: Session, ids: Sequence[int], month: date, book: Rulebook, now: datetime) -> list[_Case]:
    repurchase.lock(session, ids)
    grants = session.execute(
        select(RoleGrant.person_id, RoleGrant.id, RoleGrant.role, RoleGrant.cause_kind, RoleGrant.granted_at,
               RoleGrant.confirmed_at)
        .where(RoleGrant.person_id.in_(ids), RoleGrant.revoked_at.is_(None))).all()
    months = max(book.partner.months, book.partner.below_months) if book.partner else 0
    sold = volumes.direct_net(session, ids, [later(month, -back) for back in range(months)])
    cut = decisions.counts_after(session, ids, "partner")
    warned = decisions.warnings(session, ids)
    golden = [g.person_id for g in grants if g.cause_kind == repurchase.BY_REPURCHASE and g.confirmed_at is not None]
    bought = repurchase.purchases_of(session, golden, book.gold) if book.gold else {}
    found = []
    for person_id in ids:
        mine = [grant for grant in grants if grant.person_id == person_id]
        held = tuple(grant.role for grant in mine)
        partner = next((g for g in mine if g.role == "partner" and g.cause_kind == ASSESSMENT), None)
        after = month_of(cut[person_id]) if person_id in cut else None
        found.append(_Case(person_id, Record(
            month=month,
            volumes=volumes.newest_first(sold.get(person_id, {}), month, months, after),
            may_rise=_may_rise(held, book.partner),
            partner_since=month_of(business_date(partner.granted_at)) if partner else None,
            gold=repurchases(bought.get(person_id, ()), now) if person_id in golden and book.gold else None,
            warned={role: one for role, one in warned.get(person_id, {}).items() if role in held},
        ), held, {grant.role: grant.id for grant in mine if grant.cause_kind == ASSESSMENT}))
    return found


def _may_rise(held: Sequence[str], rules: Partner | None) -> bool:
    return rules is not None and "partner" not in held and (
        ROLES.index(highest(held)) >= ROLES.index(cast(Role, rules.from_role)))


def _evidence(record: Record, book: Rulebook) -> dict[str, Any]:
    """What the judgement saw, kept with it for whoever asks later."""
    seen: dict[str, Any] = {"rulebook": book.version, "volumes_fen": list(record.volumes)}
    if book.partner is not None:
        seen["at_least_fen"] = book.partner.at_least_fen
    if record.gold is not None:
        seen["repurchases"] = record.gold
    return seen


_REASONS: dict[Role, str] = {"partner": "below_target", "gold": "too_few_repurchases"}


def _decisions(
    case: _Case, verdict: Judgement, month: date, now: datetime, evidence: Mapping[str, Any]
) -> list[Decision]:
    def decision(role: Role, what: decisions.What, reason: str) -> Decision:
        return Decision(case.person_id, role, what, now, reason, month, evidence=evidence)

    made = [decision(role, "warned", _REASONS[role]) for role in verdict.warn]
    made += [decision(role, "calmed", "on_target") for role in verdict.calm]
    if verdict.promote:
        made.append(decision("partner", "promoted", "on_target"))
    if verdict.demote is not None:
        made.append(decision(verdict.demote, "demoted", _REASONS[verdict.demote]))
    return made


def _told(case: _Case, verdict: Judgement, month: date, book: Rulebook, now: datetime) -> list[Effect]:
    """``role.warned`` with what must be done until when, and ``role.calmed``."""
    facts = []
    for role in verdict.warn:
        until = deadline(Warned(now, month), notice_of(book, role))
        payload = {"role": role, "month": month.isoformat(), "until": f"{until}T12:00:00+08:00",
                   "missing_orders": _missing_orders(case.record, book) if role == "gold" else 0,
                   "target_fen": book.partner.at_least_fen if role == "partner" and book.partner else 0,
                   "falls_to": highest(one for one in case.held if one != role)}
        facts.append(Effect("fact", "role.warned", f"role.warned:{case.person_id}:{role}:{month}", case.person_id,
                            payload))
    return facts + [
        Effect("fact", "role.calmed", f"role.calmed:{case.person_id}:{role}:{month}", case.person_id, {"role": role})
        for role in verdict.calm
    ]


def _missing_orders(record: Record, book: Rulebook) -> int:
    return book.gold.at_least - (record.gold or 0) if book.gold else 0
