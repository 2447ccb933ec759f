"""What the database refuses by itself: each attack is plain SQL, as a careless script or a thief would write it."""

from collections import Counter

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from domain.ledger import service
from domain.ledger.rules import Entry, Move, person, platform
from domain.shared.errors import Conflict, DomainError
from tests.integration.money.world import Shop
from tests.together import at_once

ATTACKS = {
    "change a journal": "update journal set kind = 'gift'",
    "change a posting": "update posting set amount = amount + 1",
    "change no posting at all": "update posting set amount = 1 where false",
    "delete a posting": "delete from posting",
    "delete a journal": "delete from journal",
    "truncate postings": "truncate posting",
    "truncate journals": "truncate journal cascade",
    "truncate balances": "truncate balance",
    "delete a balance": "delete from balance",
    "rename an account": "update account set owner_id = 1",
    "delete an account": "delete from account",
    "delete a refund": "delete from refund",
    "change a refund": "update refund_line set refund_fen = 0",
    "change what was paid": "update customer_order set paid_fen = 1",
    "change a line": "update order_line set paid_fen = 1",
    "delete an order": "delete from customer_order",
    "truncate orders": "truncate customer_order cascade",
    "change a plan": "update commission_plan set document = '{}'",
    "delete a plan": "delete from commission_plan",
    "raise a commission": "update commission_line set amount_fen = 9000, uncut_fen = 9000",
    "change a rate": "update commission_line set rate_bps = 9999",
    "delete a commission": "delete from commission_line",
    "claw back more than there is": "update commission_line set clawed_fen = amount_fen + 1",
    "overdraw": "update balance set amount = -1",
    "return more than was paid": "update order_line set refunded_fen = paid_fen + 1",
    "a negative posting": "insert into posting values ({journal}, 9, 1, {account}, 'CNY', -5)",
    "a zero posting": "insert into posting values ({journal}, 9, 1, {account}, 'CNY', 0)",
    "the same account on both sides": "insert into posting values ({journal}, 9, {account}, {account}, 'CNY', 5)",
    "another currency": "insert into posting values ({journal}, 9, 1, {account}, 'PTS', 5)",
    "points for money": "insert into posting values ({journal}, 9, 40, {account}, 'PTS', 5)",
    "an unknown account": "insert into posting values ({journal}, 9, 1, 987654, 'CNY', 5)",
    "an unknown debit": "insert into posting values ({journal}, 9, 987654, {account}, 'CNY', 5)",
    "a posting of no journal": "insert into posting values (987654, 1, 1, {account}, 'CNY', 5)",
    "a bad posting among good ones": "insert into posting values ({journal}, 8, 1, {account}, 'CNY', 5),"
                                     " ({journal}, 9, 1, 987654, 'CNY', 5)",
    "renumber a line": "update order_line set n = n + 1",
    "a commission of no line": "insert into commission_line (order_id, n, beneficiary_id, level, base_fen, rate_bps,"
                               " rule, rule_bps, plan_version, uncut_fen, amount_fen, accrued_at)"
                               " select order_id, 77, beneficiary_id, 3, 1, 1, 'x', 1, plan_version, 1, 1, now()"
                               " from commission_line limit 1",
    "a commission of no plan": "insert into commission_line (order_id, n, beneficiary_id, level, base_fen, rate_bps,"
                               " rule, rule_bps, plan_version, uncut_fen, amount_fen, accrued_at)"
                               " select order_id, n, beneficiary_id, 3, 1, 1, 'x', 1, 999, 1, 1, now()"
                               " from commission_line limit 1",
    "an unknown currency": "insert into account (owner_id, kind, currency, normal) values (1, 'x', 'USD', 'credit')",
    "a second wallet": "insert into account (owner_id, kind, currency, normal)"
                       " select owner_id, kind, currency, normal from account where id = {account}",
    "a second booking of a key": "insert into journal (idem, digest, kind, effective_at, posted_at, source_type,"
                                 " source_id) select idem, 'x', kind, now(), now(), 'order', 1 from journal limit 1",
    "a fourth level": "insert into commission_line (order_id, n, beneficiary_id, level, base_fen, rate_bps, rule,"
                      " plan_version, uncut_fen, amount_fen, accrued_at)"
                      " select order_id, n, beneficiary_id, 4, 1, 1, 'x', 1, 1, 1, now() from commission_line limit 1",
    "more than was paid": "insert into commission_line (order_id, n, beneficiary_id, level, base_fen, rate_bps, rule,"
                          " plan_version, uncut_fen, amount_fen, accrued_at)"
                          " select order_id, n, beneficiary_id, 3, 9900, 1, 'x', 1, 9200, 9200, now()"
                          " from commission_line limit 1",
    "the same commission twice": "insert into commission_line (order_id, n, beneficiary_id, level, base_fen, rate_bps,"
                                 " rule, plan_version, uncut_fen, amount_fen, accrued_at) select order_id, n,"
                                 " beneficiary_id, level, 1, 1, 'x', 1, 1, 1, now() from commission_line limit 1",
    "an event twice": "insert into commerce_event (source, event_id, digest, type, subject, payload, occurred_at,"
                      " received_at) select source, event_id, 'x', type, subject, payload, now(), now()"
                      " from commerce_event limit 1",
    "an order twice": "insert into customer_order (channel, order_no, source, buyer_id, currency, paid_fen,"
                      " shipping_fen, digest, paid_at, booked_at) select channel, order_no, 'x', buyer_id, 'CNY', 1, 0,"
                      " 'x', now(), now() from customer_order limit 1",
}


