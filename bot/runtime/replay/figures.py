"""The figures of a rehearsed year: what was sent, refused and put off, given and what it cost, and what stands.

Everything here is read from the shop's tables, apart from ``findings`` and the phones' counts, which come from the
auditor and the log. Where both can say the same thing they must agree.
"""

from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import asdict
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import text
from sqlalchemy.orm import Session

from bot.runtime.replay.auditor import Finding, audit
from bot.runtime.replay.auditor_of_answers import audit_answers
from bot.runtime.replay.auditor_of_money import SOON, audit_money
from bot.runtime.replay.auditor_of_orders import Booked, Parcel, audit_names, audit_orders
from bot.runtime.replay.auditor_of_rewards import Reward, audit_rewards
from bot.runtime.replay.phones import PUSHES, Line
from bot.runtime.replay.state import Year
from bot.runtime.replay.year import EXPERIMENT
from domain.experiments import queries as experiments
from domain.insight.rules import Segmentation
from domain.journeys import queries as journeys
from domain.ledger import service as ledger
from domain.shared.clock import SHANGHAI
from domain.shared.records import record

Rows = list[dict[str, Any]]
EARN_NOTHING = frozenset({"membership"})
"""Categories for which nobody gets a commission."""


@record
class Report:
    """All figures of one rehearsal. Money in fen; ``left``: what should not be left over, by name, all zero."""

    seed: int
    customers: int
    days: int
    start: datetime
    minutes: float
    cpu_seconds: float
    stops: int
    acts: dict[str, int]
    phones: dict[str, int]
    months: Rows
    texts: Rows
    refusals: dict[str, int]
    waits: dict[str, int]
    platform: dict[str, int]
    journeys: Rows
    grants: Rows
    coupons: Rows
    rewards: Rows
    points: dict[str, int]
    money: Rows
    withdrawals: Rows
    segments: dict[str, int]
    experiment: dict[str, Any]
    findings: tuple[Finding, ...]
    ledger_faults: tuple[str, ...]
    left: dict[str, int]

    @property
    def clean(self) -> bool:
        """Nothing was broken, lost or doubled, and the books are right."""
        return not self.findings and not self.ledger_faults and not any(self.left.values())

    def plain(self) -> dict[str, Any]:
        return asdict(self) | {"clean": self.clean}


def gather(year: Year, cpu_seconds: float) -> Report:
    """Everything about ``year``, while its shop is still there."""
    log = year.house.phones.log
    with year.house.runtime.sessions() as session:
        books = ledger.check(session)
        findings = _findings(session, year)
        plan = year.plan
        return Report(
            plan.seed, plan.customers, plan.days, plan.start, round(year.seconds / 60, 1), round(cpu_seconds, 1),
            year.stops, dict(year.counts), dict(Counter(line.what for line in log)),
            _months(session, year), _texts(session),
            _pairs(session, _REFUSED), _pairs(session, _WAITED), _platform(log), _journeys(session, year),
            _rows(session, _GRANTS), _rows(session, _COUPONS), _rows(session, _REWARDS), _points(session),
            _rows(session, _MONEY), _rows(session, _WITHDRAWALS), _segments(session, year), _experiment(session, year),
            findings, books.faults,
            _left(session, year),
        )


def _findings(session: Session, year: Year) -> tuple[Finding, ...]:
    """Everything that the auditors say, the oldest first."""
    log, texts, until = year.house.phones.log, year.texts, year.now
    paid = {number: sum(int(one["paid_fen"]) for one in data["lines"] if one["category"] not in EARN_NOTHING)
            for number, data in year.orders.items()}
    booked = [Booked(**row) for row in _rows(session, _BOOKED)]
    found = (audit(log, texts, year.manners) + audit_money(log, year.house.bank.receipts, texts, until)
             + audit_answers(log, until) + audit_orders(log, _parcels(year), booked, paid, texts, until)
             + audit_rewards(log, [Reward(**row) for row in _rows(session, _OPENED)])
             + audit_names(log, _owners(session, year, booked)))
    return tuple(sorted(found, key=lambda one: (one.at, one.openid)))


