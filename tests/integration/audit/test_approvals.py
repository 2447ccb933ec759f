"""Two people: what one asks another decides, once, in time, and the database refuses everything else."""

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from domain.audit import approvals
from domain.audit.rules import TWO_PERSON_ACTS
from domain.shared.errors import Conflict, DomainError, NotFound
from domain.workflows import acts

ATTACKS = {
    "approve one's own": "update approval set state = 'approved', decided_by = asked_by, decided_at = now()",
    "approve as nobody": "update approval set state = 'approved', decided_at = asked_at",
    "approve as a stranger": "update approval set state = 'approved', decided_by = '谁', decided_at = asked_at",
    "approve too late": "update approval set state = 'approved', decided_by = '林老板', decided_at = expires_at",
    "approve before it was asked": "update approval set state = 'approved', decided_by = '林老板',"
                                   " decided_at = asked_at - interval '1 s'",
    "change what was asked": "update approval set payload = '{\"fen\": 1}'",
    "change on what": "update approval set subject = 'person:9'",
    "change who asked": "update approval set asked_by = '周会计'",
    "give it more time": "update approval set expires_at = expires_at + interval '1 day'",
    "forget it": "delete from approval",
    "forget all": "truncate approval",
    "ask twice": "insert into approval (act, subject, reason, asked_by, asked_at, expires_at)"
                 " select act, subject, 'x', '林老板', asked_at, expires_at from approval",
}


@pytest.fixture
def done(monkeypatch) -> list[str]:
    """A registered act that says that it was done, and one that says that it was declined."""
    said: list[str] = []

    def freeze(_session, approval, actor, _now) -> None:
        if approval.payload.get("fails"):
            raise DomainError("cannot")
        said.append(f"{approval.act} {approval.subject} by {actor.name}")

    monkeypatch.setitem(acts.ACTS, "person.freeze", freeze)
    monkeypatch.setitem(acts.DECLINED, "person.freeze", lambda _s, a, actor, _n: said.append(f"{a.state} {actor.name}"))
    return said


def _ask(sessions, actor, clock, subject="person:1", **payload) -> int:
    with sessions.begin() as session:
        return approvals.ask(session, "person.freeze", subject, payload, " 可疑 ", actor, clock.now()).id


def _decide(sessions, number, approve, actor, clock):
    with sessions.begin() as session:
        return acts.decide(session, number, approve, actor, clock.now(), " 看过 ")


def test_the_database_refuses(sessions, team, clock) -> None:
    _ask(sessions, team["operator"], clock)
    survived = []
    for name, sql in ATTACKS.items():
        with sessions() as session:
            try:
                session.execute(text(sql))
                session.commit()
            except DBAPIError:
                continue
        survived.append(name)
    assert survived == []


def test_an_act_happens_when_a_second_person_approves(sessions, team, clock, done) -> None:
    number = _ask(sessions, team["operator"], clock)
    for actor, code in ((team["operator"], "second_person"), (team["finance"], "not_permitted")):
        with pytest.raises(DomainError, match=code):
            _decide(sessions, number, True, actor, clock)
    decided = _decide(sessions, number, True, team["reviewer"], clock)
    assert (decided.state, decided.decided_by, decided.note, done) == (
        "approved", "陈审核", "看过", ["person.freeze person:1 by 陈审核"])
    with pytest.raises(Conflict, match="approval_decided"):
        _decide(sessions, number, False, team["owner"], clock)
    with sessions.begin() as session:
        said = session.execute(text("select operator, act from audit_event where subject = 'approval:1' order by id"))
        assert said.all() == [("小运营", "approval.ask"), ("陈审核", "approval.approve")]
        with pytest.raises(DBAPIError):
            session.execute(text("update approval set note = 'x'"))


