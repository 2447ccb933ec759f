"""Sales, refunds fen by fen, releases and a merge of whoever earns, all at once: the books are what a model says that
knows of no merge and no order of arrival."""

import random
from fractions import Fraction

import pytest

from domain import workflows
from domain.ledger import service as ledger
from tests.fakes.shadow_ledger import Shadow
from tests.integration.money.merging import KEEPER, keeper, left_behind, merge
from tests.integration.money.world import Shop
from tests.together import at_once

RATES = {(1, "fmcg"): Fraction(8, 100), (2, "*"): Fraction(2, 100)}


@pytest.mark.parametrize("who", ["小王", "李姐", "新客"])
@pytest.mark.parametrize("seed", range(3))
def test_every_fen_is_with_who_was_kept(shop: Shop, seed: int, who: str) -> None:
    dice = random.Random(seed)
    keeper(shop)
    shadow = Shadow({"新客": ["小王", "李姐"]}, RATES, Fraction(1, 2))
    names = {"小王": "小王", "李姐": "李姐"} | {who: KEEPER}
    old, new = ([f"{kind}{n}" for n in range(5)] for kind in ("O", "N"))
    prices = {order: dice.randint(1, 9_999) for order in (*old, *new)}
    for order, fen in prices.items():
        shadow.tell(("paid", order, {"buyer": "新客", "lines": [("1", "fmcg", fen)]}))
    shop.tell(*(shop.pay(order, by="新客", fen=prices[order]) for order in old), *(shop.receive(one) for one in old))
    shop.clock.advance(8 * 86_400)
    shadow.released = set(old)
    events = [shop.pay(order, by="新客", fen=prices[order]) for order in new]
    for order in (*old[:4], *new[:3]):
        left = prices[order]
        for n in range(dice.randint(1, 12)):
            fen = min(left, dice.choice((1, 1, 2, 3, prices[order] // 5 + 1)))
            if fen:
                left -= fen
                shadow.tell(("refunded", order, (f"R{n}", {"1": fen})))
                events.append(shop.refund(order, f"R{n}", fen))
    dice.shuffle(events)
    shop.tell(*events, *dice.sample(events, 5), apply=False)

    def become_one() -> object:
        return ledger.retrying(shop.sessions, lambda session: merge(shop, session, who))

    def let_go() -> object:
        return ledger.retrying(shop.sessions, lambda s: workflows.release_due(s, shop.clock.now(), 2))

    at_once(shop.work, shop.work, become_one, let_go, let_go)
    while shop.work() or shop.due():
        pass
    assert left_behind(shop) == []
    assert {state for state, _ in shop.states().values()} == {"done"}
    for role, name in names.items():
        if role != "新客":
            pending, available, debt = shop.money(name)
            assert (pending, available - debt) == shadow.purse(role), (role, name)
