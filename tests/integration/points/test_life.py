"""Points against a model that keeps single points in a list, under refunds, expiry, undone spendings and races."""

import os
import random
from datetime import timedelta

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from domain.ledger import service as ledger
from domain.people import service as people
from domain.points import queries, service
from domain.points.rules import CheckInRule, Life
from domain.points.service import Earning
from domain.shared.errors import Conflict, DomainError
from domain.workflows.merging import MOVERS
from tests.conftest import MORNING
from tests.integration.people.crowd import PEPPER, crowd, day, mall, openid
from tests.together import in_transactions

LIFE = Life(valid_days=30, warn_days=7, return_days=14)


def earned(session, person: int, points: int, cause: str, at: float = 0.0, active: float | None = None) -> None:
    when = day(at if active is None else active)
    service.earn(session, [Earning(person, points, cause, when)], LIFE, day(at))
    service.activate(session, day(at))


def active(session, person: int, at: float) -> int:
    return queries.of(session, person, day(at)).active


def test_points_wait_for_the_return_window(session) -> None:
    (li,) = crowd(session, 1)
    earned(session, li, 10, "order:1", at=0, active=7)
    points = queries.of(session, li, day(1))
    assert (points.active, points.coming, points.coming_at) == (0, 10, day(7))
    service.activate(session, day(7))
    assert (active(session, li, 7), queries.disagreements(session)) == (10, [])


def test_a_return_in_the_window_leaves_nothing_behind(session) -> None:
    (li,) = crowd(session, 1)
    earned(session, li, 10, "order:1", at=0, active=7)
    assert service.reverse(session, "order:1", 3, "refund:1", day(1)) == 3
    assert service.reverse(session, "order:1", 10, "refund:2", day(2)) == 7
    service.activate(session, day(8))
    points = queries.of(session, li, day(8))
    assert (points.active, points.coming, points.debt) == (0, 0, 0)


def test_buy_spend_refund_keeps_no_points(session) -> None:
    (li,) = crowd(session, 1)
    earned(session, li, 10, "order:1")
    service.spend(session, li, 8, "gift", "gift:1", day(1))
    assert service.reverse(session, "order:1", 10, "refund:1", day(2)) == 10
    assert (active(session, li, 2), queries.of(session, li, day(2)).debt) == (0, 8)
    earned(session, li, 20, "order:2", at=3)
    assert (active(session, li, 3), queries.of(session, li, day(3)).debt) == (12, 0)
    assert queries.disagreements(session) == []


def test_a_return_takes_other_points_before_it_makes_a_debt(session) -> None:
    (li,) = crowd(session, 1)
    earned(session, li, 10, "order:1")
    earned(session, li, 5, "check_in:1", at=1)
    service.spend(session, li, 10, "gift", "gift:1", day(2))  # all of the first lot
    service.reverse(session, "order:1", 10, "refund:1", day(3))
    points = queries.of(session, li, day(3))
    assert (points.active, points.debt) == (0, 5)


def test_thirds_come_back_exactly_and_once(session) -> None:
    (li,) = crowd(session, 1)
    earned(session, li, 10, "order:1")
    for back in (3, 3, 7, 10, 10, 4):
        service.reverse(session, "order:1", back, f"refund:{back}", day(1))
    assert active(session, li, 1) == 0
    assert queries.disagreements(session) == []


def test_an_undone_spending_returns_to_its_lots_with_time_to_use_it(session) -> None:
    (li,) = crowd(session, 1)
    earned(session, li, 10, "order:1")
    service.spend(session, li, 10, "gift", "gift:1", day(29))
    service.expire(session, day(31))
    assert service.undo(session, "gift:1", 4, "cancel:1", LIFE, day(40)) == 4
    assert service.undo(session, "gift:1", 4, "cancel:1", LIFE, day(40)) == 0
    assert active(session, li, 53) == 4
    service.expire(session, day(54))
    assert active(session, li, 54) == 0
    assert queries.disagreements(session) == []