def _owners(session: Session, year: Year, booked: Sequence[Booked]) -> dict[str, frozenset[str]]:
    """Whose orders and coupons are whose, by their numbers."""
    found: dict[str, set[str]] = defaultdict(set)
    for number, data in year.orders.items():
        found[number].add(data["buyer"]["openid"])
    for one in booked:
        found[one.number].add(one.openid)
    for code, openid in session.execute(text(_CODES)):
        found[code].add(openid)
    return {name: frozenset(openids) for name, openids in found.items()}


def _parcels(year: Year) -> list[Parcel]:
    """What the shop system told of parcels. Of an order that came back at once nothing need be said."""
    undone: dict[str, datetime] = {}
    for at, event in year.house.told:
        if event["type"] in ("order.refunded", "order.closed"):
            undone.setdefault(event["data"]["order_id"], at)
    return [Parcel(at, year.orders[number]["buyer"]["openid"], number, undone.get(number, year.now) < at + SOON)
            for at, event in year.house.told if event["type"] == "order.shipped"
            for number in (event["data"]["order_id"],)]


def _rows(session: Session, statement: str, **asked: Any) -> Rows:
    return [dict(row._mapping) for row in session.execute(text(statement), asked)]


def _pairs(session: Session, statement: str, **asked: Any) -> dict[str, int]:
    return {str(row[0]): int(row[1]) for row in session.execute(text(statement), asked)}


_BOOKED = """
    select j.posted_at as at, i.value as openid, k.told as kind, o.order_no as number, sum(p.amount)::bigint as fen
      from journal j join posting p on p.journal_id = j.id
      join (values ('commission.accrued', 'earned'), ('commission.released', 'released'),
                   ('commission.clawed_back', 'taken back')) k (kind, told) on k.kind = j.kind
      join account a on a.id = case when k.told = 'taken back' then p.debit else p.credit end
      join identity i on i.person_id = a.owner_id and i.kind = 'openid'
      join customer_order o on o.id = j.source_id and j.source_type = 'order'
     where k.told <> 'released' or a.kind = 'available'
     group by j.id, i.value, k.told, o.order_no, j.posted_at"""
"""What was booked for whom by which order: what there is to be told of."""
_CODES = "select c.code, i.value from coupon c join identity i on i.person_id = c.person_id and i.kind = 'openid'"
_OPENED = """
    select i.value as openid, r.rung, r.amount::bigint as amount, max(r.turn) + 1 as times
      from reward r join identity i on i.person_id = r.person_id and i.kind = 'openid'
     where r.ladder = 'climb' and r.what in ('points', 'red_packet') group by 1, 2, 3"""
_MESSAGES = ("queue in ('notice', 'slow') and kind not in ('menu.push', 'withdrawal.drive', 'follower.learn',"
             " 'contact.meet', 'contact.learn', 'contact.tag')")
_REFUSED = f"""
    select split_part(reason, ':', 1), count(*) from outbox where {_MESSAGES} and state = 'refused'
     group by 1 order by 2 desc"""  # noqa: S608 - only constants
_WAITED = "select reason, count(*) from rehearsal_wait group by 1 order by 2 desc"
_TEXTS = f"""
    select coalesce(payload ->> 'key', kind) as key, coalesce(payload ->> 'purpose', 'answer') as purpose, state,
           split_part(reason, ':', 1) as reason, count(*) as number
      from outbox where {_MESSAGES} group by 1, 2, 3, 4 order by 5 desc, 1"""  # noqa: S608
_GRANTS = """
    select payload ->> 'journey' as journey, payload ->> 'what' as what,
           count(*) filter (where state = 'done') as given, count(*) filter (where state <> 'done') as refused
      from outbox where kind like 'grant.%' and payload ? 'journey' group by 1, 2 order by 1, 2"""
_COUPONS = """
    select kind, min(title) as title, count(*) as given, count(*) filter (where state = 'used') as used,
           count(*) filter (where state = 'expired') as expired, count(*) filter (where state = 'revoked') as revoked,
           coalesce(sum(off_fen) filter (where state = 'used'), 0)::bigint as used_fen,
           bool_or(pay_bps < 10000) as percent
      from coupon group by 1 order by 3 desc, 1"""
