"""What each line of a statement came from: finance (API) and its owner (明细) are told the same order."""

from typing import Any

from handlers.web.api import openapi
from tests.dialogs.test_grants import granted
from tests.dialogs.test_progress import buys, facts, verified
from tests.fakes.shop import Person, Shop
from tests.web.json_schema import faults


def lines(shop: Shop, who: Person, reason: str = "") -> list[dict[str, Any]]:
    """Money of the statement API, newest first; each page is what the specification says."""
    page = shop.get(f"/people/{facts(shop, who)['id']}/statement?limit=200")
    spec = openapi.specification()
    shape = spec["paths"]["/api/v1/people/{person_id}/statement"]["get"]["responses"]["200"]["content"]
    assert faults(page, shape["application/json"]["schema"], spec) == []
    return [one for one in page["lines"] if one["currency"] == "CNY" and one["reason"].startswith(reason)]


def orders(found: list[dict[str, Any]]) -> list[tuple[str, int, str]]:
    return [(one["reason"], one["change"], one["order"]) for one in found]


def test_a_reward_names_the_order_that_opened_it_from_beginning_to_end(shop: Shop) -> None:
    li = shop.person("李姐")
    buys(shop, li, "A1", "A2")
    earned, = lines(shop, li, "reward.")
    assert (earned["reason"], earned["change"], earned["order"]) == ("reward.earned", 500, "mall/A2")
    assert earned["cause"].startswith("reward:")
    li.says("明细").sees("+¥5.00", " A2\n")
    shop.wait(days=7, hours=1)
    assert orders(lines(shop, li, "reward."))[0] == ("reward.released", 0, "mall/A2")
    shop.refunded("A2", fen=9_900, quantity=3)
    shop.wait(minutes=1)
    found = lines(shop, li, "reward.")
    assert {one["order"] for one in found} == {"mall/A2"} and len({one["cause"] for one in found}) == 1
    assert sum(one["change"] for one in found) == 0
    li.says("明细").sees("-¥5.00", " A2\n")
    li.says("明细 本月").sees("5元红包 A2\n")


def test_a_reward_that_is_opened_again_names_another_order_each_time(shop: Shop) -> None:
    li = shop.person("李姐")
    buys(shop, li, "A1", "A2")
    shop.refunded("A2", fen=9_900, quantity=3)
    shop.wait(minutes=1)
    buys(shop, li, "A3")
    assert orders(lines(shop, li, "reward.")) == [
        ("reward.earned", 500, "mall/A3"), ("reward.taken_back", -500, "mall/A2"), ("reward.earned", 500, "mall/A2")]
    li.says("明细").sees(" A3\n", " A2\n")


def test_who_brought_a_friend_is_told_the_friends_order(shop: Shop) -> None:
    li = shop.person("李姐")
    buys(shop, li, "L1")
    xin = shop.person("新客", invited_by="李姐")
    verified(shop, li, xin)
    buys(shop, xin, "B1", "B2")
    for one in (li, xin):
        found = lines(shop, one, "reward.")
        assert found and {line["order"] for line in found} == {"mall/B2"}
    li.says("明细").sees(" B2\n")
    commission, = [one for one in lines(shop, li, "commission.") if one["order"] == "mall/B2"]
    assert commission["cause"] == ""


def test_what_no_order_brought_names_what_did(shop: Shop) -> None:
    li = shop.person("李姐")
    assert granted(shop, li, "red_packet", 888, "present") == "done"
    given = lines(shop, li, "reward.")[-1]
    assert (given["reason"], given["change"], given["order"]) == ("reward.given", 888, "")
    assert given["cause"] and "order" not in given["cause"]


def test_a_page_of_a_statement_still_ends_with_a_whole_journal(shop: Shop) -> None:
    li = shop.person("李姐")
    buys(shop, li, "A1", "A2")
    shop.wait(days=7, hours=1)
    path, cursor, seen = f"/people/{facts(shop, li)['id']}/statement?limit=1", "", []
    while cursor is not None:
        page = shop.get(f"{path}&cursor={cursor}")
        seen += [one["id"] for one in page["lines"]]
        cursor = page["next_cursor"]
    whole = shop.get(f"/people/{facts(shop, li)['id']}/statement?limit=200")["lines"]
    assert seen == [one["id"] for one in whole] and len(set(seen)) == len(seen) > 2
