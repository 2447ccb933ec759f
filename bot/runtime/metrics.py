"""Metrics: what the parts count, and what is read from the database at each scrape.

With several web processes (or under the supervisor) PROMETHEUS_MULTIPROC_DIR is set before this module is imported;
counts of all processes are then summed in the answer.
"""

import os
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from functools import cache

from prometheus_client import REGISTRY as PROCESS_REGISTRY
from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.multiprocess import MultiProcessCollector
from prometheus_client.registry import Collector
from sqlalchemy import Connection, Engine, text
from sqlalchemy.exc import SQLAlchemyError

from bot.runtime import pay_watch

_INBOX = Counter("huitou_inbox_messages", "Messages taken from platforms, by what became of them.", ["outcome"])
_OUTBOX = Counter("huitou_outbox_effects", "Effects executed, by what became of them.", ["queue", "kind", "outcome"])
_ANSWERS = Counter("huitou_platform_answers",
                   "Calls of platform interfaces, by error code (0 is success; without one, by how far they came).",
                   ["account", "api", "errcode"])
_PAY = Counter("huitou_pay_answers", "Calls to the payment provider and its notifications, by how they ended.",
               ["account", "call", "code"])
_REFRESHES = Counter("huitou_token_refreshes", "Access tokens asked for.", ["account", "outcome"])
_EVENTS = Counter("huitou_commerce_events", "Commerce events received.", ["source", "outcome"])
_ACK = Histogram("huitou_ack_seconds", "From a platform's request to our answer.", ["channel"],
                 buckets=(0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 4.5))
_POSTER = Histogram("huitou_poster_seconds", "Drawing one poster.", buckets=(0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10))


_ACK_BY_CHANNEL = cache(_ACK.labels)
"""Finding a counter by its labels costs more than counting."""


@cache
def _one(counter: Counter, *labels: str) -> Counter:
    return counter.labels(*labels)


def inbox(outcome: str, number: int = 1) -> None:
    """Messages came: done, ignored, retry (answered again), failed, dead, quarantined, refused, too_large."""
    _one(_INBOX, outcome).inc(number)


def outbox(queue: str, kind: str, outcome: str, number: int = 1) -> None:
    """Effects were tried: done, failed, dead, or the reason of their refusal."""
    _one(_OUTBOX, queue, kind, outcome).inc(number)


def platform_answer(account: str, api: str, errcode: str) -> None:
    """A platform answered a call of ours with ``errcode``; or not: unsent, uncertain (no answer that can be read),
    server (5xx), answered (3xx or 4xx)."""
    _one(_ANSWERS, account, api, errcode).inc()


def pay_answer(account: str, call: str, code: str) -> None:
    """A call to the payment provider ended with a state, a code of its or one of ours; or it notified us."""
    _PAY.labels(account, call, code).inc()


def token_refresh(account: str, outcome: str) -> None:
    """An access token was asked for: fresh or failed."""
    _REFRESHES.labels(account, outcome).inc()


def events(source: str, outcome: str, number: int = 1) -> None:
    """Commerce events came: accepted, duplicate, conflict, invalid, refused."""
    _EVENTS.labels(source, outcome).inc(number)


def ack(channel: str, seconds: float) -> None:
    """A platform waited ``seconds`` for our answer."""
    _ACK_BY_CHANNEL(channel).observe(seconds)


def poster(seconds: float) -> None:
    """A poster or style sheet took ``seconds`` from its claim until it was sent or refused."""
    _POSTER.observe(seconds)


_DUE = """(
    select queue, due_at from outbox where state in ('waiting', 'running') and due_at <= :now
    union all select 'fact', at from earned_news cross join unnest(order_ids) where at <= :now)"""
"""What was earned is news until it is told; each of its orders counts as a fact."""

