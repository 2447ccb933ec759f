"""Keeps many effects in flight: while some leave, the next are decided, and the ends of others are recorded.

One thread decides, one records, for many at once; the others only call out. A call lasts fifty milliseconds, deciding
about sixteen and recording their ends takes twenty, so as many again as are in flight may be decided and not recorded
yet. Never more than ``AHEAD``, because what a killed worker had recorded as leaving counts as sent.
"""

import queue
import time
from collections import defaultdict, deque
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Protocol

from bot.kit.jobs import Claimed, Ended, Ready

LEASE_SECONDS = 40
SAFETY_SECONDS = 25
"""No effect is started this close to the end of its lease: a call may take two tries of eight seconds."""

AHEAD = 32
AT_LEAST, TOGETHER = 8, 16
"""So many are decided at once; fewer when there are no more."""
RUN_SECONDS = 2.0
"""A run claims no more after so long: other work is due, too."""

End = tuple[Claimed, Ended | Exception | None]
"""None: it was not started, because its lease may lapse meanwhile; whoever claims next does it."""


class Work(Protocol):
    """What is done with effects; the outbox does it. Each may be called by another thread."""

    def plan(self, effects: Sequence[Claimed]) -> dict[int, Ended | Ready]:
        """What is decided together about effects of different people; without those to execute alone."""
        ...

    def attempt(self, effect: Claimed, act: Callable[[], Ended] | None = None) -> Ended | Exception:
        """Do one effect (or what is left of it, ``act``); its end is still to be recorded."""
        ...

    def record(self, ends: Sequence[tuple[Claimed, Ended | Exception]]) -> None:
        """Keep what became of effects."""
        ...


@dataclass(frozen=True, slots=True)
class Recorded:
    """These ends are kept, or could not be."""

    ends: Sequence[End]
    fault: Exception | None = None


class Drain:
    """One run with ``threads`` in flight; the effects of one person keep their order. ``claim`` gives the next portion,
    fewer than ``limit`` when there are no more."""

    def __init__(self, work: Work, claim: Callable[[], list[Claimed]], limit: int, threads: int) -> None:
        self._work, self._claim, self._limit, self._threads = work, claim, limit, threads
        self._began = time.monotonic()
        self._claimed_at = self._began
        self._people: dict[int, deque[Claimed]] = defaultdict(deque)
        self._next: deque[int] = deque()
        self._busy: set[int] = set()
        self._news: queue.SimpleQueue[End | Recorded] = queue.SimpleQueue()
        self._ends: list[End] = []
        self._recording = False
        self._more = True

    def run(self, claimed: Sequence[Claimed]) -> int:
        """Serve the ``claimed`` effects, and what else is due meanwhile; returns how many were claimed."""
        total = self._line_up(claimed)
        with ThreadPoolExecutor(self._threads) as pool, ThreadPoolExecutor(1) as recorder:
            while self._busy or self._next:
                self._start(pool)
                self._listen()
                if self._ends and not self._recording:
                    self._recording = True
                    recorder.submit(self._record, self._ends)
                    self._ends = []
                total += self._claim_more()
        return total

    def _line_up(self, claimed: Sequence[Claimed]) -> int:
        for effect in claimed:
            who = whose(effect)
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
        chosen = [self._people[self._next.popleft()].popleft() for _ in range(self._room())]
        if not chosen:
            return
        self._busy.update(map(whose, chosen))
        found = self._work.plan(chosen)
        for effect in chosen:
            decided = found.get(effect.id)
            if decided is None or isinstance(decided, Ready):
                pool.submit(self._leave, effect, decided)
            else:
                self._news.put((effect, decided))

    def _room(self) -> int:
        """How many to decide about now: not a few at a time while there are many."""
        free = self._threads + AHEAD - len(self._busy)
        return 0 if free < AT_LEAST < len(self._next) else min(free, TOGETHER, len(self._next))

    def _leave(self, effect: Claimed, ready: Ready | None) -> None:
        if ready is None and self._late():
            self._news.put((effect, None))
        else:
            self._news.put((effect, self._work.attempt(effect, ready.act if ready else None)))

    def _late(self) -> bool:
        return time.monotonic() - self._claimed_at > LEASE_SECONDS - SAFETY_SECONDS

    def _record(self, ends: Sequence[End]) -> None:
        try:
            self._work.record([(effect, ended) for effect, ended in ends if ended is not None])
        except Exception as fault:  # noqa: BLE001 - raised again where the run is
            self._news.put(Recorded(ends, fault))
        else:
            self._news.put(Recorded(ends))

    def _listen(self) -> None:
        """Take in what has ended and what was recorded; waits for the first news when nothing can be started before."""
        wait = bool(self._busy) and not self._room()
        while wait or not self._news.empty():
            wait = False
            match self._news.get():
                case Recorded(ends, fault):
                    if fault is not None:
                        raise fault
                    self._recording = False
                    for effect, _ in ends:
                        self._free(whose(effect))
                case end:
                    self._ends.append(end)

    def _free(self, who: int) -> None:
        """The next effect of the same person may leave."""
        self._busy.discard(who)
        if self._people[who]:
            self._next.append(who)
        else:
            del self._people[who]


def whose(effect: Claimed) -> int:
    """Whose turn it is: the person's, or the effect's own when it has none."""
    return effect.person_id or -effect.id
