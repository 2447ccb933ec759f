"""A merge commits after a worker has read who is who, before it has written: nothing is left with whoever is gone."""

from concurrent.futures import ThreadPoolExecutor

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from domain.people import service as people
from domain.workflows import MOVERS
from tests.integration.money.world import Shop
from tests.together import until_waiting

LEFT_BEHIND = """
    select a.owner_id, a.kind, b.amount from account a join balance b on b.account_id = a.id
      join person p on p.id = a.owner_id where p.merged_into is not null and b.amount <> 0
    union all
    select x.id, 'order', o.id from customer_order o
     cross join lateral (values (o.buyer_id), (o.seller_id), (o.leader_id)) x (id)
      join person p on p.id = x.id where p.merged_into is not null
    union all
    select c.beneficiary_id, 'commission', c.order_id from commission_line c
      join person p on p.id = c.beneficiary_id where p.merged_into is not null
"""


@pytest.fixture
def shop(shop: Shop) -> Shop:
    """分身 is another account of somebody, and the older one: it is the one that is kept."""
    shop.person("分身")
    with shop.sessions.begin() as session:
        session.execute(text("update person set joined_at = joined_at - interval '9 days' where id = :id"),
                        {"id": shop.people["分身"]})
    return shop


def work_while_merging(shop: Shop, who: str) -> None:
    """The worker takes in what is due as it was before the merge, and comes to write while the merge holds ``who``."""
    with ThreadPoolExecutor(1) as pool:
        with shop.sessions.begin() as merging:
            done = people.merge(merging, shop.people["分身"], shop.people[who], "one phone", shop.clock.now(), MOVERS)
            assert (done.kept_id, done.conflict) == (shop.people["分身"], "")
            working = pool.submit(shop.work)
            assert until_waiting(shop.engine, ended=working.done), "it waits for the merge"
        working.result(60)


@pytest.mark.parametrize("others", [0, 1])
@pytest.mark.parametrize("who", ["小王", "李姐"])
def test_whoever_earns_by_a_new_order_is_the_one_who_was_kept(shop: Shop, who: str, others: int) -> None:
    shop.tell(shop.pay("A1", by="新客"), *(shop.pay("A2", by="小王") for _ in range(others)), apply=False)
    work_while_merging(shop, who)
    assert shop.rows(LEFT_BEHIND) == []
    assert {state for state, _ in shop.states().values()} == {"done"}
    direct, above = shop.rows("select beneficiary_id, amount_fen from commission_line c join customer_order o"
                              " on o.id = c.order_id where o.order_no = 'A1' order by level")
    names = {"小王": "小王", "李姐": "李姐"} | {who: "分身"}
    assert (tuple(direct), tuple(above)) == ((shop.people[names["小王"]], 792), (shop.people[names["李姐"]], 198))


@pytest.mark.parametrize("released", [False, True])
def test_what_goes_back_is_taken_from_the_one_who_was_kept(shop: Shop, released: bool) -> None:
    shop.tell(shop.pay("A1", by="新客"))
    if released:
        shop.tell(shop.receive("A1"))
        shop.days(8)
    shop.tell(shop.refund("A1", "R1", 5_000), apply=False)
    work_while_merging(shop, "小王")
    assert shop.rows(LEFT_BEHIND) == []
    assert {state for state, _ in shop.states().values()} == {"done"}
    assert shop.money("分身") == ((0, 392, 0) if released else (392, 0, 0))


@pytest.mark.parametrize("role", ["buyer", "seller", "leader"])
def test_no_order_names_who_was_merged_away(shop: Shop, role: str) -> None:
    with shop.sessions.begin() as session:
        people.merge(session, shop.people["分身"], shop.people["小王"], "one phone", shop.clock.now(), MOVERS)
    parties = {"buyer": shop.people["李姐"], "seller": None, "leader": None} | {role: shop.people["小王"]}
    with shop.sessions() as session, pytest.raises(DBAPIError) as refused:
        session.execute(text(
            "insert into customer_order (channel, order_no, source, buyer_id, seller_id, leader_id, currency, paid_fen,"
            " shipping_fen, digest, paid_at, booked_at) values ('mall', 'X1', 'x', :buyer, :seller, :leader, 'CNY', 1,"
            " 0, 'x', now(), now())"), parties)
    assert refused.value.orig.sqlstate == "HT410"  # type: ignore[union-attr]


def test_no_commission_names_who_was_merged_away(shop: Shop) -> None:
    shop.tell(shop.pay("A1", by="新客"))
    with shop.sessions.begin() as session:
        people.merge(session, shop.people["分身"], shop.people["小王"], "one phone", shop.clock.now(), MOVERS)
    with shop.sessions() as session, pytest.raises(DBAPIError) as refused:
        session.execute(text(
            "insert into commission_line (order_id, n, beneficiary_id, level, base_fen, rate_bps, rule, rule_bps,"
            " plan_version, uncut_fen, amount_fen, accrued_at) select order_id, n, :gone, 3, 1, 1, 'x', 1,"
            " plan_version, 1, 1, now() from commission_line limit 1"), {"gone": shop.people["小王"]})
    assert refused.value.orig.sqlstate == "HT410"  # type: ignore[union-attr]
