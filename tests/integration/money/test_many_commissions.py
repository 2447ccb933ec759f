"""Commissions of many people in one statement are refused for what would refuse them one by one."""

from dataclasses import dataclass

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from tests.integration.money.world import Shop

LINES = text("insert into order_line (order_id, n, line_id, sku, title, category, quantity, paid_fen)"
             " select o.id, n, n, 's', 't', 'c', 1, 100 from customer_order o cross join generate_series(2, 4) n")
EARNED = ("insert into commission_line (order_id, n, beneficiary_id, level, base_fen, rate_bps, rule, rule_bps,"
          " plan_version, uncut_fen, amount_fen, accrued_at) select c.order_id, e.n, e.person, e.level, 100, 1, 'x', 1,"
          " c.plan_version + e.later, e.fen, e.fen, now() from (select * from commission_line limit 1) c"
          " cross join (values {rows}) as e (n, level, person, fen, later)")


@dataclass(frozen=True)
class Odd:
    """What is odd in one commission of many; ``before`` is what its line paid somebody in a statement before."""

    state: str = ""
    key: str | None = None
    n: int = 4
    fen: int = 40
    later: int = 0
    before: int = 0


ODDS = {
    "all that was paid": Odd(),
    "a fen more": Odd("HT422", fen=41),
    "a fen more with what was there": Odd("HT422", before=1),
    "all that was paid with what was there": Odd(fen=39, before=1),
    "a line that is not there": Odd("23503", "fk_commission_line_order_id_n", n=9),
    "a plan that is not there": Odd("23503", "fk_commission_line_plan_version", later=50),
}


@pytest.fixture
def booked(shop: Shop) -> Shop:
    shop.tell(shop.pay("A1", by="小王", fen=9_900))
    return shop


@pytest.mark.parametrize("whose", ["its own", "others'"])
@pytest.mark.parametrize("many", [2, 3], ids=["four people", "six people"])
@pytest.mark.parametrize("what", sorted(ODDS))
def test_one_odd_commission_of_many_is_refused(booked: Shop, what: str, many: int, whose: str) -> None:
    """Lines that the same transaction wrote are looked at all at once, those of others one by one, under a lock."""
    odd, refused = ODDS[what], None
    people = [booked.person(f"第{n}人") for n in range(2 * many)]
    rows = [(n, level, people[2 * (4 - n) + level - 1], 60 if level == 1 else 40, 0)
            for n in range(4, 4 - many, -1) for level in (1, 2)]
    rows[1] = (odd.n, 2, people[1], odd.fen, odd.later)
    with booked.sessions() as session:
        session.execute(LINES)
        if whose == "others'":
            session.commit()
        try:
            if odd.before:
                session.execute(text(EARNED.format(rows=f"(4, 3, {people[0]}, {odd.before}, 0)")))
            session.execute(text(EARNED.format(rows=", ".join(map(str, rows)))))
        except DBAPIError as fault:
            refused = fault.orig
    found = (getattr(refused, "sqlstate", ""), refused.diag.constraint_name if refused else None)  # type: ignore[attr-defined]
    assert found == (odd.state, odd.key)