_STATE = {
    "huitou_outbox_oldest_seconds": (
        "Age of the oldest effect that is due and not done.", "queue",
        f"select queue, extract(epoch from :now - min(due_at)) from {_DUE} due group by queue"),  # noqa: S608
    "huitou_outbox_waiting": (
        "Effects that are due and not done.", "queue",
        f"select queue, count(*) from {_DUE} due group by queue"),  # noqa: S608
    "huitou_outbox_dead": (
        "Effects that were given up.", "queue",
        "select queue, count(*) from outbox where state = 'dead' group by queue"),
    "huitou_inbox_unhandled": (
        "Messages that failed, were given up or are quarantined.", "state",
        "select state, count(*) from inbox_message where state in ('failed', 'dead', 'quarantined') group by state"),
    "huitou_events_stuck": (
        "Commerce events that contradict what is booked, were given up, or wait for their order.", "state",
        "select state, count(*) from commerce_open where state <> 'new' group by state"),
    "huitou_books_faults": (
        "What does not add up in the books and is not mended; 'all' is the sum.", "invariant",
        "select coalesce(invariant, 'all'), count(*) from books_fault where cleared_at is null "
        "group by rollup (invariant)"),
    "huitou_books_check_age_seconds": (
        "Since the last finished check of the books: recent is due every 3 minutes, full every night.", "kind",
        "select kind, extract(epoch from clock_timestamp() - coalesce(ended_at, since)) from books_check"),
    "huitou_audit_open_seconds": (
        "How long the oldest row of the log of acts has waited for its seal; 0 when none does.", "log",
        "select 'acts', coalesce(extract(epoch from clock_timestamp() - min(written_at)), 0) from audit_event "
        "where id > (select coalesce(max(event_id), 0) from audit_seal)"),
    "huitou_pay_incidents": (
        "What the payment channel and the books differ in; while one is open, nothing is paid.", "kind",
        "select kind, count(*) from pay_incident where closed_at is null group by kind"),
    "huitou_tickets_open": (
        "People who talk with a human, by whose turn it is.", "waits_for",
        "select waits_for, count(*) from ticket where state = 'open' group by waits_for"),
    "huitou_ticket_oldest_seconds": (
        "How long the oldest open ticket has waited, by whose turn it is.", "waits_for",
        "select waits_for, extract(epoch from :now - min(waits_since)) from ticket where state = 'open' "
        "group by waits_for"),
    "huitou_people_conflicts": (
        "Pairs of people who look like one and were not merged, by what refused it, until somebody has looked.",
        "conflict", "select conflict, count(*) from person_merge_conflict where settled_at is null group by conflict"),
    "huitou_platform_used_today": (
        "Calls of an interface counted today (Beijing).", "api",
        "select api, sum(used) from platform_budget "
        "where day = cast(:now at time zone 'Asia/Shanghai' as date) group by api"),
    "huitou_marketing_closed": (
        "1 for each interface that is closed for marketing until midnight in Beijing.", "api",
        "select api, 1 from platform_budget where marketing_until > :now"),
    "huitou_subscriptions_banked": (
        "Subscription notices that people have allowed and that are not used up.", "account",
        "select account, count(*) from subscription_token where spent_at is null and lost_at is null group by account"),
    "huitou_wecom_contacts": (
        "Customers whom employees have in WeCom: friends, half (not yet accepted).", "state",
        "select case when half then 'half' else 'friends' end, count(*) from contact where ended_at is null "
        "group by 1"),
    "huitou_wecom_welcomes": (
        "Welcomes of the last day by how they ended.", "outcome",
        "select welcome, count(*) from contact where welcome <> '' and welcomed_at > :now - interval '1 day' "
        "group by 1"),
    "huitou_wecom_tags": (
        "Tags in WeCom that wait or were refused.", "state",
        "select state, count(*) from contact_tag where state <> 'done' group by 1"),
    "huitou_staff_task_oldest_seconds": (
        "How long the oldest mass message has waited for the tap of an employee.", "account",
        "select account, extract(epoch from :now - min(asked_at)) from staff_task where state = 'asked' "
        "group by account"),
    "huitou_platform_held": (
        "Interfaces of the platform that are not called for now, by the answer that said so.", "errcode",
        "select errcode, count(*) from platform_hold where until > now() group by errcode"),
} | pay_watch.GAUGES
"""Gauge -> (meaning, label, query giving label and value). ``:now`` is business time, in which rows of the business are
dated; what the platform told to rest, books, seals and certificates go by real time."""


class StateCollector(Collector):
    """Gauges computed from the database when somebody asks, never between."""

    def __init__(self, engine: Engine, merchants: Mapping[str, datetime], now: datetime) -> None:
        self._engine, self._merchants, self._now = engine, merchants, now

    def collect(self) -> Iterator[GaugeMetricFamily]:
        readable = GaugeMetricFamily("huitou_state_readable", "1 when the gauges below could be read.")
        families: list[GaugeMetricFamily] = []
        try:
            with self._engine.connect() as db:
                db.exec_driver_sql("set local statement_timeout = '2s'")
                families = [_gauge(db, name, self._now) for name in _STATE]
            readable.add_metric([], 1)
        except SQLAlchemyError:
            readable.add_metric([], 0)
        yield readable
        yield from families
        if self._merchants:
            yield self._own_certificates()

    def _own_certificates(self) -> GaugeMetricFamily:
        family = GaugeMetricFamily("huitou_merchant_certificate_seconds",
                                   "Until our own certificate runs out and the platform refuses what we sign.",
                                   labels=["account"])
        for account, until in self._merchants.items():
            family.add_metric([account], (until - datetime.now(UTC)).total_seconds())
        return family


def _gauge(db: Connection, name: str, now: datetime) -> GaugeMetricFamily:
    meaning, label, query = _STATE[name]
    family = GaugeMetricFamily(name, meaning, labels=[label])
    for value, number in db.execute(text(query), {"now": now}):
        family.add_metric([str(value)], float(number))
    return family


def render(engine: Engine, merchants: Mapping[str, datetime] | None = None, now: datetime | None = None) -> bytes:
    """The text that Prometheus reads: counts of all processes that share a directory, or of this one, and state.
    ``merchants``: until when the certificates of our merchant accounts are valid, of those whose file is known;
    ``now``: business time, real time if not given."""
    registry = CollectorRegistry()
    registry.register(StateCollector(engine, merchants or {}, now or datetime.now(UTC)))
    if os.environ.get("PROMETHEUS_MULTIPROC_DIR"):
        MultiProcessCollector(registry)  # type: ignore[no-untyped-call]
        return bytes(generate_latest(registry))
    return bytes(generate_latest(PROCESS_REGISTRY)) + bytes(generate_latest(registry))
