"""The standing check of the books: it finds what breaks an invariant, says so until it is mended, and nothing else."""

import threading
from contextlib import contextmanager

import pytest
from prometheus_client.parser import text_string_to_metric_families
from sqlalchemy import text
from sqlalchemy.orm import Session
from structlog.testing import capture_logs

from bot.runtime import books as doctor
from bot.runtime import metrics
from bot.runtime.chores import ChoreRunner
from domain.audit.rules import SealKey
from domain.ledger import books
from domain.ledger.asking import EVERYTHING, Scope, faults
from domain.ledger.invariants import INVARIANTS
from handlers.jobs import books as jobs
from tests.integration.money.world import Shop

KEY = SealKey(b"k" * 32)

WITHDRAWAL = ("insert into withdrawal (no, person_id, account, app_id, openid, remark, gross_fen, tax_fen, tax_method,"
              " plan_version, two_people, asked_at, state, ended_at, paid_gross_fen) select 'W1', min(owner_id), 'a',"
              " 'a', 'o', 'r', 100, 0, 'none', 1, false, now(), {state} from account;")
BILL = ("insert into transfer_bill (withdrawal_id, n, out_bill_no, amount_fen, share_fen, with_name, made_at, state_at,"
        " state, paid_at, gross_fen) select max(id), {id}, 'B{id}', {share}, {share}, false, now(), now(), {bill}"
        " from withdrawal")
TAKEN_BACK = (
    "with j as (insert into journal (idem, digest, kind, effective_at, posted_at, source_type, source_id, reverses)"
    " select 't1', 'x', 'gift.taken_back', now(), now(), 'test', 1, min(id) from journal returning id)"
    " insert into posting select id, 1, 9, 20, 'CNY', 100 from j")

BREAKS = {
    "kept": "update person set merged_into = 1 where id = 2",
    "balances": "update balance set amount = amount + 1 where account_id ="
                " (select min(id) from account where kind = 'pending')",
    "a lost balance": "delete from balance where account_id = (select min(id) from account where kind = 'pending')",
    "a changed posting": "update posting set amount = amount + 5 where credit >= 1000",
    "journals": "delete from posting where journal_id = (select min(id) from journal)",
    "references": "with j as (insert into journal (idem, digest, kind, effective_at, posted_at, source_type, source_id)"
                  " values ('r1', 'x', 'gift', now(), now(), 'test', 1) returning id)"
                  " insert into posting select id, 1, 7, 987654, 'CNY', 100 from j",
    "parties": "update customer_order set leader_id = 987654",
    "an earner of no name": "update commission_line set beneficiary_id = 987654",
    "deals": "update commission_line set amount_fen = amount_fen - 1 where clawed_fen = 0",
    "a lost claw-back": "delete from posting where journal_id in (select id from journal where kind like '%clawed%')",
    "claws": "update commission_line set clawed_fen = clawed_fen - 1 where clawed_fen > 0",
    "a better rate": "update commission_line set rate_bps = rate_bps * 2 where level = 1",
    "refunds": "update order_line set refunded_fen = refunded_fen + 1 where refunded_fen > 0",
    "frozen": "update commission_line set held_at = now() where clawed_fen < amount_fen"
              " and released_at is null",
    "held": WITHDRAWAL.format(state="'asked', null, 0"),
    "bills": WITHDRAWAL.format(state="'paid', now(), 100") + BILL.format(id=1, share=100, bill="'SUCCESS', now(), 100"),
    "shares": WITHDRAWAL.format(state="'failed', now(), 0") + BILL.format(id=1, share=90, bill="'FAIL', null, 0"),
    "leaks": "with j as (insert into journal (idem, digest, kind, effective_at, posted_at, source_type, source_id)"
             " values ('bill' || ':' || '1:' || 'paid', 'x', 'withdrawal.paid', now(), now(), 'withdrawal', 1)"
             " returning id) insert into posting select id, 1, 7, 20, 'CNY', 100 from j",
    "taken": TAKEN_BACK,
    "milestones": "insert into milestone (person_id, key, n, amount_fen, plan_version, reached_at, check_at)"
                  " values (1, 'first_sale', 0, 5000, 1, now(), now())",
    "service": "with j as (insert into journal (idem, digest, kind, effective_at, posted_at, source_type, source_id)"
               " values ('s1', 'x', 'service.earned', now(), now(), 'service', 1) returning id)"
               " insert into posting select id, 1, 9, 20, 'CNY', 100 from j",
    "settlements": "insert into month_close (month, ends_at, plan_version, started_at) values"
                   " ('2026-10-01', '2026-10-31 16:00Z', 1, now()); insert into settlement (month, person_id, kind, n,"
                   " cause, volume_fen, target_fen, change_fen, held_fen, plan_version, booked_at)"
                   " values ('2026-10-01', 1, 'ladder', 1, 'close', 1, 5, 5, 0, 1, now())",
}


