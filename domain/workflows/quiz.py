"""问答: one question a day for everybody, one answer a day for each, a few points for a right one. Nobody must buy."""

import tomllib
from datetime import datetime

import msgspec
from msgspec import Struct
from sqlalchemy.orm import Session

from domain.journeys import occasions
from domain.journeys.occasions import Occasion
from domain.points import service as points
from domain.points.rules import Life
from domain.shared.clock import business_date
from domain.shared.errors import DomainError
from domain.shared.records import record

ANSWERED = "quiz.answered"
MOST_POINTS = 100


class Question(Struct, frozen=True, forbid_unknown_fields=True):
    """``right``: the number of the right choice, from 1; ``because``: said to everybody who answered."""

    ask: str
    choices: tuple[str, ...]
    right: int
    because: str


class Quiz(Struct, frozen=True, forbid_unknown_fields=True):
    """assets/quiz.toml. The questions come one after the other, a day each, and then again."""

    points: int
    question: tuple[Question, ...]

    def of(self, now: datetime) -> Question | None:
        """Today's; None when the shop asks nothing."""
        return self.question[business_date(now).toordinal() % len(self.question)] if self.question else None


@record
class Answered:
    """``first``: it counted; whoever answered before today only hears the answer again."""

    first: bool
    right: bool
    points: int


def load(toml: str) -> Quiz:
    """Raises DomainError("quiz_invalid", faults=[…])."""
    try:
        found = msgspec.convert(tomllib.loads(toml), Quiz, strict=True)
    except (tomllib.TOMLDecodeError, msgspec.ValidationError) as fault:
        raise DomainError("quiz_invalid", faults=[str(fault)]) from fault
    faults = [] if 0 <= found.points <= MOST_POINTS else [f"points: 0 to {MOST_POINTS}"]
    for number, one in enumerate(found.question, 1):
        if not (one.ask and one.because and 2 <= len(one.choices) <= 5 and all(one.choices)):
            faults.append(f"question {number}: ask, because, and 2 to 5 choices")
        if not 1 <= one.right <= len(one.choices):
            faults.append(f"question {number}: right is the number of a choice")
    if faults:
        raise DomainError("quiz_invalid", faults=faults)
    return found


def answered_today(session: Session, person_id: int, now: datetime) -> bool:
    return occasions.told_to(session, ANSWERED, person_id, f"{business_date(now)}")


def answer(session: Session, person_id: int, quiz: Quiz, question: Question, choice: int, life: Life,
           now: datetime) -> Answered:
    """Take an answer: the first of the day counts, whatever comes at the same time. Journeys hear of it."""
    day, right = f"{business_date(now)}", choice == question.right
    if not occasions.tell(session, ANSWERED, [Occasion(person_id, day, {"day": day, "right": right})], now):
        return Answered(False, right, 0)
    won = quiz.points if right else 0
    if won:
        points.give(session, person_id, won, f"quiz:{person_id}:{day}", life, now)
    return Answered(True, right, won)