_REWARDS = """
    select ladder, title, what, count(*) as opened, count(*) filter (where state = 'final') as final,
           count(*) filter (where state = 'revoked') as revoked,
           coalesce(sum(amount) filter (where state = 'final'), 0)::bigint as amount
      from reward group by 1, 2, 3 order by 1, 4 desc"""
_MONEY = """
    select j.kind, count(distinct j.id) as journals, sum(p.amount)::bigint as amount
      from journal j join posting p on p.journal_id = j.id where p.currency = 'CNY' group by 1 order by 3 desc"""
_WITHDRAWALS = """
    select state, count(*) as number, sum(gross_fen)::bigint as gross_fen, sum(paid_gross_fen)::bigint as paid_fen
      from withdrawal group by 1 order by 2 desc, 1"""
_POINTS = """
    select (select coalesce(sum(amount), 0) from point_lot)::bigint as earned,
           (select coalesce(-sum(delta), 0) from point_move where kind = 'expire')::bigint as expired,
           (select coalesce(-sum(delta), 0) from point_move where kind = 'reverse')::bigint as taken_back,
           (select coalesce(sum(remaining), 0) from point_lot where state = 'active')::bigint as active,
           (select count(*) from check_in)::bigint as check_ins,
           (select count(*) from membership where until is null)::bigint as members"""


def _points(session: Session) -> dict[str, int]:
    return {name: int(value) for name, value in session.execute(text(_POINTS)).one()._mapping.items()}


def _texts(session: Session) -> Rows:
    """By text: how often planned, and what became of it. The most frequent first."""
    found: dict[tuple[str, str], dict[str, Any]] = {}
    for row in session.execute(text(_TEXTS)):
        one = found.setdefault((row.key, row.purpose), {
            "key": row.key, "purpose": row.purpose, "planned": 0, "sent": 0, "refused": 0, "waiting": 0, "why": {}})
        one["planned"] += row.number
        one[{"done": "sent", "refused": "refused", "dead": "refused"}.get(row.state, "waiting")] += row.number
        if row.state == "refused":
            one["why"][row.reason] = row.number
    return sorted(found.values(), key=lambda one: (-one["planned"], one["key"]))


def _platform(log: list[Line]) -> dict[str, int]:
    """How often the platform refused, by its number."""
    return {str(code): n for code, n in sorted(Counter(line.code for line in log if line.what == "refused").items())}


_MONTH = """
    select to_char(paid_at at time zone 'Asia/Shanghai', 'YYYY-MM') as month, count(*) as orders,
           sum(paid_fen)::bigint as paid_fen, sum(refunded_fen)::bigint as refunded_fen
      from customer_order group by 1 order by 1"""
_MONTH_MESSAGES = f"""
    select to_char(coalesce(ended_at, due_at) at time zone 'Asia/Shanghai', 'YYYY-MM') as month,
           count(*) filter (where state = 'done') as sent, count(*) filter (where state = 'refused') as refused
      from outbox where {_MESSAGES} and state in ('done', 'refused') group by 1"""  # noqa: S608


def _months(session: Session, year: Year) -> Rows:
    """By month: orders, what the shop sent by purpose, what people said and did."""
    months: dict[str, Counter[str]] = {}
    for line in year.house.phones.log:
        name = f"{line.at.astimezone(SHANGHAI):%Y-%m}"
        counts = months.setdefault(name, Counter())
        if line.what in PUSHES:
            counts[year.texts.meaning(line)[1]] += 1
            counts["pushed"] += 1
        elif line.what != "refused":  # the platform's; the shop's own refusals are counted below
            counts[line.what] += 1
    for row in (*_rows(session, _MONTH), *_rows(session, _MONTH_MESSAGES)):
        counts = months.setdefault(row.pop("month"), Counter())
        counts.update({name: int(value) for name, value in row.items()})
    wanted = ("orders", "paid_fen", "refunded_fen", "said", "reply", "pushed", "marketing", "service", "money", "sent",
              "refused", "followed", "left")
    return [{"month": month} | {name: counts[name] for name in wanted} for month, counts in sorted(months.items())]