@pytest.fixture
def booked(engine, clock) -> Shop:
    """Paid, partly refunded, released, closed: something of everything."""
    shop = Shop(engine, clock)
    shop.person("李姐")
    shop.person("小王", invited_by="李姐")
    shop.person("新客", invited_by="小王")
    shop.tell(shop.pay("A1", by="小王"), shop.pay("A2", by="新客", fen=[9_900, 5_000]), shop.pay("A3", by="新客"))
    shop.tell(shop.receive("A1"), shop.refund("A2", "R1", 3_300), shop.close("A3"))
    shop.days(8)
    shop.tell(shop.refund("A1", "R2", 100))
    return shop


def look(shop: Shop) -> list[str]:
    """Names of the invariants that the recent check found broken; every piece of one run."""
    found: list[str] = []
    more = True
    while more:
        with shop.sessions.begin() as session:
            piece = books.look_at_recent(session)
        found += [fault.invariant for fault in piece.faults]
        more = piece.more
    return found


def look_at_all(shop: Shop) -> list[str]:
    found: list[str] = []
    more = True
    while more:
        with shop.sessions.begin() as session:
            piece = books.look_at_all(session)
        found += [fault.invariant for fault in piece.faults]
        more = piece.more
    return found


def state(shop: Shop) -> books.BooksState:
    with shop.sessions() as session:
        return books.state(session)


@contextmanager
def superuser(shop: Shop):
    with shop.sessions.begin() as session:
        session.execute(text("set local session_replication_role = replica"))
        yield session


def gauges(shop: Shop, name: str) -> dict[str, float]:
    families = text_string_to_metric_families(metrics.render(shop.engine).decode())
    return {next(iter(sample.labels.values())): sample.value
            for family in families if family.name == name for sample in family.samples}


def test_sound_books_give_no_alarm(booked: Shop) -> None:
    assert (look(booked), look(booked), look_at_all(booked)) == ([], [], [])
    assert state(booked).faults == () and not state(booked).stale
    assert gauges(booked, "huitou_books_faults") == {"all": 0}


def test_what_breaks_is_found_by_every_way_of_looking(booked: Shop) -> None:
    for name, sql in BREAKS.items():
        with booked.sessions() as session:
            session.execute(text("set local session_replication_role = replica"))
            for statement in filter(str.strip, sql.split(";")):
                assert session.execute(text(statement)).rowcount, name
            _found_alike(session, name)
            session.rollback()
    assert look(booked) == look_at_all(booked) == []


def test_what_takes_back_an_old_gift_is_looked_at_at_once(booked: Shop) -> None:
    """Nobody decided it; the gift itself lies before all that has moved lately."""
    for _ in range(3):
        assert look(booked) == []
    with superuser(booked) as session:
        assert session.execute(text(TAKEN_BACK)).rowcount
    assert look(booked) == ["taken"]


def test_lines_of_an_order_that_is_gone_are_found(booked: Shop) -> None:
    with booked.sessions() as session:
        session.execute(text("set local session_replication_role = replica"))
        session.execute(text("update customer_order set id = 1050 where order_no = 'A1'"))
        old = session.execute(text("select min(order_id) from order_line l where not exists"
                                   " (select from customer_order o where o.id = l.order_id)")).scalar_one()
        for scope in (EVERYTHING, Scope(ids=[old])):
            told = [fault.sentence for one in INVARIANTS for fault in faults(session, one, scope)]
            assert f"line 1 names order {old}, which is not there" in told
        session.rollback()


def _found_alike(session: Session, name: str) -> None:
    whole, ranged, named = (
        sorted((fault for one in INVARIANTS for fault in faults(session, one, scope)), key=str)
        for scope in (EVERYTHING, Scope(low=1, high=10**6), Scope(ids=[*range(1, 1_100), 987654])))
    assert whole and whole == ranged == named, name
    wanted = {fault.invariant for fault in whole}
    assert name in wanted or name not in {one.name for one in INVARIANTS}
    # A row that no journal followed is found at night: nothing moved that the recent check could look at.
    recent = {fault.invariant for fault in books.look_at_recent(session).faults}
    assert recent == wanted - {"settlements", "milestones"}, name
    assert {fault.invariant for fault in books.look_at_all(session).faults} == wanted, name


