"""Plays a script to a shop on a database of its own, and compares what the rules said with what was planted."""

import tempfile
from collections.abc import Iterable
from datetime import timedelta
from pathlib import Path
from random import Random
from typing import Any

from sqlalchemy import create_engine, text
from sqlalchemy.orm import Session, sessionmaker

from bot.runtime import demo_team, embedded
from bot.runtime.bootstrap import ASSETS
from bot.runtime.rehearsal import fraud, honest
from bot.runtime.rehearsal.scene import DAYS, START, Script, Told
from domain import migrations, workflows
from domain.commissions import plans
from domain.commissions import service as commissions
from domain.ledger import service as ledger
from domain.orders import service as orders
from domain.orders.events import CommerceEvent, parse_event
from domain.risk import holding, watch
from domain.risk.rules import Rules
from domain.shared.records import record
from domain.shared.seal import Seal

PEPPER = b"only for rehearsals, never real"
STEP = timedelta(hours=1)
SWEEP_EVERY = 3
"""Steps between two sweeps; a real shop sweeps every ten minutes, which finds nothing else."""
BATCH = 200

Sessions = sessionmaker[Session]


@record
class RuleReport:
    """``right``: cases most of whose orders were planted, for whatever scheme. ``planted``: schemes meant for this
    rule; ``found``: those of them that it met."""

    rule: str
    effect: str
    cases: int
    right: int
    planted: int
    found: int


@record
class Report:
    """Orders count when somebody earns from them. ``held``: something of them waits at the end."""

    seed: int
    people: int
    orders: int
    rules: tuple[RuleReport, ...]
    schemes: int
    schemes_held: int
    fraud_orders: int
    fraud_held: int
    honest_orders: int
    honest_held: int
    people_earning: int
    people_held: int


def script(seed: int) -> Script:
    """The whole story of a seed; the same in every process."""
    story = Script(Random(seed))
    sharers = honest.live(story)
    fraud.plant(story, sharers)
    story.events.sort(key=lambda told: told.at)
    return story


def run(seed: int, rules: Rules, *, signals: bool = True) -> Report:
    """Play the story of ``seed`` under ``rules``; without ``signals`` the mall tells nothing of payers, devices and
    addresses. Starts a PostgreSQL of its own and removes it."""
    with tempfile.TemporaryDirectory(prefix="huitou-rehearsal-") as home:
        Path(home).chmod(0o755)
        server = embedded.start_postgres(Path(home), settings=embedded.FAST_BUT_UNSAFE)
        try:
            engine = create_engine(server.url)
            migrations.upgrade(engine)
            story = script(seed)
            if not signals:
                for told in story.events:
                    told.data.pop("risk", None)
            sessions = sessionmaker(engine, expire_on_commit=False)
            play(sessions, story, rules)
            with sessions() as session:
                report = compare(session, story, rules, seed)
            engine.dispose()
        finally:
            server.stop()
    return report


def play(sessions: Sessions, story: Script, rules: Rules) -> None:
    """Tell the shop everything hour by hour, and let it do by each hour what it does by itself."""
    with sessions.begin() as session:
        demo_team.allow_levels(session, START)
        commissions.ensure_plan(session, plans.load(ASSETS / "plans" / "two-level.toml"), START)
    seal = Seal(PEPPER)
    now, at, step = START, 0, 0
    while now <= START + timedelta(days=DAYS + 25):
        now, step = now + STEP, step + 1
        upto = next((n for n in range(at, len(story.events)) if story.events[n].at >= now), len(story.events))
        _tell(sessions, story.events[at:upto], at, seal, now)
        quiet, at = at == upto, upto
        if not quiet or step % SWEEP_EVERY == 0:
            _look(sessions, rules, seal, now, sweep=step % SWEEP_EVERY == 0)
        with sessions.begin() as session:
            workflows.release_due(session, now, 500)
    with sessions() as session:
        found = ledger.check(session)
    if not found.balanced:
        raise AssertionError(found.faults)


