"""Keeps many effects in flight: while some leave, the next are decided, and the ends of others are recorded.

One thread decides and records, for many at once; the others only call out. A call lasts fifty milliseconds and a
decision for sixteen effects takes ten, so a few are decided ahead: recorded as leaving before a thread is free for
them. Never more than ``AHEAD``, because what a killed worker had recorded as leaving counts as sent.
"""

import queue
import time
from collections import defaultdict, deque
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

from bot.kit.jobs import Claimed, Ended, Ready

if TYPE_CHECKING:
    from bot.runtime.outbox import OutboxRunner

LEASE_SECONDS = 40
SAFETY_SECONDS = 25
"""No effect is started this close to the end of its lease: a call may take two tries of eight seconds."""

AHEAD = 16
TOGETHER = 16
"""At most so many are decided at once; fewer when nothing else is to do."""
RUN_SECONDS = 2.0
"""A run claims no more after so long: other work is due, too."""

End = tuple[Claimed, Ended | Exception | None]
"""None: it was not started, because its lease may lapse meanwhile; whoever claims next does it."""


class Drain:
    """One run with ``threads`` in flight; the effects of one person keep their order. ``claim`` gives the next portion,
    fewer than ``limit`` when there are no more."""

    def __init__(self, runner: "OutboxRunner", claim: Callable[[], list[Claimed]], limit: int, threads: int) -> None:
        self._runner, self._claim, self._limit, self._threads = runner, claim, limit, threads
        self._began = time.monotonic()
        self._claimed_at = self._began
        self._people: dict[int, deque[Claimed]] = defaultdict(deque)
        self._next: deque[int] = deque()
        self._busy: set[int] = set()
        self._ends: queue.SimpleQueue[End] = queue.SimpleQueue()
        self._more = True

    def run(self, claimed: Sequence[Claimed]) -> int:
        """Serve the ``claimed`` effects, and what else is due meanwhile; returns how many were claimed."""
        total = self._line_up(claimed)
        with ThreadPoolExecutor(self._threads) as pool:
            while self._busy or self._next:
                self._start(pool)
                self._record()
                total += self._claim_more()
        return total

    def _line_up(self, claimed: Sequence[Claimed]) -> int:
        for effect in claimed:
            who = _who(effect)
            if not self._people[who] and who not in self._busy:
                self._next.append(who)
            self._people[who].append(effect)
        self._more = len(claimed) >= self._limit
        return len(claimed)

    def _claim_more(self) -> int:
        """The next portion, in time for nobody to wait for it. Only when nothing of the last is still to be started:
        so every effect is started within its own lease."""
        now = time.monotonic()
        if self._next or not self._more or now - self._began > RUN_SECONDS:
            return 0
        self._claimed_at = now
        return self._line_up(self._claim())

    def _start(self, pool: ThreadPoolExecutor) -> None:
        """Decide about as many as there is room for, one of each person, and let them leave."""
        if self._late():
            self._next.clear()
            self._more = False
        room = min(self._threads + AHEAD - len(self._busy), TOGETHER)
        if room <= 0 or not self._next:
            return
        chosen = [self._people[self._next.popleft()].popleft() for _ in range(min(room, len(self._next)))]
        self._busy.update(map(_who, chosen))
        found = self._runner.plan(chosen)
        for effect in chosen:
            decided = found.get(effect.id)
            if decided is None or isinstance(decided, Ready):
                pool.submit(self._leave, effect, decided)
            else:
                self._ends.put((effect, decided))

    def _leave(self, effect: Claimed, ready: Ready | None) -> None:
        if ready is None and self._late():
            self._ends.put((effect, None))
        else:
            self._ends.put((effect, self._runner.attempt(effect, ready.act if ready else None)))

    def _late(self) -> bool:
        return time.monotonic() - self._claimed_at > LEASE_SECONDS - SAFETY_SECONDS

    def _record(self) -> None:
        """Keep what came to its end since; waits for the first when nothing can be started before."""
        full = len(self._busy) >= self._threads + AHEAD or not self._next
        if not self._busy or (not full and self._ends.empty()):
            return
        ends = list(_all_of(self._ends))
        self._runner.record([(effect, ended) for effect, ended in ends if ended is not None])
        for effect, _ in ends:
            who = _who(effect)
            self._busy.discard(who)
            if self._people[who]:
                self._next.append(who)
            else:
                del self._people[who]


def _who(effect: Claimed) -> int:
    """Whose turn it is: the person's, or the effect's own when it has none."""
    return effect.person_id or -effect.id


def _all_of(ends: "queue.SimpleQueue[End]") -> Iterable[End]:
    """What has ended; waits for the first."""
    yield ends.get()
    while True:
        try:
            yield ends.get_nowait()
        except queue.Empty:
            return