@pytest.fixture
def booked(shop: Shop) -> Shop:
    shop.tell(shop.pay("A1", by="小王", fen=9_900), shop.refund("A1", "R1", 100))
    return shop


def test_every_attack_is_refused_and_changes_nothing(booked: Shop) -> None:
    journal, account = booked.rows(
        "select j.id, a.id from journal j, account a where a.owner_id is not null order by 1, 2 limit 1")[0]
    before = _everything(booked)
    survived = []
    for name, sql in ATTACKS.items():
        with booked.sessions() as session:
            try:
                session.execute(text(sql.replace("{journal}", str(journal)).replace("{account}", str(account))))
                session.commit()
            except DBAPIError:
                continue
            survived.append(name)
    assert survived == []
    assert _everything(booked) == before


def _everything(shop: Shop) -> list[object]:
    return [shop.rows(f"select * from {table} order by 1, 2") for table in
            ("account", "journal", "posting", "balance", "customer_order", "order_line", "refund", "commission_line",
             "commission_plan")]


def _gift(shop: Shop, fen: int, *, idem: str = "gift:1", **more: int) -> Entry:
    move = Move(platform("expense.bonus"), person(shop.people["李姐"], "available"), fen)
    return Entry(idem, "gift", shop.clock.now(), "test", 1, "", (move,), **more)


def test_the_same_fact_is_booked_once_and_another_content_is_a_conflict(shop: Shop) -> None:
    now = shop.clock.now()
    with shop.sessions.begin() as session:
        assert service.post(session, [_gift(shop, 500), _gift(shop, 300, idem="gift:2")], now) == 2
    with shop.sessions.begin() as session:
        assert service.post(session, [_gift(shop, 500), _gift(shop, 200, idem="gift:3")], now) == 1
    with pytest.raises(Conflict), shop.sessions.begin() as session:
        service.post(session, [_gift(shop, 501)], now)
    assert shop.money("李姐") == (0, 1_000, 0)


def test_the_same_key_twice_in_one_call(shop: Shop) -> None:
    with shop.sessions.begin() as session:
        assert service.post(session, [_gift(shop, 500), _gift(shop, 500)], shop.clock.now()) == 1
    assert shop.money("李姐") == (0, 500, 0)
    with pytest.raises(Conflict), shop.sessions.begin() as session:
        service.post(session, [_gift(shop, 5, idem="gift:9"), _gift(shop, 6, idem="gift:9")], shop.clock.now())


def test_a_journal_is_reversed_once_and_a_hold_resolved_once(shop: Shop) -> None:
    now = shop.clock.now()
    with shop.sessions.begin() as session:
        service.post(session, [_gift(shop, 500)], now)
    first = shop.rows("select id from journal")[0][0]
    for field in ("reverses", "resolves"):
        with shop.sessions.begin() as session:
            service.post(session, [_gift(shop, 1, idem=f"{field}:1", **{field: first})], now)
        with pytest.raises(DBAPIError), shop.sessions.begin() as session:
            service.post(session, [_gift(shop, 1, idem=f"{field}:2", **{field: first})], now)


def test_nobody_spends_what_is_not_there(shop: Shop) -> None:
    with shop.sessions.begin() as session:
        service.post(session, [_gift(shop, 500)], shop.clock.now())
    with pytest.raises(DomainError, match="insufficient"):
        shop.spend("李姐", 501)
    assert shop.money("李姐") == (0, 500, 0)


def test_an_account_that_nobody_knows_is_refused(shop: Shop) -> None:
    wrong = Entry("w", "gift", shop.clock.now(), "test", 1, "",
                  (Move(platform("expense.no_such"), person(shop.people["李姐"], "available"), 1),))
    with pytest.raises(DBAPIError), shop.sessions.begin() as session:
        service.post(session, [wrong], shop.clock.now())


def test_the_check_finds_what_was_changed_behind_its_back(shop: Shop) -> None:
    shop.tell(shop.pay("A1", by="小王"))
    with shop.sessions() as session:
        session.execute(text("update balance set amount = amount + 1"))
        session.execute(text("alter table commission_line disable trigger all"))
        session.execute(text("update commission_line set clawed_fen = 1"))
        report = service.check(session)
        assert not report.balanced
        assert any("balance says" in fault for fault in report.faults)
        assert any("commissions say" in fault for fault in report.faults)


def test_a_hundred_accruals_and_one_overdraft_in_parallel_books_keep_their_sum(shop: Shop) -> None:

    with shop.sessions.begin() as session:
        service.post(session, [_gift(shop, 100)], shop.clock.now())

    def spend() -> str:
        try:
            shop.spend("李姐", 30)
        except DomainError as refusal:
            return refusal.code
        return "ok"

    assert Counter(at_once(*[spend] * 12)) == {"ok": 3, "insufficient": 9}
    assert (shop.wallet("李姐").available_fen, shop.wallet("李姐").paid_fen) == (10, 90)
