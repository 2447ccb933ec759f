"""A short rehearsal, audited like the whole year: python -m bot journey rehearse."""

import json
import logging
import os
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import structlog
from click.testing import CliRunner

from bot.runtime.cli import main
from bot.runtime.replay import figures, pages
from bot.runtime.replay.figures import Report
from bot.runtime.replay.state import Plan
from bot.runtime.replay.year import rehearse

torture = pytest.mark.skipif(not os.environ.get("HUITOU_TORTURE"), reason="minutes: HUITOU_TORTURE=1")


@pytest.fixture
def quiet() -> Iterator[None]:
    """The command sets up logging for its process; put it back."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.ERROR))
    yield
    structlog.reset_defaults()


def play(plan: Plan, url: str) -> Report:
    began = time.process_time()
    report = rehearse(plan, None, lambda year: figures.gather(year, time.process_time() - began), url)
    assert isinstance(report, Report)
    return report


def test_nine_days_break_lose_and_double_nothing(database_url: str, quiet: None) -> None:
    report = play(Plan(customers=7, orders=14, days=9, seed=3, quota_days=(4,), quota=1), database_url)
    assert report.clean, pages.summary(report)
    sums = {name: sum(month[name] for month in report.months) for name in ("orders", "pushed", "refused", "said")}
    assert sums["orders"] >= 10 and sums["pushed"] >= 10 and sums["refused"] >= 1 and sums["said"] >= 5
    assert report.waits["quiet_hours"] >= 1 and report.waits["no_right"] >= 1, "the night and the closed windows"
    assert report.platform.get("45009", 0) >= 1, "the day with a quota of two"
    assert {one["key"] for one in report.journeys if one["entered"]} >= {"welcome", "care", "restock"}
    page, text = pages.render(report, ".html"), pages.render(report, ".md")
    assert "every promise kept" in page and "journey.care.shipped" in page and "every invariant holds" in text
    assert json.loads(json.dumps(report.plain(), default=str))["clean"] is True


def test_a_report_has_one_of_two_forms(tmp_path: Path) -> None:
    refused = CliRunner().invoke(main, ["journey", "rehearse", "--report", str(tmp_path / "year.pdf")])
    assert refused.exit_code == 2 and ".html or .md" in refused.output


@torture
@pytest.mark.timeout(3_600)
@pytest.mark.parametrize("seed", [1, 2, 3])
def test_seasons_of_several_stories(database_url: str, quiet: None, seed: int) -> None:
    report = play(Plan(customers=60, orders=300, days=90, seed=seed), database_url)
    assert report.clean, pages.summary(report)