def test_an_undone_spending_pays_a_debt_first(session) -> None:
    (li,) = crowd(session, 1)
    earned(session, li, 10, "order:1")
    service.spend(session, li, 10, "gift", "gift:1", day(1))
    service.reverse(session, "order:1", 10, "refund:1", day(2))
    service.undo(session, "gift:1", 10, "cancel:1", LIFE, day(3))
    points = queries.of(session, li, day(3))
    assert (points.active, points.debt, queries.disagreements(session)) == (0, 0, [])


def test_expired_points_cannot_be_spent_even_before_the_job_ran(session) -> None:
    (li,) = crowd(session, 1)
    earned(session, li, 10, "order:1")
    with pytest.raises(DomainError, match="points_short"):
        service.spend(session, li, 1, "gift", "gift:1", day(30))
    session.rollback()


def test_the_same_fact_spends_once_and_says_no_to_another_content(session) -> None:
    (li,) = crowd(session, 1)
    earned(session, li, 10, "order:1")
    assert service.spend(session, li, 4, "gift", "gift:1", day(1))
    assert not service.spend(session, li, 4, "gift", "gift:1", day(1))
    with pytest.raises(Conflict):
        service.spend(session, li, 5, "gift", "gift:1", day(1))


def test_fifty_threads_spend_one_balance(session, engine) -> None:
    (li,) = crowd(session, 1)
    for n in range(5):
        earned(session, li, 7, f"order:{n}")
    session.commit()
    answers = in_transactions(engine, *[
        lambda own, n=n: service.spend(own, li, 3, "gift", f"gift:{n}", day(1)) for n in range(50)])
    assert sum(answer is True for answer in answers) == 35 // 3
    assert all(answer is True or (isinstance(answer, DomainError) and answer.code == "points_short")
               for answer in answers)
    assert (active(session, li, 1), queries.disagreements(session)) == (2, [])


def test_expiry_races_with_spending(session, engine) -> None:
    (li,) = crowd(session, 1)
    earned(session, li, 10, "order:1")
    earned(session, li, 10, "order:2", at=20)
    session.commit()
    in_transactions(engine, *[
        lambda own, n=n: service.spend(own, li, 4, "gift", f"gift:{n}", day(29)) if n % 2 else
        service.expire(own, day(31)) for n in range(10)])
    assert queries.disagreements(session) == []
    assert ledger.check(session).balanced


def test_two_check_ins_at_once_count_once(session, engine) -> None:
    (li,) = crowd(session, 1)
    answers = in_transactions(engine, *[lambda own: service.check_in(own, li, CheckInRule(), LIFE, MORNING)] * 8)
    assert sum(answer is not None for answer in answers) == 1
    assert active(session, li, 0) == 1


def test_a_merge_adds_points_and_pays_debts(session) -> None:
    (one,), (two,) = (people.resolve_many(session, [[ref]], MORNING, pepper=PEPPER)
                      for ref in (openid("oOne"), mall("two")))
    earned(session, one, 10, "order:1")
    service.spend(session, one, 10, "gift", "gift:1", day(1))
    service.reverse(session, "order:1", 10, "refund:1", day(1))
    earned(session, two, 25, "order:2")
    for person in (one, two):
        service.check_in(session, person, CheckInRule(), LIFE, MORNING)
    (kept,) = people.resolve_many(session, [[openid("oOne"), mall("two")]], day(2), pepper=PEPPER, movers=MOVERS)
    points = queries.of(session, kept, day(2))
    assert (points.active, points.debt, queries.disagreements(session)) == (25 - 10 + 2, 0, [])
    assert ledger.check(session).balanced