def _tell(sessions: Sessions, told: Iterable[Told], first: int, seal: Seal, now: Any) -> None:
    """Customers first: a referral code must be there before it is used."""
    told = list(told)
    for wanted in (("customer.upserted",), ("order.paid", "order.received", "order.refunded")):
        mine = [(first + n, one) for n, one in enumerate(told) if one.kind in wanted]
        if not mine:
            continue
        with sessions.begin() as session:
            known = session.execute(_CODES, {"names": sorted({one.share for _, one in mine})})
            codes = {row.name: row.code for row in known}
            events = [_event(n, one, codes, seal) for n, one in mine]
            orders.receive(session, "rehearsal", events, now)
        while workflows.apply_events(sessions, now, PEPPER, BATCH):
            pass


def _event(number: int, told: Told, codes: dict[str, str], seal: Seal) -> CommerceEvent:
    data = told.data | ({"share_code": codes[told.share]} if told.share else {})
    raw = {"id": f"e{number}", "type": told.kind, "occurred_at": told.at.isoformat(), "data": data}
    parsed = parse_event(raw, seal)
    assert isinstance(parsed, CommerceEvent), parsed
    return parsed


def _look(sessions: Sessions, rules: Rules, seal: Seal, now: Any, *, sweep: bool) -> None:
    with sessions.begin() as session:
        while watch.scan(session, rules, seal, now, BATCH):
            pass
    if sweep:
        with sessions.begin() as session:
            while watch.sweep(session, rules, now, BATCH):
                pass
            while holding.settle(session, now):
                pass


_CODES = text("""
    select i.value as name, p.referral_code as code from identity i join person p on p.id = i.person_id
     where i.kind = 'mall_user_id' and i.value = any (:names)
""")
_CASES = text("""
    select k.id, k.person_id, k.rule, k.effect, array(
               select distinct o.order_no from risk_line l join commission_line c on c.id = l.line_id
                 join customer_order o on o.id = c.order_id where l.case_id = k.id) as orders
      from risk_case k where k.rule <> 'freeze' order by k.id
""")
_EARNING = text("""
    select o.order_no, c.beneficiary_id, bool_or(c.held_at is not null) as held
      from commission_line c join customer_order o on o.id = c.order_id group by 1, 2
""")


def compare(session: Session, story: Script, rules: Rules, seed: int) -> Report:
    """What the rules said against what was planted."""
    cases = session.execute(_CASES).all()
    earning = session.execute(_EARNING).all()
    crooked = {row.beneficiary_id for row in earning if row.order_no in story.planted}
    told = [
        RuleReport(
            key, rule.effect, sum(case.rule == key for case in cases),
            sum(case.rule == key and _right(case.orders, story) for case in cases),
            sum(wanted == key for wanted in story.schemes.values()),
            len({scheme for case in cases if case.rule == key for scheme in _schemes(case.orders, story)
                 if story.schemes[scheme] == key}),
        )
        for key, rule in rules.rules.items()
    ]
    caught = {scheme for case in cases if case.effect == "hold" for scheme in _schemes(case.orders, story)}
    orders_held = {row.order_no for row in earning if row.held}
    all_orders = {row.order_no for row in earning}
    honest_people = {row.beneficiary_id for row in earning} - crooked
    return Report(
        seed, len(story.people), story.orders, tuple(told), len(story.schemes), len(caught),
        len(all_orders & story.planted.keys()), len(orders_held & story.planted.keys()),
        len(all_orders - story.planted.keys()), len(orders_held - story.planted.keys()),
        len(honest_people), len({row.beneficiary_id for row in earning if row.held} & honest_people),
    )


def _right(numbers: Iterable[str], story: Script) -> bool:
    numbers = list(numbers)
    return 2 * sum(number in story.planted for number in numbers) >= max(len(numbers), 1)


def _schemes(numbers: Iterable[str], story: Script) -> set[str]:
    return {story.planted[number] for number in numbers if number in story.planted}
