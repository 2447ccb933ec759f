"""Points that two operators take back: never twice with a return, never below zero, whatever happens at that moment."""

import json
import os
import random
from contextlib import nullcontext
from functools import partial

import pytest
from click.testing import CliRunner
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from bot.runtime.cli import main
from domain.audit import service as audit
from domain.audit.rules import Actor
from domain.ledger import service as ledger
from domain.people import service as people
from domain.points import queries, service
from domain.points.rules import Life
from domain.points.service import Earning
from domain.shared.errors import Conflict, DomainError, NotFound
from domain.workflows import acts, taking_back
from domain.workflows.merging import MOVERS
from tests.integration.people.crowd import PEPPER, crowd, day, mall, openid
from tests.integration.platform.test_rewards_cli import quiet
from tests.integration.points.test_life import Model
from tests.together import in_transactions

__all__ = ["quiet"]
LONG = Life(valid_days=400)
WU, ZHOU = Actor("wu", "operator"), Actor("zhou", "finance")
SEEDS = range(int(os.environ.get("HUITOU_EXAMPLES", "6")))


@pytest.fixture(autouse=True)
def team(session) -> None:
    owner = audit.add_operator(session, "lin", "owner", None, day(0))
    for one in (WU, ZHOU):
        audit.add_operator(session, one.name, one.role, owner, day(0))  # type: ignore[arg-type]
    session.commit()


def earned(session, person: int, points: int, cause: str, at: float = 0.0) -> int:
    """Points that can be spent; the number of their lot."""
    service.earn(session, [Earning(person, points, cause, day(at))], LONG, day(at))
    service.activate(session, day(at))
    return session.execute(text("select id from point_lot where cause = :cause"), {"cause": cause}).scalar_one()


def asked(session, lot: int, points: int | None = None, at: float = 1.0) -> int:
    return taking_back.ask_points(session, lot, points, "given twice", WU, day(at)).id


def approved(session, approval: int, at: float = 1.0) -> None:
    acts.decide(session, approval, True, ZHOU, day(at))


def has(session, person: int, at: float = 2.0) -> tuple[int, int]:
    """(to spend, owed), lots and ledger of one mind."""
    assert queries.disagreements(session) == [] and ledger.check(session).faults == ()
    points = queries.of(session, person, day(at))
    return points.active, points.debt


def test_what_is_there_is_taken_from_its_own_lot(session) -> None:
    (li,) = crowd(session, 1)
    other = earned(session, li, 5, "check_in:1")
    lot = earned(session, li, 10, "gift:1")
    approved(session, asked(session, lot, 4))
    assert has(session, li) == (11, 0)
    assert [(one.id, one.remaining, one.takeable) for one in queries.lots_of(session, li, 9)] == [
        (lot, 6, 6), (other, 5, 5)]
    approved(session, asked(session, lot))
    assert has(session, li) == (5, 0)
    with pytest.raises(Conflict, match="points_nothing_left"):
        asked(session, lot)
    told = session.execute(text("select payload from outbox where kind = 'points.taken' order by id")).scalars().all()
    assert told == [{"points": 4, "owed": 0}, {"points": 6, "owed": 0}]
    log = session.execute(text("select operator, subject, detail ->> 'points' from audit_event"
                               " where act = 'points.take_back' order by id")).all()
    assert [tuple(row) for row in log] == [("zhou", f"point_lot:{lot}", "4"), ("zhou", f"point_lot:{lot}", "6")]


def test_what_was_spent_is_a_debt_that_later_points_repay(session) -> None:
    (li,) = crowd(session, 1)
    lot = earned(session, li, 10, "gift:1")
    service.spend(session, li, 8, "gift", "bought:1", day(1))
    approved(session, asked(session, lot))
    assert has(session, li) == (0, 8)
    earned(session, li, 20, "order:1", at=2)
    assert has(session, li, 3) == (12, 0)


def test_what_waits_for_its_return_window_never_comes(session) -> None:
    (li,) = crowd(session, 1)
    service.earn(session, [Earning(li, 10, "order:1", day(7))], LONG, day(0))
    lot = session.execute(text("select id from point_lot")).scalar_one()
    approved(session, asked(session, lot, 7))
    service.activate(session, day(8))
    assert has(session, li, 8) == (3, 0)