def test_an_alarm_stays_until_it_is_mended(booked: Shop) -> None:
    look(booked)
    change = text("update balance set amount = amount + :by where account_id ="
                  " (select min(id) from account where kind = 'available')")
    with superuser(booked) as session:
        session.execute(change, {"by": 7})
    booked.tell(booked.pay("B1", by="李姐"), booked.pay("B2", by="李姐"))
    assert look_at_all(booked) == ["balances"]
    for _ in range(3):  # nothing moves that account, and still it is told
        assert "balances" in look(booked)
    fault, = state(booked).faults
    assert fault.invariant == "balances" and "postings say" in fault.sentence
    assert gauges(booked, "huitou_books_faults") == {"all": 1, "balances": 1}
    with superuser(booked) as session:
        session.execute(change, {"by": -7})
    assert look(booked) == [] and state(booked).faults == ()
    assert booked.rows("select count(*) from books_fault where cleared_at is not null") == [(1,)]


def test_an_old_fault_is_found_at_night_however_small_the_pieces(booked: Shop, monkeypatch) -> None:
    look(booked)
    look(booked)
    with superuser(booked) as session:
        session.execute(text("update order_line set refunded_fen = refunded_fen + 1000 where order_id ="
                             " (select id from customer_order where order_no = 'A1')"))
    for place, most in (("JOURNALS_AT_ONCE", 2), ("CHUNK", dict.fromkeys(books.CHUNK, 1))):
        monkeypatch.setattr(books, place, most)
    monkeypatch.setitem(books.CHUNK, "account", 500)  # they start at 1000
    for number in range(5):
        booked.tell(booked.pay(f"C{number}", by="小王"))
    assert "refunds" not in look(booked)
    assert sorted(set(look_at_all(booked))) == ["claws", "refunds"]


def test_a_late_commit_is_not_overlooked(booked: Shop) -> None:
    """A journal with an old id that commits after the check has passed it is looked at in the next run."""
    look(booked)
    with superuser(booked) as late:
        late.execute(text("insert into journal (idem, digest, kind, effective_at, posted_at, source_type, source_id)"
                          " values ('late', 'x', 'gift', now(), now(), 'x', 1)"))
        booked.tell(booked.pay("D1", by="小王"))
        assert look(booked) == []
    assert look(booked) == ["journals"]


def test_money_on_its_way_is_never_a_fault(booked: Shop) -> None:
    stop = threading.Event()
    found: list[str] = []

    def watch() -> None:
        while not stop.is_set():
            found.extend(look(booked) + look_at_all(booked))

    watchers = [threading.Thread(target=watch) for _ in range(2)]
    for one in watchers:
        one.start()
    for number in range(25):
        booked.tell(booked.pay(f"E{number}", by="小王"), booked.pay(f"F{number}", by="新客", fen=[5_000, 70]))
        booked.tell(booked.refund(f"E{number}", "R", 1_234), booked.receive(f"F{number}"), booked.close(f"F{number}"))
    stop.set()
    for one in watchers:
        one.join()
    assert found == [] and state(booked).faults == ()


def test_the_chores_look_and_raise_their_voice(booked: Shop) -> None:
    class Process:
        now = booked.clock.now
        begin = booked.sessions.begin

    runner = ChoreRunner(jobs.chores, Process(), booked.engine)
    with capture_logs() as quiet:
        assert runner.run() == 2
    assert quiet == [] and state(booked).recent_at and state(booked).full_at
    with superuser(booked) as session:
        session.execute(text("update balance set amount = amount + 1 where account_id >= 1000"))
    booked.clock.advance(200)
    with capture_logs() as loud:
        assert runner.run() == 1
    assert {(one["event"], one["log_level"], one["invariant"]) for one in loud} == {
        ("books.broken", "error", "balances"), ("books.broken", "error", "pending")}


def test_the_doctor_and_the_gauges_say_how_the_books_stand(booked: Shop) -> None:
    def told() -> list[tuple[str, str]]:
        with Session(booked.engine) as session:
            return [(one.check, one.state) for one in doctor.findings(session, KEY)]

    assert told() == [("books", "green"), ("log of acts", "green")]
    with superuser(booked) as session:
        session.execute(text("update books_check set since = since - interval '3 days'"))
    assert told()[0] == ("books", "yellow")
    look(booked)
    look_at_all(booked)
    ages = gauges(booked, "huitou_books_check_age_seconds")
    assert set(ages) == {"recent", "full"} and max(ages.values()) < 3_600
    assert told()[0] == ("books", "green")
    with superuser(booked) as session:
        session.execute(text("update balance set amount = amount + 1 where account_id >= 1000"))
        session.execute(text("insert into audit_seal values (999, sha256('x'), sha256('y'), now())"))
    look(booked)
    assert told() == [("books", "red"), ("log of acts", "red")]
    assert gauges(booked, "huitou_audit_open_seconds")["acts"] >= 0
