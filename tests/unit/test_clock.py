"""Business time of a demo: moved by anybody, seen by everybody, never back."""

import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from domain.shared.clock import SHANGHAI, OffsetClock, business_date

NOON = datetime(2026, 11, 20, 4, 0, tzinfo=UTC)


def test_a_move_is_seen_by_every_clock_of_the_home(tmp_path: Path) -> None:
    one, other = (OffsetClock(tmp_path / "clock", lambda: NOON) for _ in range(2))
    assert other.now() == NOON
    assert one.advance(3_600) == other.now() == NOON + timedelta(hours=1)
    assert OffsetClock(tmp_path / "clock", lambda: NOON).now() == NOON + timedelta(hours=1)


def test_moves_of_several_add_up(tmp_path: Path) -> None:
    clocks = [OffsetClock(tmp_path / "clock", lambda: NOON) for _ in range(4)]

    def move(clock: OffsetClock) -> None:
        for _ in range(25):
            clock.advance(60)

    threads = [threading.Thread(target=move, args=(clock,)) for clock in clocks]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert OffsetClock(tmp_path / "clock", lambda: NOON).now() == NOON + timedelta(minutes=100)


def test_time_never_goes_back(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="never goes back"):
        OffsetClock(tmp_path / "clock").advance(-1)


def test_a_business_day_is_the_shops_day() -> None:
    assert business_date(datetime(2026, 11, 20, 16, 30, tzinfo=UTC), SHANGHAI).day == 21
