"""The way through an employee: when it is closed, when it is reminded of, and that its texts and table are checked."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from bot.runtime import staffway
from bot.runtime.settings import SettingsError
from bot.runtime.voice import Voice
from domain.stafftasks.rules import LEAST_LIFE, LONGEST_LIFE, StaffWay, life, month_begins, objection, remind_at
from domain.subscriptions.rules import BadCatalogue, Catalogue

NOW = datetime(2026, 11, 20, 2, 0, tzinfo=UTC)
WAY = StaffWay({"main": 4}, frozenset({"notices.broadcast"}))
HOUR = timedelta(hours=1)


@pytest.mark.parametrize(("key", "had", "left", "why"), [
    ("notices.broadcast", 0, 24 * HOUR, ""), ("notices.broadcast", 3, None, ""),
    ("money.earned", 0, 24 * HOUR, "not_for_staff"), ("notices.broadcast", 4, 24 * HOUR, "staff_cap"),
    ("notices.broadcast", 0, LEAST_LIFE, ""), ("notices.broadcast", 0, LEAST_LIFE - HOUR, "too_short")])
def test_why_it_is_closed(key: str, had: int, left: timedelta | None, why: str) -> None:
    assert objection(WAY, key, 4, had, NOW + left if left else None, NOW) == why


def test_the_life_and_the_reminder_of_a_task() -> None:
    assert life(None, NOW) == life(NOW + timedelta(days=9), NOW) == NOW + LONGEST_LIFE
    assert life(NOW + HOUR, NOW) == NOW + HOUR
    assert remind_at(NOW, NOW + timedelta(days=1)) == NOW + 4 * HOUR
    assert remind_at(NOW, NOW + 3 * HOUR) == NOW + 1.5 * HOUR


def test_the_month_is_that_of_the_shop() -> None:
    assert month_begins(datetime(2026, 10, 31, 17, 0, tzinfo=UTC)) == datetime(2026, 10, 31, 16, 0, tzinfo=UTC)
    assert month_begins(datetime(2026, 10, 31, 15, 0, tzinfo=UTC)) == datetime(2026, 9, 30, 16, 0, tzinfo=UTC)


@pytest.mark.parametrize("order", [
    'money = ["custom", "staff"]', 'answer = ["custom", "staff"]', 'service = ["staff", "custom"]'])
def test_money_and_answers_never_go_this_way_and_it_is_the_last(order: str) -> None:
    with pytest.raises(BadCatalogue, match="staff is the last way"):
        Catalogue.load(f"[order]\n{order}\n")


@pytest.mark.parametrize(("written", "fault"), [
    ('[mass.gone]\ntext = "x"', "there is no such notice"),
    ('[mass.told]\ntext = "{{ nickname }}"\nargs = ["nickname"]', "nickname is no fact of it")])
def test_words_for_nothing_are_found_at_the_start(tmp_path: Path, written: str, fault: str) -> None:
    (tmp_path / "a.toml").write_text(f'[told]\ntext = "{{{{ title }}}}"\nargs = ["title"]\n{written}\n', "utf-8")
    settings: Any = SimpleNamespace(wecom={})
    with pytest.raises(SettingsError, match=fault):
        staffway.load(settings, Voice(tmp_path))


def test_who_has_no_number_does_not_use_it(tmp_path: Path) -> None:
    (tmp_path / "a.toml").write_text('told = "x"\n[mass]\ntold = "y"\n', "utf-8")
    settings: Any = SimpleNamespace(wecom={"on": SimpleNamespace(staff_messages=4),
                                           "off": SimpleNamespace(staff_messages=0)})
    assert staffway.load(settings, Voice(tmp_path)) == StaffWay({"on": 4}, frozenset({"told"}))
