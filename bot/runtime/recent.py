"""The replies that this process gave last, by message: a retry is answered without the database.

A platform repeats what it did not see answered, so retries come in thousands just when the database is slow. Only
committed replies belong here; they never change. What was forgotten, or answered by another process, the inbox knows.
"""

import threading
from collections import OrderedDict

from bot.kit.messages import Incoming, Reply

KEPT = 2_000
KNOWN = 20_000
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


class Senders:
    """Who wrote last from an account, by person: a guess, good for asking ahead what will be asked of them anyway.
    Who was merged since is another person; then what was asked ahead is not used."""

    def __init__(self, known: int = KNOWN) -> None:
        self._known = known
        self._people: dict[tuple[str, str], int] = {}

    def keep(self, message: Incoming, person_id: int) -> None:
        """``message`` came from this person."""
        sender = message.account, message.sender
        if self._people.get(sender) != person_id:
            if len(self._people) >= self._known:
                self._people.clear()  # simpler than knowing the oldest, and they come back with their next message
            self._people[sender] = person_id

    def person(self, message: Incoming) -> int | None:
        """Who probably sent ``message``; None if they were not met by this process."""
        return self._people.get((message.account, message.sender))
