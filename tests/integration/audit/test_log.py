"""The log of operators' acts: nothing is changed by SQL, and what a superuser changes all the same is found."""

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from domain.audit import approvals, seals
from domain.audit import service as audit
from domain.audit.rules import SYSTEM, SealKey, key_hash
from domain.shared.errors import Conflict, DomainError, NotFound

KEY = SealKey(b"k" * 32)

ATTACKS = {
    "change an act": "update audit_event set subject = 'person:2'",
    "forget an act": "delete from audit_event where id = 1",
    "forget all": "truncate audit_event",
    "choose an id": "insert into audit_event (id, at, operator, role, act, subject)"
                    " values (99, now(), 'a', 'b', 'c', '')",
    "an act of nobody": "insert into audit_event (at, operator, role, act, subject) values (now(), '', 'b', 'c', '')",
    "change a seal": "update audit_seal set sealed_at = now()",
    "forget a seal": "delete from audit_seal",
    "forget all seals": "truncate audit_seal",
    "forget an operator": "delete from operator where name = '周会计'",
    "forget all operators": "truncate operator cascade",
    "become an owner": "update operator set role = 'owner'",
    "take a name": "update operator set name = '林老板' where name = '周会计'",
    "a plain key": "update operator set key_hash = 'op_1_secret'",
}


@pytest.fixture
def log(sessions, team, clock):
    """Seven acts, all sealed."""
    with sessions.begin() as session:
        for who in ("person:0", "person:1", "person:2"):
            audit.record(session, team["owner"], "person.freeze", who, {"why": "测试", "n": 1}, clock.now())
    _seal(sessions, clock)
    return sessions


def _seal(sessions, clock) -> seals.Head:
    with sessions.begin() as session:
        upto = seals.horizon(session)
    with sessions.begin() as session:
        return seals.seal(session, upto, KEY, clock.now())[1]


def _report(sessions, key=KEY, noted=None):
    with sessions.begin() as session:
        return seals.verify(session, key, noted)


def _as_superuser(sessions, *statements: str) -> None:
    with sessions.begin() as session:
        session.execute(text("set local session_replication_role = replica"))
        for statement in statements:
            session.execute(text(statement))


def test_the_log_is_only_added_to(log) -> None:
    survived = []
    for name, sql in ATTACKS.items():
        with log() as session:
            try:
                session.execute(text(sql))
                session.commit()
            except DBAPIError:
                continue
        survived.append(name)
    assert survived == []


def test_an_untouched_log_is_sound_and_says_what_is_open(log, team, clock) -> None:
    report = _report(log)
    assert (report.sound, report.sealed, report.unsealed, report.open_since) == (True, 7, 0, None)
    with log.begin() as session:
        audit.record(session, SYSTEM, "x", "", {}, clock.now())
    report = _report(log)
    assert (report.sound, report.sealed, report.unsealed) == (True, 7, 1) and report.open_since is not None
    assert _seal(log, clock).event_id == 8


TAMPERED = [
    ("update audit_event set detail = detail || '{\"n\": 2}' where id = 6", 6, "was changed"),
    ("update audit_event set at = at + interval '1 microsecond' where id = 5", 5, "was changed"),
    ("update audit_event set operator = '周会计' where id = 7", 7, "was changed"),
    ("delete from audit_event where id = 6", 6, "was deleted"),
    ("delete from audit_event where id = 7", 7, "was deleted"),
    ("delete from audit_seal where event_id = 6", 6, "was slipped in"),
    ("insert into audit_event (id, at, operator, role, act, subject) overriding system value"
     " values (0, now(), 'a', 'b', 'c', '')", 0, "was slipped in"),
]


def test_what_a_superuser_changes_is_found_and_named(log) -> None:
    for statement, event_id, what in TAMPERED:
        with log() as session:
            session.execute(text("set local session_replication_role = replica"))
            session.execute(text(statement))
            report = seals.verify(session, KEY)
            session.rollback()
        assert not report.sound, statement
        assert (report.faults[0].event_id, what in report.faults[0].what) == (event_id, True), (statement, report)
    assert _report(log).sound


