"""The main story: paid, accrued, partly refunded, received, released."""

from tests.integration.money.world import Shop


def test_a_payment_earns_for_two_levels(shop: Shop) -> None:
    shop.tell(shop.pay("A1", by="新客", fen=9_900))
    assert shop.states() == {"e1": ("done", "")}
    assert shop.money("小王") == (792, 0, 0)
    assert shop.money("李姐") == (198, 0, 0)


def test_a_partial_refund_shows_at_once_and_the_rest_is_released(shop: Shop) -> None:
    shop.tell(shop.pay("A1", by="小王", fen=9_900))
    shop.tell(shop.refund("A1", "R1", 3_300))
    assert shop.money("李姐") == (528, 0, 0)
    shop.tell(shop.receive("A1"))
    shop.days(6.9)
    assert shop.money("李姐") == (528, 0, 0)
    shop.days(0.2)
    assert shop.money("李姐") == (0, 528, 0)
