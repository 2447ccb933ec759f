"""Everything that can happen to points, at once: whatever the order, lots, moves and balance agree."""

import random
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest
from sqlalchemy import Engine
from sqlalchemy.orm import Session

from domain.ledger import service as ledger
from domain.people import service as people
from domain.points import queries, service
from domain.points.rules import CheckInRule
from domain.shared.errors import DomainError
from domain.workflows import programme, quiz
from domain.workflows.merging import MOVERS
from domain.workflows.quiz import Question, Quiz
from tests.integration.people.crowd import crowd, order
from tests.integration.people.test_programme import OFFERS, RULES
from tests.integration.points.test_life import LIFE, active, day, earned
from tests.together import in_transactions, until_waiting


def test_16_fifty_random_acts_at_once_keep_every_sum(session, engine) -> None:
    """Two lots of which one expires while it is spent from; spendings are undone before, during and after its end."""
    dice = random.Random(16)
    (li,) = crowd(session, 1)
    earned(session, li, 40, "order:1")
    earned(session, li, 40, "order:2", at=20)
    for n in range(6):
        service.spend(session, li, 3, "gift", f"gift:{n}", day(21))
    session.commit()

    def act(kind: str, n: int, at: float):
        if kind == "spend":
            return lambda own: service.spend(own, li, 1 + n % 5, "gift", f"new:{n}", day(at))
        if kind == "undo":
            return lambda own: service.undo(own, f"gift:{n % 6}", 3, f"cancel:{n % 6}", LIFE, day(at))
        if kind == "reverse":
            return lambda own: service.reverse(own, f"order:{1 + n % 2}", 2, f"refund:{n}", day(at))
        return lambda own: service.expire(own, day(at))

    kinds = [*("spend",) * 22, *("undo",) * 14, *("reverse",) * 6, *("expire",) * 8]
    dice.shuffle(kinds)
    answers = in_transactions(engine, *[act(kind, n, dice.choice((28, 29, 31, 33))) for n, kind in enumerate(kinds)])
    faults = [one for one in answers if isinstance(one, BaseException)]
    assert all(isinstance(one, DomainError) and one.code == "points_short" for one in faults), faults
    assert queries.disagreements(session) == [] and ledger.check(session).balanced
    service.expire(session, day(400))
    assert active(session, li, 400) == 0 and queries.disagreements(session) == [], "time leaves nothing behind"


def _answers(own: Session, person: int) -> object:
    question = Question("?", ("yes", "no"), 1, "")
    return quiz.answer(own, person, Quiz(10, (question,)), question, 1, LIFE, day(2))


def _comes(own: Session, person: int) -> object:
    return service.check_in(own, person, CheckInRule(points=10), LIFE, day(2))


def _is_given(own: Session, person: int) -> object:
    """By a journey, for a picked word or picture, as the prize of a free draw."""
    return service.give(own, person, 10, "grant:1", LIFE, day(2))


def _came_back(own: Session, person: int) -> object:
    """Three orders that nobody can return any more are counted for the first time: twice 5 points."""
    for n in range(3):
        order(own, person, f"A{n}", n - 30)
    programme.recount(own, [person], RULES, OFFERS, LIFE, day(2))
    return True


@pytest.mark.parametrize("what", [_answers, _comes, _is_given, _came_back])
def test_points_that_are_given_repay_the_debt_that_a_worker_is_about_to_make(session, engine, what) -> None:
    """The gift waits for the worker: neither sees a person without a debt and leaves them with points besides it."""
    (li,) = crowd(session, 1)
    _meets_a_debt(session, engine, li, lambda own: what(own, li))


def test_points_for_whoever_was_merged_away_repay_the_debt_that_a_worker_is_about_to_make(session, engine) -> None:
    """Whoever was asked for is somebody else by now: the turn to wait for is at the one who was kept."""
    li, twin = crowd(session, 2)
    assert not people.merge(session, li, twin, "one phone", day(0), MOVERS).conflict
    _meets_a_debt(session, engine, li, lambda own: _comes(own, twin))


def _meets_a_debt(session: Session, engine: Engine, li: int, message: Callable[[Session], object]) -> None:
    """``message`` (10 points) arrives when a worker has made a debt of 40, and not committed it yet."""
    earned(session, li, 40, "order:1")
    service.spend(session, li, 40, "gift", "gift:1", day(1))
    session.commit()

    def speaks() -> None:
        with Session(engine) as own, own.begin():
            assert message(own)

    with ThreadPoolExecutor(1) as pool:
        assert service.reverse(session, "order:1", 40, "refund:1", day(2)) == 40
        heard = pool.submit(speaks)
        assert until_waiting(engine, ended=heard.done)
        session.commit()
        heard.result(20)
    left = queries.of(session, li, day(2))
    assert (left.active, left.debt) == (0, 30) and queries.disagreements(session) == []
