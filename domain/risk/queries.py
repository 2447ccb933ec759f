"""Reading cases: for reviewers, and for the person whose money waits."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Row, func, select, text
from sqlalchemy.orm import Session

from domain.risk.models import RiskCase, RiskStep
from domain.shared.errors import NotFound
from domain.shared.records import record

WAITING = ("open", "appealed")

_MONEY = text("""
    select l.case_id, count(*) as lines,
           coalesce(sum(c.amount_fen - c.clawed_fen) filter (where c.held_at is not null), 0)::bigint as held,
           coalesce(sum(c.amount_fen - c.clawed_fen) filter (where c.released_at is not null), 0)::bigint as released,
           coalesce(sum(c.amount_fen) filter (where c.confiscated_at is not null), 0)::bigint as confiscated
      from risk_line l join commission_line c on c.id = l.line_id where l.case_id = any (:cases) group by 1
""")


@dataclass(frozen=True, slots=True)
class CaseView:
    """A case in a list. ``held_fen`` waits; ``released_fen`` was let go before; ``confiscated_fen`` was taken.

    ``state``: open, appealed, released, confiscated. ``late``: an answer was promised and is overdue.
    """

    id: int
    person_id: int
    nickname: str
    rule: str
    object: str
    effect: str
    severity: int
    state: str
    opened_by: str
    opened_at: datetime
    appealed_at: datetime | None
    answer_due_at: datetime | None
    late: bool
    decided_by: str
    decided_at: datetime | None
    lines: int
    held_fen: int
    released_fen: int
    confiscated_fen: int


@record
class StepView:
    """One step. ``actor``: huitou for a rule, ``person:<id>`` for whoever appealed, else an operator."""

    at: datetime
    actor: str
    what: str
    words: str
    facts: Mapping[str, Any]


@record
class CaseFile:
    """A case with everything that a reviewer needs. ``evidence`` holds ids only."""

    case: CaseView
    evidence: Mapping[str, Any]
    steps: tuple[StepView, ...]


@record
class Doubt:
    """The case that a line waits for or was taken by."""

    case_id: int
    rule: str


_DOUBTS = text("""
    select distinct on (c.id) c.id as line_id, k.id as case_id, k.rule
      from (select line_id, case_id from risk_line where line_id = any (:lines)
             union all
            select l.id, f.id from commission_line l join risk_case f on f.person_id = l.beneficiary_id
             where l.id = any (:lines) and f.rule = 'freeze' and f.state <> 'released') found
      join commission_line c on c.id = found.line_id join risk_case k on k.id = found.case_id
     where (c.held_at is not null and k.state in ('open', 'appealed'))
        or (c.confiscated_at is not null and k.state = 'confiscated')
     order by c.id, k.id
""")


def doubts(session: Session, line_ids: Collection[int]) -> dict[int, Doubt]:
    """By line, for those that are held or were confiscated: the case that waits, or by which it was taken."""
    if not line_ids:
        return {}
    rows = session.execute(_DOUBTS, {"lines": list(line_ids)})
    return {row.line_id: Doubt(row.case_id, row.rule) for row in rows}


def cases(
    session: Session, now: datetime, *, state: str = "waiting", person_id: int | None = None, late: bool = False,
    before: int | None = None, limit: int = 50,
) -> list[CaseView]:
    """Cases, overdue answers first, then the most severe, then the oldest; decided ones newest first.

    ``state``: waiting (open and appealed), one of the four, or '' for all. ``before`` continues a list of all or of
    decided ones after that id.
    """
    wanted: list[ColumnElement[bool]] = []
    if state:
        wanted.append(RiskCase.state.in_(WAITING if state == "waiting" else (state,)))
    if person_id is not None:
        wanted.append(RiskCase.person_id == person_id)
    if late:
        wanted += [RiskCase.state == "appealed", RiskCase.answer_due_at < now]
    if before is not None:
        wanted.append(RiskCase.id < before)
    urgent = (
        func.coalesce(RiskCase.answer_due_at < now, False).desc(), RiskCase.severity.desc(), RiskCase.opened_at,
        RiskCase.id,
    )
    order = urgent if state in ("waiting", *WAITING) and before is None else (RiskCase.id.desc(),)
    rows = session.scalars(select(RiskCase).where(*wanted).order_by(*order).limit(limit),
                           execution_options={"populate_existing": True}).all()
    return _views(session, rows, now)


def case_file(session: Session, case_id: int, now: datetime) -> CaseFile:
    """One case. Raises NotFound("case_unknown")."""
    found = session.get(RiskCase, case_id, populate_existing=True) if 0 < case_id < 2**63 else None
    if found is None:
        raise NotFound("case_unknown", id=case_id)
    steps = session.scalars(select(RiskStep).where(RiskStep.case_id == case_id).order_by(RiskStep.id))
    return CaseFile(
        _views(session, [found], now)[0], found.evidence,
        tuple(StepView(step.at, step.actor, step.what, step.words, step.facts) for step in steps),
    )


def anything_held(session: Session, person_id: int) -> bool:
    """Whether the person has something to object to."""
    one = select(RiskCase.id).where(RiskCase.person_id == person_id, RiskCase.effect == "hold",
                                    RiskCase.state.in_(WAITING))
    return session.execute(one.limit(1)).first() is not None


def _views(session: Session, rows: Any, now: datetime) -> list[CaseView]:
    money: dict[int, Row[Any]] = {
        row.case_id: row for row in session.execute(_MONEY, {"cases": [row.id for row in rows]})}
    people = [row.person_id for row in rows]
    named = session.execute(text("select id, nickname from person where id = any (:people)"), {"people": people})
    names: dict[int, str] = {row.id: row.nickname for row in named}
    return [
        CaseView(
            row.id, row.person_id, names[row.person_id], row.rule, row.object, row.effect, row.severity, row.state,
            row.opened_by, row.opened_at, row.appealed_at, row.answer_due_at,
            row.state == "appealed" and row.answer_due_at is not None and row.answer_due_at < now,
            row.decided_by, row.decided_at, *_sums(money.get(row.id)),
        )
        for row in rows
    ]


def _sums(row: Row[Any] | None) -> tuple[int, int, int, int]:
    return (0, 0, 0, 0) if row is None else (row.lines, row.held, row.released, row.confiscated)
