"""Deals, plans and purses as pure functions."""

from dataclasses import replace
from datetime import date
from pathlib import Path

import pytest

from domain.commissions import plans
from domain.commissions.queries import fen_of, masked
from domain.commissions.rules import Above, DealLine, SaleLine, rule_for, sold_by, strike, taken_back
from domain.ledger.rules import Purse, platform

PLANS = Path(__file__).parents[3] / "assets" / "plans"
FIRST = plans.load(PLANS / "first-shop.toml")
TWO = plans.load(PLANS / "two-level.toml")
TODAY = date(2026, 11, 20)


def deal(lines: list[SaleLine], upline: list[int], roles: dict[int, str], plan: plans.Plan, buyer: int = 9,
         boosts: dict[int, int] | None = None, day: date = TODAY) -> list[DealLine]:
    return strike(buyer, lines, Above(upline, roles, boosts or {}), plan, day)


@pytest.mark.parametrize(("category", "role", "bps"), [
    ("fmcg", "member", 800), ("digital", "member", 300), ("books", "member", 500), ("books", "gold", 2500),
    ("fmcg", "gold", 2500), ("digital", "gold", 300), ("fmcg", "promoter", 800), ("", "", 500),
])
def test_rates_of_the_shipped_plan(category: str, role: str, bps: int) -> None:
    rule = rule_for(FIRST, 1, "any", category, role)
    assert rule is not None and rule.rate_bps == bps


def test_the_most_specific_rule_wins_in_the_promised_order() -> None:
    asked = [("product+role", {"sku": "S", "role": "gold"}), ("product", {"sku": "S"}),
             ("category+role", {"category": "fmcg", "role": "gold"}), ("category", {"category": "fmcg"}),
             ("role", {"role": "gold"}), ("default", {})]
    rules = tuple(plans.Rule(level=1, rate_bps=100 + n, **named) for n, (_, named) in enumerate(asked))
    for skipped in range(len(rules)):
        for order in (rules[skipped:], rules[skipped:][::-1]):
            found = rule_for(replace(FIRST, rules=order), 1, "S", "fmcg", "gold")
            assert found is not None and found.key.split(":")[0] == asked[skipped][0]


def test_the_shipped_plans_pay_one_and_two_levels() -> None:
    line = [SaleLine(1, "S", "fmcg", 9_900)]
    assert [part.amount_fen for part in deal(line, [1, 2, 3], {}, FIRST)] == [792]
    assert [(p.beneficiary_id, p.amount_fen) for p in deal(line, [1, 2, 3], {}, TWO)] == [(1, 792), (2, 198)]


def test_a_level_that_may_not_earn_is_not_passed_on() -> None:
    line = [SaleLine(1, "S", "fmcg", 10_000)]
    picky = replace(TWO, earners="promoters")
    assert [(p.beneficiary_id, p.level) for p in deal(line, [1, 2], {2: "promoter"}, picky)] == [(2, 2)]
    assert deal(line, [9], {}, TWO) == []


def test_halves_go_up_and_nothing_is_left_out() -> None:
    sold = [SaleLine(1, "S", "x", 10), SaleLine(2, "S", "x", 9)]
    assert [part.amount_fen for part in deal(sold, [1], {}, FIRST)] == [1]


def test_the_cap_cuts_by_largest_remainder_and_never_exceeds() -> None:
    greedy = replace(TWO, cap_bps=1_000, rules=(plans.Rule(1, 2_000), plans.Rule(2, 1_000)))
    for fen in range(200):
        parts = deal([SaleLine(1, "S", "x", fen)], [1, 2], {}, greedy)
        assert sum(part.amount_fen for part in parts) <= fen // 10
    assert [p.amount_fen for p in deal([SaleLine(1, "S", "x", 100)], [1, 2], {}, greedy)] == [7, 3]


PHASES = (plans.Phase("启动期", date(2026, 11, 1), date(2026, 11, 15), 15_000),
          plans.Phase("爆发期", date(2026, 11, 15), None, 12_000))
