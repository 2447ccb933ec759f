"""Cases through the API: what looks wrong, what speaks for it, and asking for what two people decide."""

from collections.abc import Callable
from datetime import datetime
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta, Struct

from domain.audit import queries as audit
from domain.audit.approvals import Approval as Asking
from domain.risk import queries
from domain.risk.queries import CaseView
from domain.workflows import freezing
from handlers.web.api.operations import Parameter
from handlers.web.ops.approvals import Approval
from handlers.web.ops.context import BIGGEST_ID, NO_SUCH, REFUSED, Asked, OpsOperation, shaped

STATES = ("waiting", "open", "appealed", "released", "confiscated", "all")
PAGE = 50
_PLACES = (("case_id", "The case's id."),)


class Case(Struct):
    """A suspicion about one person, and what became of it. Money in fen."""

    id: int
    person_id: int
    nickname: str
    rule: str
    reason: Annotated[str, Meta(description="The rule in the words that the person is told.")]
    object: Annotated[str, Meta(description="What it is about, as in buyer:17; one case at a time about each.")]
    effect: Annotated[Literal["hold", "note"], Meta(description="note: nothing waits, only a reviewer is told.")]
    severity: int
    state: Literal["open", "appealed", "released", "confiscated"]
    opened_by: str
    opened_at: datetime
    appealed_at: datetime | None
    answer_due_at: Annotated[datetime | None, Meta(description="Until when the person was promised an answer.")]
    late: bool
    decided_by: str
    decided_at: datetime | None
    lines: Annotated[int, Meta(description="Commission lines in question.")]
    held_fen: int
    released_fen: Annotated[int, Meta(description="Of the lines in question, what was let go before.")]
    confiscated_fen: int


class Step(Struct):
    """One step of a case."""

    at: datetime
    actor: Annotated[str, Meta(description="huitou for a rule, person:<id> for an appeal, else an operator.")]
    what: str
    words: str
    facts: dict[str, Any]


class CaseFile(Struct):
    """A case with what speaks for it (ids only) and its history."""

    case: Case
    evidence: dict[str, list[int]]
    steps: list[Step]


class Cases(Struct):
    """A page. Waiting ones: overdue answers first, then the most severe; others newest first."""

    cases: list[Case]
    next_before: Annotated[int | None, Meta(description=(
        "Send as ?before= for the next page; null at the end. A list of waiting cases has one page of 500."))]


class Reasoned(Struct):
    """Why; kept for ever and not shown to the person."""

    reason: Annotated[str, Meta(min_length=1, max_length=1000)]


def some(asked: Asked) -> Cases:
    state = asked.choice("state", STATES, "waiting")
    person = asked.number("person_id", 0, BIGGEST_ID) or None
    before = asked.number("before", BIGGEST_ID, BIGGEST_ID)
    waiting = state in ("waiting", "open", "appealed")
    found = queries.cases(
        asked.session, asked.now, state="" if state == "all" else state, person_id=person,
        late=asked.choice("late", ("yes", "no"), "no") == "yes",
        before=None if waiting else before, limit=500 if waiting else PAGE,
    )
    more = found[-1].id if not waiting and len(found) == PAGE else None
    return Cases([_case(asked, one) for one in found], more)


def one(asked: Asked) -> CaseFile:
    found = queries.case_file(asked.session, asked.path["case_id"], asked.now)
    steps = [msgspec.convert(step, Step, from_attributes=True) for step in found.steps]
    return CaseFile(_case(asked, found.case), dict(found.evidence), steps)


def freeze(asked: Asked) -> Approval:
    wanted: Reasoned = asked.body
    return _asking(asked, freezing.ask_freeze(asked.session, asked.path["person_id"], wanted.reason, asked.actor,
                                              asked.now))


def release(asked: Asked) -> Approval:
    wanted: Reasoned = asked.body
    return _asking(asked, freezing.ask_decision(asked.session, asked.path["case_id"], "released", wanted.reason,
                                                asked.actor, asked.now))


def confiscate(asked: Asked) -> Approval:
    wanted: Reasoned = asked.body
    return _asking(asked, freezing.ask_decision(asked.session, asked.path["case_id"], "confiscated", wanted.reason,
                                                asked.actor, asked.now))


def _asking(asked: Asked, approval: Asking) -> Approval:
    return msgspec.convert(audit.approval_view(approval, asked.now), Approval, from_attributes=True)


def _case(asked: Asked, view: CaseView) -> Case:
    reason = asked.copy.render(f"risk.reason.{view.rule}")
    return Case(reason=reason, **{name: getattr(view, name) for name in view.__slots__})




def _ask(path: str, name: str, title: str, said: str, call: Callable[[Asked], Approval],
         places: tuple[tuple[str, str], ...] = _PLACES) -> OpsOperation:
    return OpsOperation("POST", path, name, "Risk", title, said, Approval, call, status=201, body=(Reasoned,),
                        read_body=shaped(Reasoned), places=places, refusals=(NO_SUCH, REFUSED))


OPERATIONS = (
    OpsOperation("GET", "/risk/cases", "listRiskCases", "Risk", "What looks wrong",
                 "Waiting cases, or decided ones.", Cases, some,
                 query=(Parameter("state", f"One of {', '.join(STATES)}; waiting if not given."),
                        Parameter("person_id", "Only about this person."),
                        Parameter("late", "yes: only appeals whose promised answer is overdue."),
                        Parameter("before", "next_before of the page before."))),
    OpsOperation("GET", "/risk/cases/<int:case_id>", "getRiskCase", "Risk", "One case",
                 "With what speaks for it and its history.", CaseFile, one, places=_PLACES, refusals=(NO_SUCH,)),
    _ask("/risk/people/<int:person_id>/freeze", "askToFreeze", "Ask to freeze somebody",
         "What they earn waits, nothing is withdrawn. A second person approves (person.freeze).", freeze,
         (("person_id", "The person's id."),)),
    _ask("/risk/cases/<int:case_id>/release", "askToRelease", "Ask to release a case",
         "What it holds goes on with its own dates. A second person approves (person.release).", release),
    _ask("/risk/cases/<int:case_id>/confiscate", "askToConfiscate", "Ask to confiscate",
         "Its commission is taken back for good. A second person approves (person.confiscate).", confiscate),
)
