"""What comes alone is taken in and booked by look-ups, many by one statement: the same rows, the same refusals."""

from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session

from bot.runtime import demo_team
from domain import workflows
from domain.commissions import service as commissions
from domain.ledger import service
from domain.ledger.rules import Currency, Entry, Move, Side, person, platform
from domain.people import service as people
from domain.people.rules import IdentityRef
from domain.shared.errors import Conflict, DomainError
from tests.integration.money.world import PEPPER, Shop

ROWS = """
    select j.kind, j.effective_at, j.posted_at, j.source_type, j.source_id, j.label, j.actor,
           p.n, d.owner_id, d.kind, c.owner_id, c.kind, p.currency, p.amount
      from journal j join posting p on p.journal_id = j.id
      join account d on d.id = p.debit join account c on c.id = p.credit
     where j.idem = :idem order by p.n
"""
HELD = """
    select a.kind, a.currency, a.normal, b.amount, b.seq from account a join balance b on b.account_id = a.id
     where a.owner_id = :owner order by 1, 2
"""


def _side(side: tuple[str, str], owners: dict[str, int]) -> Side:
    name, kind = side
    return person(owners[name], kind) if name else platform(kind)  # type: ignore[arg-type]


Pair = tuple[tuple[str, str], tuple[str, str], int, Currency]

COMMISSION: list[Pair] = [(("", "expense.direct"), ("near", "pending"), 792, "CNY"),
                          (("", "expense.level2"), ("far", "pending"), 198, "CNY")]
FACTS: dict[str, list[Pair]] = {
    "commission": COMMISSION,
    "one person twice": [(("", "expense.direct"), ("near", "pending"), 5, "CNY"),
                         (("", "expense.direct"), ("near", "pending"), 7, "CNY"),
                         (("near", "pending"), ("far", "available"), 11, "CNY")],
    "there and back": [(("", "expense.direct"), ("near", "pending"), 5, "CNY"),
                       (("near", "pending"), ("", "expense.direct"), 5, "CNY")],
    "a debt grows": [(("near", "debt"), ("", "expense.direct"), 30, "CNY")],
    "a debt is repaid": [(("near", "debt"), ("", "expense.direct"), 30, "CNY"),
                         (("", "expense.direct"), ("near", "pending"), 50, "CNY"),
                         (("near", "pending"), ("near", "debt"), 20, "CNY"),
                         (("near", "pending"), ("near", "available"), 30, "CNY")],
}
REFUSED: dict[str, list[Pair]] = {
    "overdraft": [(("near", "available"), ("", "expense.direct"), 1, "CNY")],
    "no such account of the platform": [(("", "expense.nothing"), ("near", "pending"), 1, "CNY")],
    "no such kind of money": [(("", "expense.direct"), ("near", "gold"), 1, "CNY")],
    "nothing at all": [(("", "expense.direct"), ("near", "pending"), 0, "CNY")],
    "to oneself": [(("near", "pending"), ("near", "pending"), 1, "CNY")],
    "a good one before a bad one": [*COMMISSION, (("", "expense.nothing"), ("near", "pending"), 1, "CNY")],
}


def _entry(shop: Shop, idem: str, pairs: list[Pair], owners: dict[str, int]) -> Entry:
    moves = tuple(Move(_side(debit, owners), _side(credit, owners), amount, currency)
                  for debit, credit, amount, currency in pairs)
    return Entry(idem, "test", shop.clock.now(), "test", 7, "a label", moves, "somebody")


def _others(shop: Shop) -> Entry:
    """What makes many of one."""
    shop.person("谁")
    return _entry(shop, "other", COMMISSION, {"near": shop.people["谁"], "far": shop.people["谁"]})


def _book(shop: Shop, entry: Entry, *, alone: bool) -> int:
    entries = [entry] if alone else [entry, _others(shop)]
    with shop.sessions.begin() as session:
        return service.post(session, entries, shop.clock.now())


def _people(shop: Shop, way: str) -> dict[str, int]:
    return {name: shop.person(f"{name}-{way}") for name in ("near", "far")}


def _left(shop: Shop, idem: str, owners: dict[str, int]) -> list[Any]:
    names = {owner: name for name, owner in owners.items()}
    booked = [(*row[:8], names.get(row[8]), row[9], names.get(row[10]), *row[11:])
              for row in shop.rows(ROWS, idem=idem)]
    return [booked, *(shop.rows(HELD, owner=owner) for owner in owners.values())]