LIFTED = replace(TWO, phases=PHASES, boosts=plans.Boosts(max_bps=12_000, top_rate_bps=3_500))


@pytest.mark.parametrize(("day", "boost", "role", "rate", "amount"), [
    (date(2026, 10, 31), 10_000, "member", 800, 792), (date(2026, 11, 1), 10_000, "member", 1_200, 1_188),
    (date(2026, 11, 14), 12_000, "member", 1_440, 1_426), (date(2026, 11, 15), 12_000, "member", 1_152, 1_140),
    (date(2026, 11, 15), 30_000, "member", 1_152, 1_140), (date(2026, 11, 1), 12_000, "gold", 3_500, 3_465),
])
def test_phase_and_boost_multiply_within_the_limits_of_the_plan(
    day: date, boost: int, role: str, rate: int, amount: int,
) -> None:
    line = [SaleLine(1, "S", "fmcg", 9_900)]
    (part,) = deal(line, [1], {1: role}, replace(LIFTED, levels=1), boosts={1: boost}, day=day)
    assert (part.rate_bps, part.amount_fen) == (rate, amount)
    assert part.rule_bps == (2_500 if role == "gold" else 800) and part.boost_bps == min(boost, 12_000)
    assert (part.phase, part.phase_bps) == {10: ("", 10_000)}.get(
        day.month, ("启动期", 15_000) if day.day < 15 else ("爆发期", 12_000))


def test_a_sale_counts_to_whoever_may_earn_from_it_and_to_who_brought_them() -> None:
    picky = replace(TWO, earners="promoters")
    assert sold_by(9, Above([1, 2, 3], {}), TWO) == (1, 2)
    assert sold_by(9, Above([1], {}), TWO) == (1, None)
    assert sold_by(9, Above([], {}), TWO) == sold_by(9, Above([9], {}), TWO) == (None, None)
    assert sold_by(9, Above([1, 2], {2: "promoter"}), picky) == (None, None)


@pytest.mark.parametrize("parts", [(333, 333, 334), (1, 1, 998), (999, 1, 0), (500, 250, 250)])
def test_claw_back_by_cumulative_target_ends_exactly(parts: tuple[int, ...]) -> None:
    taken = [taken_back(101, sum(parts[:n]), 1_000, closed=False) for n in range(1, 4)]
    assert taken == sorted(taken) and taken[-1] == 101
    assert taken_back(101, 0, 1_000, closed=True) == 101


def test_a_purse_gives_what_it_has_and_owes_the_rest() -> None:
    purse = Purse(7, available=30)
    moves = purse.take_back(50, platform("expense.direct"))
    assert [(m.debit.kind, m.amount) for m in moves] == [("available", 30), ("debt", 20)]
    assert [(m.credit.kind, m.amount) for m in purse.let_go(25)] == [("debt", 20), ("available", 5)]
    assert (purse.available, purse.debt) == (5, 0)
    assert purse.let_go(0) == []


@pytest.mark.parametrize(("written", "fen"), [
    ("7.92", 792), ("¥7.92", 792), ("+1,280元", 128_000), ("7.9", 790), ("8块", 800), ("A1001", None), ("0", None),
    ("7.923", None), ("", None), ("1e3", None), ("-5", 500), ("7块9毛2", 792), ("七块九毛二", 792), ("九块九", 990),
    ("7块9毛2分", 792), ("3块05", 305), ("一百五十块五", 15_050), ("两块二", 220), ("1块9毛2分钱", 192), ("零块", None),
    ("九九块", None), ("7块9斤", None), ("块9", None),
])
def test_amounts_as_people_write_them(written: str, fen: int | None) -> None:
    assert fen_of(written) == fen


def test_names_are_masked() -> None:
    assert [masked(name) for name in ("小王子", "李", "")] == ["小**", "李*", "*"]