def test_an_act_that_fails_leaves_the_approval_open(sessions, team, clock, done) -> None:
    number = _ask(sessions, team["operator"], clock, fails=True)
    with pytest.raises(DomainError, match="cannot"):
        _decide(sessions, number, True, team["owner"], clock)
    with sessions.begin() as session:
        assert approvals.of(session, number).state == "open"
        assert session.execute(text("select count(*) from audit_event where act = 'approval.approve'")).scalar() == 0
    assert _decide(sessions, number, False, team["owner"], clock).state == "rejected"
    assert done == ["rejected 林老板"]


def test_one_waits_at_a_time_and_lapses_after_a_week(sessions, team, clock, done) -> None:
    first = _ask(sessions, team["operator"], clock)
    with pytest.raises(Conflict, match="approval_open"):
        _ask(sessions, team["owner"], clock)
    other = _ask(sessions, team["operator"], clock, "person:2")
    clock.advance(timedelta(days=7).total_seconds())
    with pytest.raises(Conflict, match="approval_expired"):
        _decide(sessions, first, True, team["owner"], clock)
    second = _ask(sessions, team["owner"], clock)
    assert second not in (first, other)
    with sessions.begin() as session:
        assert acts.expire_due(session, clock.now(), 10) == 1
        assert acts.expire_due(session, clock.now(), 10) == 0
        assert [approvals.of(session, one).state for one in (first, other, second)] == ["expired", "expired", "open"]
    assert done == ["expired huitou"]
    with pytest.raises(Conflict, match="approval_expired"):
        _decide(sessions, other, True, team["owner"], clock)


def test_one_connection_asks_for_many(sessions, team, clock) -> None:
    """A statement that is asked often is planned once for all its values: its condition may not be one of them."""
    asked = [_ask(sessions, team["operator"], clock, f"person:{number}") for number in range(1, 15)]
    assert asked == sorted(set(asked))


def test_one_that_cannot_be_declined_now_holds_up_no_other(sessions, team, clock, done, monkeypatch) -> None:
    def stubborn(_session, approval, _actor, _now) -> None:
        if approval.subject == "person:1":
            raise DomainError("cannot")
        done.append(approval.subject)

    monkeypatch.setitem(acts.DECLINED, "person.freeze", stubborn)
    for subject in ("person:1", "person:2"):
        _ask(sessions, team["operator"], clock, subject)
    clock.advance(timedelta(days=8).total_seconds())
    with sessions.begin() as session:
        assert acts.expire_due(session, clock.now(), 10) == 1
    with sessions.begin() as session:
        states = session.execute(text("select subject, state from approval order by id")).all()
    assert ([tuple(one) for one in states], done) == (
        [("person:1", "open"), ("person:2", "expired")], ["person:2"])


def test_who_may_ask_and_decide_is_written_down(sessions, team, clock) -> None:
    with sessions.begin() as session:
        with pytest.raises(DomainError, match="act_unknown"):
            approvals.ask(session, "shop.sell", "shop", {}, "x", team["owner"], clock.now())
        with pytest.raises(DomainError, match="not_permitted"):
            approvals.ask(session, "plan.levels", "shop", {}, "x", team["finance"], clock.now())
        with pytest.raises(DomainError, match="reason_missing"):
            approvals.ask(session, "plan.levels", "shop", {}, "  ", team["owner"], clock.now())
        for wrong in (0, -1, 5, 2**70):
            with pytest.raises(NotFound):
                approvals.decide(session, wrong, True, team["owner"], clock.now())
    assert set(acts.ACTS) <= set(TWO_PERSON_ACTS)


def test_two_who_decide_at_once_decide_once(sessions, team, clock, done) -> None:
    number = _ask(sessions, team["operator"], clock)

    def decide(actor):
        try:
            return _decide(sessions, number, True, actor, clock).decided_by
        except Conflict as fault:
            return fault.code

    with ThreadPoolExecutor(8) as pool:
        said = list(pool.map(decide, [team["owner"], team["reviewer"]] * 4))
    assert sorted(said)[:7] == ["approval_decided"] * 7 and len(done) == 1
