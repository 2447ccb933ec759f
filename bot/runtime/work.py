"""What a bell sets off: everything that is due, in the order in which one thing causes the next."""

from datetime import datetime

from bot.runtime import pulse
from bot.runtime.bootstrap import Runtime
from domain import workflows

MAX_ROUNDS = 200
"""A bound on one answer to a bell; what is left rings again."""

MUCH = 8
"""Things done in a round after which other workers are called, if there are any."""

EVENTS, LINES = 200, 500
NOTICE_THREADS = 32
POSTER_THREADS = 2


def answer(runtime: Runtime, bell: str) -> int:
    """Work until nothing of this bell is due; returns how many things were done."""
    rounds, queue = (fast_round, "fact") if bell == "fast" else (slow_round, "slow")
    total = 0
    with runtime.bell.answering(bell):
        for _ in range(MAX_ROUNDS):
            done = rounds(runtime)
            total += done
            if not runtime.bell.heard() and not done:
                return total
            if done >= MUCH:
                runtime.bell.ring([queue], for_help=True)
    runtime.bell.ring([queue])
    return total


def fast_round(runtime: Runtime) -> int:
    """Messages to retry, orders, money that falls due, facts, journeys, notices: one after the other.

    What one stage did may give work to each that follows, so those are asked even when the pulse did not feel them.
    """
    now = runtime.clock.now()
    with runtime.sessions.begin() as session:
        due = pulse.feel(session, now)
    done = 0
    while due.inbox and runtime.dispatcher.retry_failed():
        done += 1
    if due.books or done:
        done += _books(runtime, now)
    if due.facts or done:
        done += runtime.outbox.run("fact")
    if due.journeys or done:
        done += workflows.walk_journeys(runtime.sessions, runtime.library, runtime.clock.now())
    if due.notices or done:
        done += runtime.outbox.run("notice", limit=256, threads=NOTICE_THREADS)
    return done


def _books(runtime: Runtime, now: datetime) -> int:
    done = workflows.apply_events(runtime.sessions, now, runtime.pepper, EVENTS)
    with runtime.sessions.begin() as session:
        done += workflows.receive_overdue(session, now, LINES)
    with runtime.sessions.begin() as session:
        done += workflows.release_due(session, now, LINES)
    return done


def slow_round(runtime: Runtime) -> int:
    """Pictures and uploads, and then recurring work: nobody waits for that."""
    return runtime.outbox.run("slow", limit=8, threads=POSTER_THREADS) + runtime.chores.run()
