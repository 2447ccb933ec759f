"""A journal that comes alone is booked by look-ups, many by one statement: the same rows, the same refusals."""

from typing import Any

import pytest
from sqlalchemy.exc import DBAPIError

from domain.ledger import service
from domain.ledger.rules import Currency, Entry, Move, Side, person, platform
from domain.shared.errors import Conflict, DomainError
from tests.integration.money.world import Shop

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
