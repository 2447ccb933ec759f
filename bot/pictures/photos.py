"""Photos of goods from the shop's own addresses: fetched guardedly, kept a while, never worth a failed poster."""

import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from typing import Final

from bot.pictures import avatar

MOST_SECONDS: Final = 3.0
MOST_BYTES: Final = 4_000_000
_KEPT: Final = 32
_FRESH_SECONDS: Final = 600.0
_MISS_SECONDS: Final = 60.0


def _from_outside(url: str) -> bytes | None:
    return avatar.fetch(url, None, seconds=MOST_SECONDS, most_bytes=MOST_BYTES)


class Photos:
    """Photos by address. Thread-safe. A photo is asked for again after ten minutes, a miss after one."""

    def __init__(self, fetch: Callable[[str], bytes | None] = _from_outside,
                 now: Callable[[], float] = time.monotonic) -> None:
        self._fetch, self._now = fetch, now
        self._kept: OrderedDict[str, tuple[float, bytes | None]] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, url: str) -> bytes | None:
        """The bytes at ``url``, or None: no address, not https, not public, too slow, too big, no picture."""
        if not url.startswith("https://"):
            return None
        with self._lock:
            until, photo = self._kept.get(url, (0.0, None))
        if self._now() < until:
            return photo
        photo = self._fetch(url)
        with self._lock:
            self._kept[url] = (self._now() + (_FRESH_SECONDS if photo else _MISS_SECONDS), photo)
            self._kept.move_to_end(url)
            while len(self._kept) > _KEPT:
                self._kept.popitem(last=False)
        return photo