def test_a_chain_made_anew_lacks_the_key(log, clock) -> None:
    _as_superuser(log, "delete from audit_seal", "update audit_event set subject = 'person:9' where id = 6")
    with log.begin() as session:
        seals.seal(session, 7, SealKey(b"guess"), clock.now())
    report = _report(log)
    assert [fault.event_id for fault in report.faults] == [1, 2, 3, 4, 5, 6, 7]
    assert "key" in report.faults[0].what


def test_a_cut_end_is_found_by_whoever_noted_the_head(log, clock) -> None:
    with log.begin() as session:
        head = seals.head(session)
    cut = ("delete from audit_event where id = 7", "delete from audit_seal where event_id = 7")
    _as_superuser(log, *cut)
    assert _report(log).sound, "the chain alone cannot know what it once held"
    assert "noted head" in _report(log, noted=head).faults[0].what


def test_an_approval_remembers_the_rows_that_speak_of_it(log, team, clock) -> None:
    with log.begin() as session:
        approvals.ask(session, "person.freeze", "person:1", {}, "可疑", team["operator"], clock.now())
    _as_superuser(log, "delete from audit_event where id = 8")
    assert "approval 1" in _report(log).faults[0].what


def test_a_running_writer_is_not_waited_for_and_nothing_is_skipped(log, team, clock) -> None:
    with log() as writer, log.begin() as other:
        audit.record(writer, SYSTEM, "slow", "", {}, clock.now())
        assert seals.horizon(other, wait_milliseconds=20) is None
        writer.commit()
    assert _seal(log, clock).event_id == 8


def test_keys_open_for_their_holder_until_replaced_or_disabled(sessions, team, clock) -> None:
    with sessions.begin() as session:
        first = audit.new_key(session, "周会计", team["finance"], clock.now())
        assert audit.holder(session, first) == team["finance"]
        second = audit.new_key(session, "周会计", team["owner"], clock.now())
        assert (audit.holder(session, first), audit.holder(session, second)) == (None, team["finance"])
        stored = session.execute(text("select key_hash from operator where name = '周会计'")).scalar_one()
        assert stored == key_hash(second) and second not in stored
        for wrong in ("", "op", "op_", "op_1_", "op_999_x", "op_²_x", f"op_{'9' * 30}_x", second + "x", "\ud800"):
            assert audit.holder(session, wrong) is None
        with pytest.raises(DomainError, match="not_permitted"):
            audit.new_key(session, "林老板", team["finance"], clock.now())
        audit.disable_operator(session, "周会计", team["owner"], clock.now())
        assert audit.holder(session, second) is None
        with pytest.raises(DomainError, match="operator_disabled"):
            audit.operator(session, "周会计")


def test_there_is_always_an_owner(sessions, clock) -> None:
    with sessions.begin() as session:
        with pytest.raises(DomainError, match="first_owner"):
            audit.add_operator(session, "周会计", "finance", None, clock.now())
        boss = audit.add_operator(session, "林老板", "owner", None, clock.now())
        for by in (None, audit.add_operator(session, "周会计", "finance", boss, clock.now())):
            with pytest.raises(DomainError, match="not_permitted"):
                audit.add_operator(session, "朋友", "owner", by, clock.now())
        with pytest.raises(Conflict, match="operator_exists"):
            audit.add_operator(session, "周会计", "operator", boss, clock.now())
        for name in ("", "a b", "a\nb", "长" * 41):
            with pytest.raises(DomainError, match="operator_name"):
                audit.add_operator(session, name, "operator", boss, clock.now())
        with pytest.raises(DomainError, match="last_owner"):
            audit.disable_operator(session, "林老板", boss, clock.now())
        with pytest.raises(NotFound):
            audit.operator(session, "谁")
