"""Business time. Nobody calls ``datetime.now()``: whoever needs the time is given a clock."""

import fcntl
import os
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache
from pathlib import Path
from typing import Protocol
from zoneinfo import ZoneInfo

SHANGHAI = ZoneInfo("Asia/Shanghai")


class Clock(Protocol):
    def now(self) -> datetime:
        """The business time, aware, UTC."""
        ...


def _system_now() -> datetime:
    return datetime.now(UTC)


class SystemClock:
    """Real time."""

    def now(self) -> datetime:
        return _system_now()


class FixedClock:
    """A clock for tests: stands still until it is told to move."""

    def __init__(self, at: datetime) -> None:
        self._at = at

    def now(self) -> datetime:
        return self._at

    def advance(self, seconds: float) -> datetime:
        self._at += timedelta(seconds=seconds)
        return self._at


class OffsetClock:
    """Real time plus an offset kept in a file, so that every process of a demo sees the same move.

    Business time only: signatures, tokens and timeouts are judged by real time and never ask here.
    """

    def __init__(self, path: Path, real: Callable[[], datetime] = _system_now) -> None:
        self._path = path
        self._real = real
        self._stamp: tuple[int, int] | None = None
        self._offset = timedelta(0)

    def now(self) -> datetime:
        return self._real() + self._load()

    def advance(self, seconds: int) -> datetime:
        """Move on by ``seconds`` >= 0 for every process; returns the new time. Two at once add up."""
        if seconds < 0:
            raise ValueError("business time never goes back")
        with self._path.with_suffix(".lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            self._stamp = None
            total = self._load() + timedelta(seconds=seconds)
            draft = self._path.with_suffix(f".{os.getpid()}.tmp")
            draft.write_text(str(int(total.total_seconds())))
            draft.replace(self._path)
        return self.now()

    def _load(self) -> timedelta:
        try:
            stat = os.stat(self._path)
        except FileNotFoundError:
            self._stamp, self._offset = None, timedelta(0)
            return self._offset
        stamp = (stat.st_mtime_ns, stat.st_ino)
        if stamp != self._stamp:
            self._offset = timedelta(seconds=int(self._path.read_text()))
            self._stamp = stamp
        return self._offset


def business_date(at: datetime, zone: ZoneInfo = SHANGHAI) -> date:
    """The calendar day of an instant where the shop is."""
    return at.astimezone(zone).date()


@lru_cache(maxsize=1_000)
def month_bounds(day: date, zone: ZoneInfo = SHANGHAI) -> tuple[datetime, datetime]:
    """The first instant of the business month of ``day``, and that of the next month."""
    first = day.replace(day=1)
    following = (first + timedelta(days=32)).replace(day=1)
    return day_starts(first, zone), day_starts(following, zone)


@lru_cache(maxsize=1_000)
def day_starts(day: date, zone: ZoneInfo = SHANGHAI) -> datetime:
    """The first instant of a business day."""
    return datetime(day.year, day.month, day.day, tzinfo=zone).astimezone(UTC)