def test_what_ran_out_unused_is_not_asked_for(session) -> None:
    (li,) = crowd(session, 1)
    lot = earned(session, li, 10, "gift:1")
    service.spend(session, li, 4, "gift", "bought:1", day(1))
    with pytest.raises(DomainError, match="points_too_many"):
        asked(session, lot, 11)
    waiting = asked(session, lot, 10, at=398)
    service.expire(session, day(401))
    approved(session, waiting, 402)
    assert has(session, li, 402) == (0, 4), "six ran out between the question and the answer"
    with pytest.raises(NotFound):
        asked(session, lot + 1)


@pytest.mark.parametrize("refund_first", [True, False])
def test_a_return_and_an_operator_take_it_once(session, refund_first: bool) -> None:
    (li,) = crowd(session, 1)
    lot = earned(session, li, 10, "repurchase:1:0")
    earned(session, li, 7, "check_in:1")
    waiting = asked(session, lot, 6)
    if refund_first:
        service.reverse(session, "repurchase:1:0", 10, "refund:1", day(1))
        with pytest.raises(Conflict, match="points_nothing_left"), session.begin_nested():
            approved(session, waiting)
    else:
        approved(session, waiting)
        service.reverse(session, "repurchase:1:0", 10, "refund:1", day(1))
    assert has(session, li) == (7, 0)


def test_a_return_an_operator_and_spendings_at_once(session, engine) -> None:
    """Whatever comes first, what was given is gone once: spent points are the only debt."""
    for turn in range(6):
        (li,) = crowd(session, 1, day(turn))
        cause = f"repurchase:{turn}:0"
        lot = earned(session, li, 10, cause)
        earned(session, li, 5, f"check_in:{turn}")
        waiting = asked(session, lot)
        session.commit()
        answers = in_transactions(engine, *[
            lambda own, number=waiting: approved(own, number),
            lambda own, of=cause, n=turn: service.reverse(own, of, 10, f"refund:{n}", day(1)),
            *(partial(lambda own, n, turn, li: service.spend(own, li, 3, "gift", f"new:{turn}:{n}", day(1)),
                      n=n, turn=turn, li=li) for n in range(4))])
        faults = [one for one in answers if isinstance(one, BaseException)]
        assert all(isinstance(one, DomainError) and one.code in ("points_short", "points_nothing_left")
                   for one in faults), faults
        bought = sum(answer is True for answer in answers[2:]) * 3
        active, debt = has(session, li)
        assert active - debt == 5 - bought
        session.commit()


def test_two_people_who_become_one_meanwhile(session, engine) -> None:
    one, two = people.resolve_many(session, [[openid("oOne")], [mall("two")]], day(0), pepper=PEPPER)
    lot = earned(session, two, 10, "gift:1")
    earned(session, one, 4, "gift:2")
    waiting = asked(session, lot)
    session.commit()
    kept, done = in_transactions(engine, *[
        lambda own: people.resolve_many(own, [[openid("oOne"), mall("two")]], day(1), pepper=PEPPER, movers=MOVERS)[0],
        lambda own: approved(own, waiting)])
    if isinstance(done, BaseException):  # the merge was first, and the database refused the one who is gone
        assert ledger.merged_meanwhile(done), done
        approved(session, waiting)
    assert isinstance(kept, int) and has(session, kept) == (4, 0)


@pytest.mark.parametrize("attack", [
    "insert into point_taking select approval_id + 1, lot_id, 1, 0, at from point_taking",
    "insert into point_taking select :free, lot_id, 1, 0, at from point_taking",
    "insert into point_taking select :other, lot_id, 1, 0, at from point_taking",
    "update point_taking set points = 1", "delete from point_taking", "truncate point_taking",
    "update point_lot set reversed = amount + 1",
    "insert into point_move (lot_id, kind, delta, idem, at) select lot_id, kind, delta, idem, at from point_move"
    " where kind = 'take'",
])
def test_the_database_refuses(session, attack: str) -> None:
    """Without an approval, with one that is open, more than is taken back, twice under one name, and any change."""
    (li,) = crowd(session, 1)
    lot, another = earned(session, li, 10, "gift:1"), earned(session, li, 10, "gift:2")
    approved(session, asked(session, lot))
    approved(session, other := asked(session, another, 5))
    free = asked(session, another, 5)
    session.commit()
    with pytest.raises(DBAPIError):
        session.execute(text(attack), {"free": free, "other": other} if ":" in attack else {})


