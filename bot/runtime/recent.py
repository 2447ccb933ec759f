"""The replies that this process gave last, by message: a retry is answered without the database.

A platform repeats what it did not see answered, so retries come in thousands just when the database is slow. Only
committed replies belong here; they never change. What was forgotten, or answered by another process, the inbox knows.
"""

import threading
from collections import OrderedDict

from bot.kit.messages import Incoming, Reply

KEPT = 2_000
"""Replies of the last seconds of a burst; two megabytes at most."""


class Recent:
    """The newest replies. Safe to share between threads."""

    def __init__(self, kept: int = KEPT) -> None:
        self._kept = kept
        self._lock = threading.Lock()
        self._replies: OrderedDict[tuple[str, str], Reply] = OrderedDict()

    def keep(self, message: Incoming, reply: Reply) -> None:
        """``reply`` was committed as the answer to ``message``."""
        with self._lock:
            self._replies[message.account, message.dedupe_key] = reply
            while len(self._replies) > self._kept:
                self._replies.popitem(last=False)

    def reply_to(self, message: Incoming) -> Reply | None:
        """What was answered to this very message, None if it is not known here."""
        return self._replies.get((message.account, message.dedupe_key))
