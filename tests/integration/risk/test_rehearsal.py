"""The whole rehearsal, against the promises of docs/RISK.md. A minute each, so only with HUITOU_TORTURE."""

import os

import pytest

from bot.runtime.rehearsal import measure
from tests.integration.risk.world import RULES

torture = pytest.mark.skipif(not os.environ.get("HUITOU_TORTURE"), reason="a minute a story: HUITOU_TORTURE=1")


@torture
@pytest.mark.timeout(600)
@pytest.mark.parametrize("seed", [11, 12])
def test_planted_fraud_is_found_and_honest_trade_goes_on(seed: int) -> None:
    report = measure.run(seed, RULES)
    assert report.schemes_held == report.schemes
    assert report.honest_held * 100 <= report.honest_orders * 5
    assert report.fraud_held * 100 >= report.fraud_orders * 80


@torture
@pytest.mark.timeout(600)
def test_what_can_be_seen_without_signals_is_seen() -> None:
    report = measure.run(11, RULES, signals=False)
    seen = {one.rule for one in report.rules if one.planted and one.found == one.planted}
    assert {"self_phone", "velocity", "ring", "star", "burst", "region", "refund_abuse"} <= seen
