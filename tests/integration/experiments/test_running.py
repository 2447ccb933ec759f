"""Experiments on the database: sticky arms, honest readings, harm that ends one, and what the database refuses."""

from datetime import timedelta

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from domain.experiments import queries, rules, service
from domain.notices import service as notices
from domain.people import service as people
from domain.shared.errors import Conflict, DomainError
from domain.workflows.merging import MOVERS
from tests.conftest import MORNING
from tests.integration.people.crowd import PEPPER, crowd, mall, openid, order
from tests.together import in_transactions

TOML = """
key = "restock"
title = "补货提醒"
surface = "copy"
min_people = 20
{more}
[goal]
metric = "{metric}"
[[arms]]
name = "zz-plain"
weight = 50
[[arms]]
name = "coupon"
weight = 50
[[guards]]
metric = "opt_out"
worse_by = 500
"""


def running(session, metric: str = "order", more: str = "") -> str:
    service.create(session, rules.load(TOML.format(metric=metric, more=more)), MORNING)
    service.start(session, "restock", MORNING)
    session.commit()
    return "restock"


def shown(session, key: str, n: int) -> dict[str, list[int]]:
    """``n`` new people by the arm they were given."""
    found: dict[str, list[int]] = {"zz-plain": [], "coupon": []}
    for person, arm in service.assign(session, key, crowd(session, n), MORNING).items():
        found[arm].append(person)
    session.commit()
    return found


def test_weights_may_change_and_nobody_moves(session) -> None:
    key = running(session)
    people_of = shown(session, key, 60)
    service.reweigh(session, key, {"coupon": 90, "zz-plain": 10}, MORNING + timedelta(days=1))
    everybody = people_of["zz-plain"] + people_of["coupon"]
    again = service.assign(session, key, everybody, MORNING + timedelta(days=2))
    assert again == {p: arm for arm, members in people_of.items() for p in members}
    assert queries.read(session, key, MORNING + timedelta(days=2)).srm_p > rules.SRM_ALARM


def test_two_workers_expose_a_person_once(session, engine) -> None:
    key = running(session)
    group = crowd(session, 30)
    answers = in_transactions(engine, *[lambda own: service.assign(own, key, group, MORNING)] * 4)
    assert all(answer == answers[0] for answer in answers)
    assert session.execute(text("select count(*) from exposure")).scalar_one() == 30


def test_a_merged_person_keeps_the_earlier_arm(session) -> None:
    key = running(session)
    (one,), (two,) = (people.resolve_many(session, [[ref]], MORNING, pepper=PEPPER)
                      for ref in (openid("oOne"), mall("two")))
    later = service.assign(session, key, [one], MORNING + timedelta(hours=1))
    first = service.assign(session, key, [two], MORNING)
    (kept,) = people.resolve_many(session, [[openid("oOne"), mall("two")]], MORNING + timedelta(days=1), pepper=PEPPER,
                                  movers=MOVERS)
    assert service.assign(session, key, [kept], MORNING + timedelta(days=1)) == {kept: first[two]}
    assert set(later) == {one}


def test_people_are_counted_when_their_window_is_over(session) -> None:
    key = running(session)
    arms = shown(session, key, 80)
    for number, person in enumerate(arms["coupon"]):
        if number % 2 == 0:
            order(session, person, f"A{person}", 3)
    order(session, arms["zz-plain"][0], "B1", 8)  # after the window of seven days
    order(session, arms["zz-plain"][1], "B2", 2, refunded_fen=9_900)  # given back
    session.commit()
    assert queries.read(session, key, MORNING + timedelta(days=6)).arms[0].sample.people == 0
    reading = queries.read(session, key, MORNING + timedelta(days=7))
    plain, coupon = reading.arms
    assert (plain.name, plain.sample.total) == ("zz-plain", 0)
    assert coupon.sample.total == (len(arms["coupon"]) + 1) // 2
    assert (reading.verdict, reading.best) == ("winner", "coupon")


def test_harm_ends_an_experiment_and_is_logged(session) -> None:
    key = running(session)
    arms = shown(session, key, 160)
    for person in arms["coupon"][: len(arms["coupon"]) * 9 // 10]:
        notices.stop(session, person, "marketing", "chat", MORNING + timedelta(days=1))
    session.commit()
    assert service.tend(session, key, MORNING + timedelta(days=8)) == "harmful"
    newcomers = crowd(session, 20, MORNING + timedelta(days=8))
    assert set(service.assign(session, key, newcomers, MORNING + timedelta(days=8)).values()) == {"zz-plain"}
    act = session.execute(text("select act, operator from audit_event")).one()
    assert tuple(act) == ("experiment.stop", "huitou")


def test_a_broken_log_is_not_read(session) -> None:
    key = running(session)
    arms = shown(session, key, 200)
    session.execute(text("delete from exposure where person_id = any(:gone)"), {"gone": arms["coupon"][:80]})
    assert queries.read(session, key, MORNING).verdict == "mismatch"


def test_a_bandit_chooses_and_keeps_a_tenth_even(session) -> None:
    key = running(session, more='kind = "bandit"')
    arms = shown(session, key, 300)
    for person in arms["coupon"][::2]:
        order(session, person, f"A{person}", 1)
    session.commit()
    assert service.tend(session, key, MORNING + timedelta(days=8)) == "reweighed"
    weights = service.find(session, key).weights
    assert weights["coupon"] > 9_000
    assert weights["zz-plain"] >= 500
    late = service.assign(session, key, crowd(session, 300, MORNING + timedelta(days=8)), MORNING + timedelta(days=8))
    assert list(late.values()).count("coupon") > 250
    even = session.execute(text("select count(*) from exposure where uniform")).scalar_one()
    assert 30 <= even <= 95


def test_the_winner_is_for_everybody(session) -> None:
    key = running(session)
    group = crowd(session, 10)
    service.assign(session, key, group, MORNING)
    service.adopt(session, key, "coupon", "it sells", MORNING)
    assert set(service.assign(session, key, group, MORNING).values()) == {"coupon"}


def test_experiments_of_a_namespace_share_people_only_by_range(session) -> None:
    running(session, more='namespace = "restock"\nuntil_bps = 6000')
    other = rules.load(TOML.format(metric="order", more='namespace = "restock"\nfrom_bps = 5000')
                       .replace('"restock"\ntitle', '"second"\ntitle'))
    service.create(session, other, MORNING)
    with pytest.raises(DomainError, match="experiment_overlap"):
        service.start(session, "second", MORNING)


def test_a_document_never_changes(session) -> None:
    key = running(session)
    with pytest.raises(Conflict):
        service.create(session, rules.load(TOML.format(metric="revenue", more="")), MORNING)
    service.stop(session, key, "enough", MORNING)
    session.commit()
    for attack in ("update experiment set document = '{}'", "update exposure set arm = 'x'",
                   "update experiment set state = 'running', ended_at = null", "delete from experiment_period",
                   "update experiment_period set weights = '{}'"):
        with pytest.raises(DBAPIError):
            session.execute(text(attack))
        session.rollback()
