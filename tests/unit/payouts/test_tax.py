"""Tax as the law prints it, and what must hold between its printed figures."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.payouts import tax
from domain.payouts.tax import Basis

MONTH = tax.read("per_month", {"free_fen": 80_000, "flat_until_fen": 400_000, "cost_bps": 2_000,
                               "brackets": [[2_000_000, 2_000, 0], [5_000_000, 3_000, 200_000],
                                            [None, 4_000, 700_000]]})
YEAR = tax.read("cumulative", {"free_per_month_fen": 500_000, "cost_bps": 2_000, "brackets": [
    [3_600_000, 300, 0], [14_400_000, 1_000, 252_000], [30_000_000, 2_000, 1_692_000], [42_000_000, 2_500, 3_192_000],
    [66_000_000, 3_000, 5_292_000], [96_000_000, 3_500, 8_592_000], [None, 4_500, 18_192_000]]})
sums = st.integers(0, 30_000_000)
tables = st.sampled_from([MONTH, YEAR])


@pytest.mark.parametrize(("yuan", "taken"), [
    (0, 0), (800, 0), (1_000, 40), (3_000, 440), (4_000, 640), (10_000, 1_600), (25_000, 4_000), (62_500, 13_000),
    (100_000, 25_000),
])
def test_a_month_as_printed(yuan: int, taken: int) -> None:
    assert MONTH.total(yuan * 100) == taken * 100


def months_of(monthly_fen: int) -> list[int]:
    """What is withheld in each of twelve months of the same income."""
    paid: dict[int, tuple[int, int]] = {}
    for month in range(1, 13):
        taken = tax.due(YEAR, tax.basis_of("cumulative", paid, month), monthly_fen)
        paid[month] = (monthly_fen, taken)
    return [taken for _, taken in paid.values()]


def test_a_year_as_printed() -> None:
    assert sum(months_of(300_000)) == 0
    assert sum(months_of(2_000_000)) == 1_068_000


def test_five_payouts_of_800_in_a_month_are_taxed_as_4000() -> None:
    basis = Basis()
    taken = []
    for _ in range(5):
        fen = tax.due(MONTH, basis, 80_000)
        taken.append(fen)
        basis = Basis(basis.gross_fen + 80_000, basis.withheld_fen + fen)
    assert (taken[0], sum(taken)) == (0, 64_000)


def test_a_gap_in_the_year_starts_the_months_anew() -> None:
    paid = {1: (100, 0), 2: (100, 0), 4: (100, 5)}
    assert tax.basis_of("cumulative", paid, 5) == Basis(300, 5, 2)
    assert tax.basis_of("cumulative", paid, 3) == Basis(200, 0, 3)
    assert tax.basis_of("per_month", paid, 4) == Basis(100, 5, 1)


@given(tables, sums, st.integers(1, 12))
def test_a_fen_more_never_costs_more_than_a_fen(table: tax.Table, gross: int, months: int) -> None:
    """Continuous and monotone: neither the tax nor what is left ever falls."""
    step = table.total(gross + 1, months) - table.total(gross, months)
    assert step in (0, 1)


@pytest.mark.parametrize("edge", [80_000, 400_000, 2_500_000, 6_250_000])
def test_no_jump_at_the_edges(edge: int) -> None:
    around = [MONTH.total(fen) for fen in range(edge - 3, edge + 4)]
    assert max(b - a for a, b in itertools.pairwise(around)) <= 1


@given(tables, sums, sums, st.integers(0, 3_000_000))
def test_net_never_falls_and_gross_is_found_again(table: tax.Table, before: int, gross: int, withheld: int) -> None:
    basis = Basis(before, withheld)

    def taken(fen: int) -> int:
        return tax.due(table, basis, fen)

    net = gross - taken(gross)
    assert 0 <= taken(gross) <= gross
    assert gross + 1 - taken(gross + 1) >= net
    assert tax.gross_of(taken, net, gross) == gross
    found = tax.gross_of(taken, net, 0)
    assert (found - taken(found), gross - found in (0, 1)) == (net, True)


@given(st.lists(st.integers(1, 500_000), min_size=1, max_size=8))
def test_parts_of_a_month_are_taxed_as_their_sum(parts: list[int]) -> None:
    basis = Basis()
    for part in parts:
        fen = tax.due(MONTH, basis, part)
        basis = Basis(basis.gross_fen + part, basis.withheld_fen + fen)
    assert basis.withheld_fen == MONTH.total(sum(parts))


@pytest.mark.parametrize(("method", "change", "fault"), [
    ("per_month", {"brackets": [[2_000_000, 2_000, 0], [None, 3_000, 0]]}, "jumps"),
    ("per_month", {"flat_until_fen": 300_000}, "jumps"), ("per_month", {"brackets": []}, "end"),
    ("per_month", {"brackets": [[None, 4_000, 0], [10, 5_000, 0]]}, "end"),
    ("per_month", {"brackets": [[10, 4_000, 0], [None, 3_000, 0]]}, "ascend"),
    ("per_month", {"cost_bps": 10_000}, "below"), ("per_month", {"free_fen": "800"}, "int"),
])
def test_tables_that_cannot_be(method: str, change: dict[str, object], fault: str) -> None:
    document = {"free_fen": 80_000, "flat_until_fen": 400_000, "cost_bps": 2_000,
                "brackets": [[2_000_000, 2_000, 0], [5_000_000, 3_000, 200_000], [None, 4_000, 700_000]]}
    with pytest.raises(ValueError, match=fault):
        tax.read(method, document | change)