@pytest.mark.parametrize(("points", "allowed"), [(4, True), (5, False)])
def test_no_row_says_more_points_than_two_people_agreed_to(session, points: int, allowed: bool) -> None:
    (li,) = crowd(session, 1)
    lot = earned(session, li, 10, "order:1")
    agreed = asked(session, lot, 4)
    service.reverse(session, "order:1", 10, "refund:1", day(1))
    session.execute(text("update approval set state = 'approved', decided_by = 'zhou', decided_at = asked_at"))
    session.commit()
    row = text("insert into point_taking select :id, :lot, :points, 0, asked_at from approval")
    with nullcontext() if allowed else pytest.raises(DBAPIError, match="nobody approved"):
        session.execute(row, {"id": agreed, "lot": lot, "points": points})


@pytest.mark.parametrize("seed", SEEDS)
def test_random_lives_agree_with_the_model(session, seed: int) -> None:
    """Earning, spending, whole returns and hands, in any order; asked in one moment and approved in another."""
    dice, model = random.Random(seed), Model()
    (li,) = crowd(session, 1)
    lots: dict[str, list[int]] = {}
    waiting: list[tuple[int, str, int]] = []
    for step in range(30):
        act = dice.choice(("earn", "earn", "spend", "return", "ask", "approve", "approve"))
        some = dice.choice(sorted(lots)) if lots else ""
        if act == "earn":
            n, cause = dice.randint(1, 20), f"order:{step:03}"
            lots[cause] = [n, 0, earned(session, li, n, cause)]
            model.come(n, cause, 0)
        elif act == "spend" and (n := dice.randint(1, 15)) <= len(model.points):
            service.spend(session, li, n, "gift", f"bought:{step}", day(1))
            model.take(n)
        elif act == "return" and some:
            n, back, _ = lots[some]
            service.reverse(session, some, n, f"refund:{step}", day(1))
            model.take(n - back, first=some)
            lots[some][1] = n
        elif act == "ask" and some and lots[some][1] < lots[some][0] and some not in [one for _, one, _ in waiting]:
            n = dice.randint(1, lots[some][0] - lots[some][1])
            waiting.append((asked(session, lots[some][2], n), some, lots[some][1] + n))
        elif act == "approve" and waiting:
            number, cause, target = waiting.pop(dice.randrange(len(waiting)))
            more = target - lots[cause][1]
            if more > 0:
                approved(session, number)
                model.take(more, first=cause)
                lots[cause][1] = target
            else:
                with pytest.raises(Conflict), session.begin_nested():
                    approved(session, number)
        assert has(session, li) == (len(model.points), model.debt), (seed, step, act)


def test_at_the_terminal(session, database_url: str, valkey_url: str, tmp_path) -> None:
    (li,) = crowd(session, 1)
    lot = earned(session, li, 10, "gift:1")
    session.commit()
    env = {"HUITOU_HOME": str(tmp_path), "DATABASE_URL": database_url, "REDIS_URL": valkey_url}

    def run(*words: str, expect: int = 0) -> str:
        result = CliRunner().invoke(main, list(words), env=env)
        assert result.exit_code == expect, result.output
        return result.output

    (found,) = json.loads(run("points", "list", str(li), "--json"))["lots"]
    assert (found["id"], found["takeable"], found["cause"]) == (lot, 10, "gift:1")
    most = run("points", "take-back", str(lot), "--points", "11", "--reason", "x", "--as", "wu", expect=1)
    assert "最多还能收回 10" in most
    told = json.loads(run("points", "take-back", str(lot), "--points", "4", "--reason", "x", "--as", "wu", "--json"))
    assert told["act"] == "points.take_back"
    run("approvals", "approve", str(told["approval"]), "--as", "wu", expect=1)
    run("approvals", "approve", str(told["approval"]), "--as", "zhou")
    assert f"person {li}: 6 to spend, 0 to come, 0 owed" in (shown := run("points", "list", str(li)))
    assert "left 6, back 4, expired 0  gift:1" in shown
    assert "waits for a second person" in run("points", "take-back", str(lot), "--reason", "x", "--as", "wu")
    assert "没有编号为 99 的积分记录" in run("points", "take-back", "99", "--reason", "x", "--as", "wu", expect=1)
    run("points", "list", "999999", expect=1)