def _journeys(session: Session, year: Year) -> Rows:
    """Each journey's funnel: who entered, how they ended, what was sent and refused, and the uplift."""
    found = []
    for one in journeys.every(session):
        stats = journeys.stats(session, one.key, year.plan.start - timedelta(days=1))
        refused: Counter[str] = Counter()
        for step in stats.steps:
            refused.update(step.refused)
        found.append({
            "key": one.key, "title": one.title, "entered": stats.entered, "inside": one.open + one.held,
            "sent": sum(step.sent for step in stats.steps), "refused": dict(refused.most_common()), "ends": stats.ends,
            "lag_p95": max((step.lag_p95 for step in stats.steps), default=0), "uplift": asdict(stats.uplift),
            "steps": [{"step": step.step, "waiting": step.waiting, "outcomes": step.outcomes, "sent": step.sent,
                       "refused": step.refused} for step in stats.steps],
        })
    return found


def _segments(session: Session, year: Year) -> dict[str, int]:
    counted = _pairs(session, "select segment, count(*) from person_insight group by 1")
    names = year.house.runtime.context.tool(Segmentation).titles()
    return {names.get(key, key): number for key, number in counted.items()}


def _experiment(session: Session, year: Year) -> dict[str, Any]:
    reading = experiments.read(session, EXPERIMENT, year.now)
    return {"key": EXPERIMENT, "title": reading.definition.title, "verdict": reading.verdict, "best": reading.best,
            "srm_p": reading.srm_p, "reason": reading.reason, "arms": [
                {"name": arm.name, "exposed": arm.exposed, "counted": arm.sample.people, "mean": arm.sample.mean,
                 "effect": arm.comparison.effect if arm.comparison else None,
                 "low": arm.comparison.low if arm.comparison else None,
                 "high": arm.comparison.high if arm.comparison else None} for arm in reading.arms]}


_LEFT = """
    select (select count(*) from outbox where state = 'dead') as dead_effects,
           (select count(*) from outbox where state in ('waiting', 'running') and due_at < :before)
           + (select count(*) from earned_news where at < :before) as late_effects,
           (select count(*) from commerce_open where state <> 'parked')
           + (select count(*) from commerce_batch) as open_events,
           (select count(*) from inbox_message where state = 'failed') as failed_messages,
           (select count(*) from enrolment where state = 'parked') as parked_runs,
           (select count(*) from enrolment_due where due_at < :before) as stuck_runs,
           (select count(*) from journey_event where state = 'new' and due_at < :before) as unheard_events,
           (select count(*) from chore where fault <> '') as faulty_chores,
           (select count(*) from pay_incident where closed_at is null) as open_differences,
           (select count(*) from withdrawal where state in ('approved', 'paying') and asked_at < :long_ago)
               as stuck_withdrawals"""


def _left(session: Session, year: Year) -> dict[str, int]:
    """What must not be there; and the shop's count of what it sent against the phones'."""
    times = {"before": year.now - timedelta(hours=4), "long_ago": year.now - timedelta(days=3)}
    found = {name: int(value) for name, value in session.execute(text(_LEFT), times).one()._mapping.items()}
    done = _pairs(session, f"select reason, count(*) from outbox where {_MESSAGES} and state = 'done' group by 1")  # noqa: S608
    heard = sum(line.what in PUSHES for line in year.house.phones.log)
    sure, maybe = done.get("", 0), done.get("maybe_sent", 0)
    return found | _bank(session, year) | {"sent_but_unheard": max(0, sure - heard),
                                           "heard_but_unsent": max(0, heard - sure - maybe)}


def _bank(session: Session, year: Year) -> dict[str, int]:
    """The bank's own account of who has which money against the shop's bills; the last two days may not be heard of."""
    booked = {row.out_bill_no: row.amount_fen for row in session.execute(
        text("select out_bill_no, amount_fen from transfer_bill where state = 'SUCCESS'"))}
    receipts = year.house.bank.receipts
    paid = {one.out_bill_no: one.fen for one in receipts}
    known = {one.out_bill_no for one in receipts if one.at < year.now - timedelta(days=2)}
    return {"paid_twice": len(receipts) - len(paid), "paid_but_unbooked": len(known - set(booked)),
            "booked_otherwise": sum(paid.get(number) != fen for number, fen in booked.items())}
