"""Bounded waits: look again and again, never just sleep."""

import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")


def until(look: Callable[[], T], what: str, seconds: float = 30.0, pause: float = 0.02) -> T:
    """The first true value of ``look``. Fails, naming ``what``, when there is none within ``seconds``."""
    deadline = time.monotonic() + seconds
    while not (found := look()):
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {seconds:.0f} s: {what}")
        time.sleep(pause)
    return found