@pytest.mark.parametrize("fact", FACTS)
def test_a_fact_leaves_the_same_rows_alone_and_among_others(shop: Shop, fact: str) -> None:
    left = []
    for alone in (True, False):
        owners = _people(shop, f"{alone}")
        assert _book(shop, _entry(shop, f"first:{alone}", COMMISSION, owners), alone=alone) == (1 if alone else 2)
        _book(shop, _entry(shop, f"second:{alone}", FACTS[fact], owners), alone=alone)
        left.append(_left(shop, f"second:{alone}", owners))
    assert left[0] == left[1]
    assert len(left[0][0]) == len(FACTS[fact])


@pytest.mark.parametrize("alone", [True, False])
@pytest.mark.parametrize("fact", REFUSED)
def test_what_is_refused_leaves_nothing(shop: Shop, fact: str, alone: bool) -> None:
    owners = _people(shop, "x")
    with pytest.raises((DBAPIError, DomainError)):
        _book(shop, _entry(shop, "bad", REFUSED[fact], owners), alone=alone)
    assert shop.rows("select count(*) from journal") == [(0,)]
    assert [shop.rows(HELD, owner=owner) for owner in owners.values()] == [[], []]


@pytest.mark.parametrize("alone", [True, False])
def test_a_key_counts_once_and_with_other_content_is_a_conflict(shop: Shop, alone: bool) -> None:
    owners = _people(shop, "x")
    entry = _entry(shop, "key", COMMISSION, owners)
    _book(shop, entry, alone=alone)
    before = _left(shop, "key", owners)
    assert _book(shop, entry, alone=alone) == 0
    assert _left(shop, "key", owners) == before
    with pytest.raises(Conflict):
        _book(shop, _entry(shop, "key", COMMISSION[:1], owners), alone=alone)
    assert _left(shop, "key", owners) == before


def test_accounts_are_looked_up_by_key_however_many_there_are(shop: Shop) -> None:
    """Also by a connection whose plans were made when there were few: no booking reads the accounts of everybody."""
    shop.people_bound({f"n{n}": "" for n in range(400)})

    def booked(key: str, first: int, last: int) -> list[Entry]:
        ids = shop.people
        return [_entry(shop, f"{key}{n:03}", COMMISSION, {"near": ids[f"n{n}"], "far": ids[f"n{n - 1}"]})
                for n in range(first, last)]

    read = text("select seq_tup_read + idx_tup_fetch from pg_stat_xact_user_tables where relname = 'account'")
    with shop.engine.connect() as db, Session(db) as session:
        session.execute(text("analyze account"))
        for entries in (booked("few", 1, 20), booked("all", 1, 400)):
            service.post(session, entries, shop.clock.now())
            session.commit()
        entries = booked("some", 180, 200)
        before: int = session.execute(read).scalar_one()
        service.post(session, entries, shop.clock.now())
        postings = 2 * len(entries)
        assert session.execute(read).scalar_one() - before < 10 * postings


def test_a_buyer_alone_is_recognised_by_each_name_as_among_others(shop: Shop) -> None:
    """By one name or several; with an unknown name among them it takes the slow way, which knows another person."""
    names = {"mall_user_id": "新客", "unionid": "u-1", "app_id": "wx1", "openid": "o-1", "external_userid": "wm-1"}
    shop.tell(shop.event("customer.upserted", identities=names))
    buyers: list[dict[str, str]] = [
        {"mall_user_id": "新客"}, {"unionid": "u-1"}, {"app_id": "wx1", "openid": "o-1"}, {"external_userid": "wm-1"},
        names, {"mall_user_id": "新客", "unionid": "u-2"},
    ]
    for n, buyer in enumerate(buyers):
        shop.tell(shop.pay(f"ALONE{n}", by="", buyer=buyer))
    for n, buyer in enumerate(buyers):
        shop.tell(shop.pay(f"MANY{n}", by="", buyer=buyer), shop.pay(f"OTHER{n}", by="小王"))
    struck = {order: tuple(people) for order, *people in shop.rows(
        "select order_no, buyer_id, seller_id, leader_id from customer_order where order_no not like 'OTHER%'")}
    known = (shop.people["新客"], shop.people["小王"], shop.people["李姐"])
    for way in ("ALONE", "MANY"):
        assert [struck[f"{way}{n}"] for n in range(5)] == [known] * 5
    assert struck["ALONE5"] == struck["MANY5"] != known