def test_one_warning_a_week_says_the_whole_sum_and_its_days(session) -> None:
    """Somebody who earns a few points every day, for six weeks: not one message a day, and never of almost nothing."""
    li, wang = crowd(session, 2)
    for n in range(42):
        earned(session, li, 8, f"day:{n}", at=n)
        earned(session, wang, 1, f"tiny:{n}", at=n)
    told = []
    for n in range(75):
        service.expire(session, day(n))
        if service.warn(session, LIFE, day(n)):
            rows = session.execute(text("select payload, person_id from outbox where kind = 'points.expiring'"
                                        " order by id desc limit 1")).one()
            told.append((n, rows.payload))
            assert rows.person_id == li
            within = session.execute(text("select sum(remaining) from point_lot where person_id = :li"
                                          " and state = 'active' and expires_at <= :until"),
                                     {"li": li, "until": day(n + 7)}).scalar_one()
            assert rows.payload["points"] == within >= LIFE.warn_from
            assert rows.payload["day"] < rows.payload["until"]
    assert 5 <= len(told) <= 8
    assert len({payload["week"] for _, payload in told}) == len(told)
    assert sum(payload["points"] for _, payload in told) >= 8 * 42 * 0.8, "hardly anything expires unheard"


def test_many_points_at_once_are_told_of_seven_days_before(session) -> None:
    (li,) = crowd(session, 1)
    earned(session, li, 100, "order:1")
    assert [service.warn(session, LIFE, day(at)) for at in (20, 22.5, 23, 23.5)] == [0, 0, 1, 0]


@pytest.mark.parametrize("attack", [
    "update point_move set delta = 1", "delete from point_lot", "update point_lot set amount = 99",
    "update point_lot set remaining = 99", "truncate point_move",
    "insert into point_lot (person_id, cause, amount, remaining, state, earned_at, active_at, expires_at)"
    " select person_id, 'x', -5, 0, 'pending', now(), now(), now() + interval '1 day' from point_lot",
])
def test_the_database_refuses(session, attack: str) -> None:
    (li,) = crowd(session, 1)
    earned(session, li, 10, "order:1")
    session.commit()
    with pytest.raises(DBAPIError):
        session.execute(text(attack))


class Model:
    """Single points: (lot, expires) of what can be spent, and a debt."""

    def __init__(self) -> None:
        self.points: list[tuple[float, str]] = []
        self.debt = 0

    def come(self, n: int, lot: str, until: float) -> None:
        repaid = min(n, self.debt)
        self.debt -= repaid
        self.points += [(until, lot)] * (n - repaid)

    def take(self, n: int, first: str = "") -> None:
        self.points.sort(key=lambda one: (one[1] != first, one))
        self.debt += max(0, n - len(self.points))
        self.points = self.points[n:]


SEEDS = range(int(os.environ.get("HUITOU_EXAMPLES", "12")))


@pytest.mark.parametrize("seed", SEEDS)
def test_random_lives_agree_with_the_model(session, seed: int) -> None:
    """Earning, spending, returning and expiry in any order. (Undone spendings have tests of their own.)"""
    dice, model = random.Random(seed), Model()
    (li,) = crowd(session, 1)
    lots: dict[str, tuple[int, int]] = {}
    now = 0.0
    for step in range(40):
        now += dice.random() * 3
        model.points = [one for one in model.points if one[0] > now]
        service.expire(session, day(now))
        act = dice.choice(("earn", "earn", "spend", "return"))
        if act == "earn":
            n, cause = dice.randint(1, 20), f"order:{step:03}"
            earned(session, li, n, cause, at=now)
            lots[cause] = (n, 0)
            model.come(n, cause, now + LIFE.valid_days)
        elif act == "spend":
            n = dice.randint(1, 15)
            if n <= len(model.points):
                service.spend(session, li, n, "gift", f"gift:{step}", day(now))
                model.take(n)
        elif lots:
            cause = dice.choice(sorted(lots))
            n, back = lots[cause]
            target = dice.randint(back, n)
            service.reverse(session, cause, target, f"refund:{step}", day(now))
            lots[cause] = (n, target)
            model.take(target - back, first=cause)
        points = queries.of(session, li, day(now))
        assert (points.active, points.debt) == (len(model.points), model.debt), (seed, step, act)
    assert queries.disagreements(session) == []
    assert ledger.check(session).balanced


def test_time_never_makes_points(session) -> None:
    (li,) = crowd(session, 1)
    earned(session, li, 10, "order:1")
    for n in range(5):
        service.activate(session, day(n))
        service.expire(session, day(n) - timedelta(days=1))
    assert active(session, li, 5) == 10
