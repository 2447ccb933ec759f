"""assets/roles.toml: every fault at once, nothing that counts heads, and the same document from the database."""

from dataclasses import replace
from datetime import date

import pytest

from bot.runtime.bootstrap import ASSETS
from domain.roles.rulebook import RulebookError, document, load, parse

SHIPPED = (ASSETS / "roles.toml").read_text("utf-8")


def test_the_shipped_rules_survive_the_database() -> None:
    book = load(SHIPPED)
    assert parse(document(book), 7) == replace(book, version=7)
    dated = load("effective_from = 2026-12-01\n" + SHIPPED)
    assert dated.effective_from == date(2026, 12, 1) and parse(document(dated)) == dated
    assert book.regular_orders == 4


def test_every_fault_is_named_at_once() -> None:
    with pytest.raises(RulebookError) as fault:
        load('''
effective_from = "soon"
colour = "red"
[title]
member = "会员"
promoter = ""
gold = "金"
king = "王"
[promoter]
fact = "recruits"
[gold]
fact = "repurchases"
at_least = 0
min_kept_fen = 1.5
[partner]
fact = "direct_net_month"
at_least_fen = -1
months = 3
below_months = 1
from_role = "gold"
[[badge]]
key = "a1"
title = "x"
fact = "heads"
[[badge]]
key = "b2"
title = "x"
fact = "direct_buyers"
at_least = 10
[[badge]]
key = "b2"
title = "y"
fact = "direct_buyers"
at_least = 20
''')
    said = str(fault.value)
    for part in ("effective_from", "'colour'", "promoter needs a text", "partner needs a text", "'king' is no role",
                 "[promoter]: 'fact' is 'recruits'", "'at_least' is 0", "'min_kept_fen' is 1.5", "'at_least_fen' is -1",
                 "'below_months' is 1", "[[badge]] 1: 'fact' must be one of", "two badges with the key 'b2'"):
        assert part in said, part
    assert len(fault.value.faults) >= 12


@pytest.mark.parametrize("text", ["", "x = ", "title = 3", "[promoter]\nfact = 3", "badge = 3"])
def test_nonsense_is_a_fault_and_no_crash(text: str) -> None:
    with pytest.raises(RulebookError):
        load(text)


def test_partners_need_somebody_to_come_from() -> None:
    without_gold = SHIPPED.replace("[gold]", "[gold_off]").replace('from_role = "promoter"', 'from_role = "gold"')
    with pytest.raises(RulebookError, match="nothing makes anybody gold"):
        load(without_gold)