def test_a_buyer_alone_whose_names_are_two_people_is_not_guessed(shop: Shop) -> None:
    shop.tell(shop.event("customer.upserted", identities={"unionid": "u-9"}))
    shop.tell(shop.pay("A1", by="", buyer={"mall_user_id": "新客", "unionid": "u-9"}))
    [(buyer, into)] = shop.rows("select o.buyer_id, p.merged_into from customer_order o"
                                " join person p on p.id = o.buyer_id")
    assert (buyer, into) == (shop.people["新客"], None)
    assert shop.rows("select count(*) from identity where person_id = :id and kind = 'unionid'", id=buyer) == [(1,)]


STRUCK = """
    select o.buyer_id, o.seller_id, o.leader_id, o.receive_due_at - o.paid_at, l.n, c.beneficiary_id, c.level, c.rule,
           c.rule_bps, c.boost_bps, c.rate_bps, c.amount_fen, c.held_at is not null
      from customer_order o join order_line l on l.order_id = o.id
      left join commission_line c on c.order_id = o.id and c.n = l.n
     where o.order_no = :order order by l.n, c.level
"""


def _above(shop: Shop) -> dict[str, tuple[str, ...]]:
    """Buyers with all kinds of people above them; expected: whom each of their orders brings something."""
    shop.people_bound({"五": "", "四": "五", "三": "四", "二": "三", "一": "二", "独": "", "旧": "", "圈": ""})
    ids, now = shop.people, shop.clock.now()
    long_ago, ago, ahead = (now + timedelta(days=days) for days in (-9, -2, 9))
    edge = ("insert into referral (referee_id, referrer_id, source, bound_at, first_until, valid_until,"
            " protected_until, ended_at, end_reason)"
            " values (:one, :other, 'scan', :bound, :until, :until, :bound, :ended, :why)")
    with shop.sessions.begin() as session:
        for name in ("期满", "换人", "续期", "未来", "绕圈"):
            [ids[name]] = people.resolve_many(session, [[IdentityRef("mall_user_id", name)]], now, pepper=PEPPER)
        for one, other, bound, until, ended in (
            ("期满", "二", long_ago, ago, None), ("换人", "旧", long_ago, None, ago), ("换人", "二", ago, None, None),
            ("续期", "二", ago, ahead, None), ("未来", "二", ahead, None, None),
            # Who ends one edge may come to stand under somebody who once stood under them.
            ("圈", "绕圈", long_ago, None, ahead), ("绕圈", "圈", ago, None, None),
        ):
            session.execute(text(edge), {"one": ids[one], "other": ids[other], "bound": bound, "until": until,
                                         "ended": ended, "why": "moved" if ended else ""})
        session.execute(text(
            "insert into role_grant (person_id, role, cause_kind, cause_key, granted_at, revoked_at, revoke_reason)"
            " values (:two, 'promoter', 'test', '1', :long_ago, null, ''), (:two, 'gold', 'test', '2', :ago, null, ''),"
            " (:three, 'gold', 'test', '3', :long_ago, :ago, 'over'), (:four, 'gold', 'test', '4', :ahead, null, '')"),
            {"two": ids["二"], "three": ids["三"], "four": ids["四"], "long_ago": long_ago, "ago": ago, "ahead": ahead})
        for name, bps, since, until in (
            ("三", 11_500, ago, ahead), ("三", 11_000, ago, ahead), ("三", 12_000, long_ago, ago),
            ("二", 11_500, ahead, ahead + timedelta(days=1)),
        ):
            commissions.grant_boost(session, ids[name], bps, since, until, f"{name}{bps}", now)
        session.execute(text("insert into account_hold (person_id, cause, since) values (:id, 'test', :at)"),
                        {"id": ids["四"], "at": now})
    return {"一": ("二", "三"), "二": ("三", "四"), "三": ("四", "五"), "四": ("五",), "五": (), "独": (), "期满": (),
            "换人": ("二", "三"), "续期": ("二", "三"), "未来": (), "绕圈": ("圈",)}


def test_who_stands_above_is_seen_alone_as_among_others(shop: Shop) -> None:
    """Ended, expired and future edges, a ring that time made, roles and boosts of then, accounts that are frozen."""
    expected = _above(shop)
    struck: dict[str, list[Any]] = {}
    for name in expected:
        shop.tell(shop.pay(f"ALONE-{name}", by=name, fen=[9_900, 100], category="books"))
        struck[name] = shop.rows(STRUCK, order=f"ALONE-{name}")
    shop.tell(*(shop.pay(f"MANY-{name}", by=name, fen=[9_900, 100], category="books") for name in expected))
    names = {person_id: name for name, person_id in shop.people.items()}
    for name, earners in expected.items():
        assert shop.rows(STRUCK, order=f"MANY-{name}") == struck[name], name
        assert tuple(names[row[5]] for row in struck[name] if row[4] == 1 and row[5]) == earners, name
    gold, boosted = struck["一"][:2]
    assert (gold[7], gold[9], boosted[9]) == ("role:gold", 10_000, 11_500)
    assert [row[12] for row in struck["二"][:2]] == [False, True]
    shop.check()


