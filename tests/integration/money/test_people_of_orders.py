"""Orders, their lines and commissions name people and orders that are there, and hold people against being merged:
without a key a row."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from tests.integration.money.world import Shop
from tests.together import until_waiting

ORDER = ("insert into customer_order (channel, order_no, source, buyer_id, seller_id, leader_id, currency, paid_fen,"
         " shipping_fen, digest, paid_at, booked_at) select 'mall', v.no, 'x', v.buyer, v.seller, v.leader, 'CNY', 1,"
         " 0, 'x', now(), now() from (values {rows}) as v (no, buyer, seller, leader)")
COMMISSION = ("insert into commission_line (order_id, n, beneficiary_id, level, base_fen, rate_bps, rule, rule_bps,"
              " plan_version, uncut_fen, amount_fen, accrued_at) select order_id, n, {person}, 3, 1, 1, 'x', 1,"
              " plan_version, 1, 1, now() from commission_line limit 1")
LINE = ("insert into order_line (order_id, n, line_id, sku, title, category, quantity, paid_fen)"
        " select v.id, {n}, '{n}', 's', 't', 'c', 1, 100 from (values {rows}) as v (id)")


@dataclass(frozen=True)
class Attack:
    sql: str
    key: str


ATTACKS = {
    "an unknown buyer": Attack(ORDER.format(rows="('X1', 987654, {li}, null::bigint)"), "fk_customer_order_buyer_id"),
    "an unknown seller": Attack(ORDER.format(rows="('X1', {li}, 987654, {li})"), "fk_customer_order_seller_id"),
    "an unknown leader": Attack(ORDER.format(rows="('X1', {li}, null::bigint, 987654)"), "fk_customer_order_leader_id"),
    "one of two": Attack(ORDER.format(rows="('X1', {li}, {li}, {li}), ('X2', {li}, 0, {li})"),
                         "fk_customer_order_seller_id"),
    "one of seven": Attack(ORDER.format(rows=", ".join(
        f"('X{n}', {{li}}, {'987654' if n == 4 else '{li}'}, null::bigint)" for n in range(7))),
                           "fk_customer_order_seller_id"),
    "a buyer gone": Attack("update customer_order set buyer_id = 987654", "fk_customer_order_buyer_id"),
    "a seller gone": Attack("update customer_order set seller_id = 987654", "fk_customer_order_seller_id"),
    "a leader gone": Attack("update customer_order set leader_id = 987654", "fk_customer_order_leader_id"),
    "nobody earns": Attack(COMMISSION.format(person=987654), "fk_commission_line_beneficiary_id"),
    "earned by nobody afterwards": Attack("update commission_line set beneficiary_id = 987654",
                                          "fk_commission_line_beneficiary_id"),
    "a line of no order": Attack(LINE.format(n=1, rows="(987654)"), "fk_order_line_order_id"),
    "one line of no order": Attack(LINE.format(n=2, rows="((select id from customer_order)), (987654)"),
                                   "fk_order_line_order_id"),
    "a line that is not there": Attack(COMMISSION.replace("n, {person}", "7, {li}"), "fk_commission_line_order_id_n"),
}


@pytest.fixture
def booked(shop: Shop) -> Shop:
    shop.tell(shop.pay("A1", by="小王", fen=9_900))
    return shop


@pytest.mark.parametrize("name", sorted(ATTACKS))
def test_nobody_is_no_party_to_an_order(booked: Shop, name: str) -> None:
    attack = ATTACKS[name]
    with booked.sessions() as session, pytest.raises(DBAPIError) as refused:
        session.execute(text(attack.sql.replace("{li}", str(booked.people["李姐"]))))
    fault = refused.value.orig
    assert (fault.sqlstate, fault.diag.constraint_name) == ("23503", attack.key)  # type: ignore[union-attr]


HOLDS = {
    "buyer": ORDER.format(rows="('X1', {person}, null::bigint, null::bigint)"),
    "seller": ORDER.format(rows="('X1', {li}, {person}, null::bigint)"),
    "leader": ORDER.format(rows="('X1', {li}, {li}, {person})"),
    "a leader of one of seven": ORDER.format(rows=", ".join(
        f"('X{n}', {{li}}, {{li}}, {'{person}' if n == 4 else '{li}'})" for n in range(7))),
    "a seller who changes": "update customer_order set seller_id = {person}",
    "who earns": COMMISSION,
    "who earns instead": "update commission_line set beneficiary_id = {person}",
}


@pytest.mark.parametrize("role", sorted(HOLDS))
def test_whoever_is_written_down_is_not_merged_meanwhile(booked: Shop, role: str) -> None:
    """A merge locks both people and moves what it sees of them; rows it does not see yet must keep it waiting."""
    somebody, li = booked.person("谁"), booked.people["李姐"]
    free = text("select id from person where id = :id for update skip locked")
    with booked.sessions() as writing, booked.sessions() as merging:
        assert merging.execute(free, {"id": somebody}).all()
        merging.rollback()
        writing.execute(text(HOLDS[role].replace("{person}", str(somebody)).replace("{li}", str(li))))
        assert not merging.execute(free, {"id": somebody}).all()
        writing.rollback()
        assert merging.execute(free, {"id": somebody}).all()


def test_an_order_is_not_renamed_under_its_lines(booked: Shop) -> None:
    with booked.sessions() as session, pytest.raises(DBAPIError) as refused:
        session.execute(text("update customer_order set id = id + 1000"))
    assert refused.value.orig.sqlstate == "HT403"  # type: ignore[union-attr]


@pytest.mark.parametrize("at_once", [True, False])
@pytest.mark.parametrize("more_fen", [100, 101])
def test_a_line_written_just_now_pays_no_more_than_was_paid_for_it_either(
        booked: Shop, more_fen: int, at_once: bool) -> None:
    """Whoever wrote the line in the same transaction needs no lock for it, and finds no more room than others."""
    earned = [f"(2, 60, {booked.people['李姐']})", f"(1, {more_fen - 60}, {booked.people['小王']})"]
    refused = ""
    with booked.sessions() as session:
        session.execute(text(LINE.format(n=2, rows="((select id from customer_order))")))
        try:
            for rows in [", ".join(earned)] if at_once else earned:
                session.execute(text(
                    "insert into commission_line (order_id, n, beneficiary_id, level, base_fen, rate_bps, rule,"
                    " rule_bps, plan_version, uncut_fen, amount_fen, accrued_at)"
                    " select c.order_id, 2, e.person, e.level, 100, 1, 'x', 1, c.plan_version, e.fen, e.fen, now()"
                    " from (select * from commission_line limit 1) c"
                    f" cross join (values {rows}) as e (level, fen, person)"))
        except DBAPIError as fault:
            refused = fault.orig.sqlstate  # type: ignore[union-attr]
    assert refused == ("" if more_fen <= 100 else "HT422")


@pytest.mark.parametrize("level", ["repeatable read", "serializable"])
@pytest.mark.parametrize("what", ["a commission", "a booking", "orders"])
def test_nothing_is_booked_on_an_older_snapshot(booked: Shop, what: str, level: str) -> None:
    """Whoever waited for a lock there does not see what the other one wrote: a line would pay more than was paid for
    it, and a month that was counted meanwhile would never hear of a sale."""
    statement = {"a commission": COMMISSION.format(person=booked.people["李姐"]),
                 "a booking": "select ledger_post(now(), null, null)",
                 "orders": "select money_apply(now(), null, null, null, null, null, null, null, null, null)"}[what]
    with booked.sessions() as session, pytest.raises(DBAPIError, match="READ COMMITTED") as refused:
        session.execute(text(f"set transaction isolation level {level}"))
        session.execute(text(statement))
    assert refused.value.orig.sqlstate == "HT403"  # type: ignore[union-attr]


def test_a_line_of_others_has_room_for_one_of_two(booked: Shop) -> None:
    """The second waits for the first, and then finds what it wrote."""
    earn = text("insert into commission_line (order_id, n, beneficiary_id, level, base_fen, rate_bps, rule, rule_bps,"
                " plan_version, uncut_fen, amount_fen, accrued_at) select order_id, 2, :who, :level, 100, 1, 'x', 1,"
                " plan_version, 60, 60, now() from commission_line limit 1")
    with booked.sessions.begin() as session:
        session.execute(text(LINE.format(n=2, rows="((select id from customer_order))")))
    with booked.sessions() as first, booked.sessions() as second, ThreadPoolExecutor(1) as pool:
        second.execute(text("select count(*) from commission_line"))
        first.execute(earn, {"who": booked.people["小王"], "level": 1})
        waiting = pool.submit(second.execute, earn, {"who": booked.people["李姐"], "level": 2})
        assert until_waiting(booked.engine, ended=waiting.done)
        first.commit()
        with pytest.raises(DBAPIError) as refused:
            waiting.result(60)
    assert refused.value.orig.sqlstate == "HT422"  # type: ignore[union-attr]
    with booked.sessions.begin() as session:  # a commission without its booking is no state of a shop
        session.execute(text("alter table commission_line disable trigger user"))
        session.execute(text("delete from commission_line where n = 2"))
        session.execute(text("alter table commission_line enable trigger user"))
