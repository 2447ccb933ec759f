"""The regulator's file: every commission with its cause, nobody's name, and nothing that runs in a spreadsheet."""

import csv
import io
from datetime import date, timedelta

import pytest

from domain.ledger import service
from domain.ledger.rules import Entry, Move, person, platform
from domain.shared.clock import business_date
from domain.workflows.evidence import COLUMNS, PAGE, Pseudonyms, regulator_csv
from tests.integration.money.world import Shop

NAMES = Pseudonyms(b"a key of this shop alone")


@pytest.fixture
def shop(engine, clock) -> Shop:
    shop = Shop(engine, clock)
    shop.person("李姐")
    shop.person("小王", invited_by="李姐")
    shop.person("新客", invited_by="小王")
    return shop


def exported(shop: Shop, first: date | None = None, last: date | None = None) -> list[dict[str, str]]:
    today = business_date(shop.clock.now())
    raw = b"".join(regulator_csv(shop.sessions, NAMES, first or today - timedelta(days=40), last or today))
    assert raw.startswith(b"\xef\xbb\xbf")
    read = csv.DictReader(io.StringIO(raw.decode("utf-8-sig"), newline=""))
    rows = list(read)
    assert tuple(read.fieldnames or ()) == COLUMNS
    return rows


def test_a_commission_stands_with_its_whole_cause(shop: Shop) -> None:
    shop.tell(shop.pay("A1", by="新客", fen=[9_900, 5_000]), shop.refund("A1", "R1", {"1": 3_300}, quantity=1))
    rows = exported(shop)
    assert [(row["record"], row["level"], row["line_id"]) for row in rows] == [
        ("commission", level, line) for line in ("1", "2") for level in ("1", "2")]
    one = rows[0]
    wanted = {
        "order_channel": "mall", "order_no": "A1", "goods": "货1", "sku": "SKU1", "category": "fmcg", "quantity": "1",
        "order_paid_fen": "14900", "line_paid_fen": "9900", "base_fen": "9900", "rule": "category:fmcg",
        "rate_bps": "800", "uncut_fen": "792", "amount_fen": "792", "taken_back_fen": "264", "left_fen": "528",
        "plan_version": "1", "plan_name": "two-level", "line_refunded_fen": "3300", "line_refunded_quantity": "1",
        "state": "pending", "payer": NAMES.of(shop.people["新客"]), "beneficiary": NAMES.of(shop.people["小王"]),
        "at": "2026-11-20T10:00:00+08:00", "last_refunded_at": "2026-11-20T10:00:00+08:00", "released_at": "",
    }
    assert {name: one[name] for name in wanted} == wanted
    assert rows[1]["beneficiary"] == NAMES.of(shop.people["李姐"])


def test_nobody_is_named_and_the_same_person_stays_the_same(shop: Shop) -> None:
    shop.tell(shop.pay("A1", by="小王"), shop.pay("A2", by="新客"))
    rows = exported(shop)
    people = {row[name] for row in rows for name in ("payer", "beneficiary")}
    assert people == {NAMES.of(one) for one in shop.people.values()} and len(people) == 3
    assert Pseudonyms(b"another shop").of(1) != NAMES.of(1) and NAMES.of(None) == ""
    assert not any(name in str(rows) for name in shop.people)


def test_what_was_earned_otherwise_and_what_was_paid_out_follows(shop: Shop) -> None:
    shop.tell(shop.pay("A1", by="小王", fen=1_000_000), shop.receive("A1"))
    shop.days(8)
    gift = Entry("gift:1", "bonus.first_sale", shop.clock.now(), "person", 1, "首单奖",
                 (Move(platform("expense.bonus"), person(shop.people["李姐"], "pending"), 5_000),))
    with shop.sessions.begin() as session:
        service.post(session, [gift], shop.clock.now())
    shop.spend("李姐", 30_000)
    told = [(row["record"], row["kind"], row["amount_fen"], row["account"]) for row in exported(shop)]
    assert told == [("commission", "base", "80000", ""), ("bonus", "bonus.first_sale", "5000", "expense.bonus"),
                    ("payout", "payout.paid", "-30000", "clearing.wechat")]
    assert exported(shop)[1]["cause"] == "首单奖"


def test_days_are_those_of_shanghai_and_both_are_included(shop: Shop) -> None:
    late = shop.clock.now().replace(hour=15, minute=59)
    shop.tell(shop.pay("A1", by="小王", at=late), shop.pay("A2", by="小王", at=late + timedelta(minutes=1)))
    day = date(2026, 11, 20)
    assert [row["order_no"] for row in exported(shop, day, day)] == ["A1"]
    assert [row["order_no"] for row in exported(shop, day + timedelta(days=1), day + timedelta(days=1))] == ["A2"]
    assert [row["order_no"] for row in exported(shop, day, day + timedelta(days=1))] == ["A1", "A2"]
    assert exported(shop, date(2025, 1, 1), date(2025, 12, 31)) == []


def test_a_title_is_no_formula(shop: Shop) -> None:
    event = shop.pay("=1+1", by="小王")
    event.data["lines"][0]["title"] = '=HYPERLINK("http://x")' if isinstance(event.data, dict) else ""
    shop.tell(event)
    row, = exported(shop)
    assert (row["order_no"], row["goods"]) == ("'=1+1", "'=HYPERLINK(\"http://x\")")


def test_a_long_file_comes_in_pages_without_a_gap(shop: Shop, monkeypatch) -> None:
    assert PAGE >= 1_000
    monkeypatch.setattr("domain.workflows.evidence.PAGE", 3)
    shop.tell(*(shop.pay(f"A{n}", by="小王") for n in range(10)))
    with shop.sessions.begin() as session:
        service.post(session, [
            Entry(f"g{n}", "bonus", shop.clock.now(), "x", n, "", tuple(
                Move(platform("expense.bonus"), person(shop.people["李姐"], "pending"), amount) for amount in (1, 2)))
            for n in range(5)], shop.clock.now())
    rows = exported(shop)
    assert sorted(row["order_no"] for row in rows[:10]) == [f"A{n}" for n in range(10)]
    assert [int(row["amount_fen"]) for row in rows[10:]] == [1, 2] * 5