def test_a_third_level_is_paid_alone_as_among_others(shop: Shop) -> None:
    shop.people_bound({"四": "", "三": "四", "二": "三", "一": "二"})
    with shop.sessions.begin() as session:
        demo_team.allow_levels(session, shop.clock.now(), 3)
        rules = [{"level": level, "rate_bps": 1_000 // level} for level in (1, 2, 3)]
        commissions.ensure_plan(session, {"name": "three", "levels": 3, "rules": rules}, shop.clock.now())
    shop.tell(shop.pay("ALONE", by="一"))
    shop.tell(*(shop.pay(f"MANY-{name}", by=name) for name in ("一", "二", "三", "四")))
    earned = "select beneficiary_id from commission_line c join customer_order o on o.id = c.order_id" \
             " where o.order_no = :order order by c.level"
    ids = shop.people
    assert shop.rows(earned, order="ALONE") == [(ids["二"],), (ids["三"],), (ids["四"],)]
    assert [shop.rows(earned, order=f"MANY-{name}") for name in ("一", "二", "三", "四")] == [
        [(ids["二"],), (ids["三"],), (ids["四"],)], [(ids["三"],), (ids["四"],)], [(ids["四"],)], []]


def test_a_purchase_makes_a_binding_last_longer_alone_as_among_others(shop: Shop) -> None:
    """The plan counts from the purchase; the end is the same whether anybody else bought."""
    _above(shop)
    ends = []
    for n, others in enumerate(((), (shop.pay("OTHER", by="独"),))):
        shop.tell(shop.pay(f"A{n}", by="续期"), *others)
        ends += shop.rows("select valid_until from referral where referee_id = :id", id=shop.people["续期"])
    assert ends[0] == ends[1]
    assert ends[0][0] > shop.clock.now() + timedelta(days=9)


def test_what_was_parked_and_what_is_known_is_met_by_a_payment_alone(shop: Shop) -> None:
    """A refund that came first, the same payment told anew, another one under its number."""
    shop.tell(shop.refund("A1", "R1", 3_300))
    assert shop.states()["e1"][0] == "parked"
    shop.tell(shop.pay("A1", by="新客", event_id="first"))
    assert shop.rows("select refunded_fen from customer_order") == [(3_300,)]
    shop.tell(shop.pay("A1", by="新客", event_id="again"))
    shop.tell(shop.pay("A1", by="新客", fen=500, event_id="other"))
    states = shop.states()
    assert [states[one][0] for one in ("e1", "first", "again", "other")] == ["done", "done", "done", "conflict"]
    assert shop.rows("select count(*) from customer_order") == [(1,)]
    shop.check()


def test_orders_of_a_batch_are_numbered_as_their_events_came(shop: Shop) -> None:
    orders = [f"A{n}" for n in (3, 1, 2, 5, 4)]
    shop.tell(*(shop.pay(order, by="新客", event_id=f"e{n}") for n, order in enumerate(orders)))
    assert shop.rows("select order_no from customer_order order by id") == [(order,) for order in orders]
    assert shop.rows("select array_agg(order_id order by id) = array_agg(order_id order by order_id)"
                     " from commission_line") == [(True,)]


def test_others_who_are_due_come_along_with_the_first(shop: Shop) -> None:
    """Whoever asks for one takes one; whoever asks for many takes all that are free, whatever the first of them is."""
    shop.tell(shop.pay("A1", by="新客"), shop.pay("A2", by="小王"), shop.pay("A3", by="李姐"), apply=False)
    held = "select pg_advisory_xact_lock(hashtextextended('order:mall/A2', 0))"
    with shop.sessions.begin() as session:
        session.execute(text(held))
        assert workflows.apply_events(shop.sessions, shop.clock.now(), PEPPER, 1) == 1
        assert shop.rows("select order_no from customer_order") == [("A1",)]
        assert workflows.apply_events(shop.sessions, shop.clock.now(), PEPPER, 100) == 1
        assert workflows.apply_events(shop.sessions, shop.clock.now(), PEPPER, 100) == 0
        assert workflows.apply_events(shop.sessions, shop.clock.now(), PEPPER, 1) == 0
    assert shop.work() == 1
    assert shop.rows("select order_no from customer_order order by 1") == [("A1",), ("A2",), ("A3",)]
