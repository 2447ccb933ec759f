"""Trying a journey out: on one person with every reason, and on the past of everybody."""

import json
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import text

from domain.journeys import history, queries
from domain.journeys.preview import Preview, preview
from domain.journeys.reading import read
from domain.journeys.simulation import Report, simulate
from domain.journeys.ways import Platform
from domain.notices.rules import Policy
from domain.people import service as people
from domain.people.rules import IdentityRef
from domain.platform.budgets import Budgets, Limits
from domain.shared.clock import FixedClock
from domain.subscriptions.rules import Catalogue, Template
from tests.fakes.frozen import Frozen, frozen
from tests.fakes.shop import ACCOUNT, Shop
from tests.integration.journeys.forms import nudge, steps
from tests.integration.journeys.world import World

TREE = steps(
    {"id": "which", "if": "orders.count >= 3", "then": "vip", "else": "ship"},
    {"id": "vip", "say": "journey.vip", "with": {"n": "{orders.count}"}, "next": "end"},
    {"id": "ship", "wait_for": "order.shipped", "timeout": "3d", "next": "thanks", "otherwise": "night"},
    {"id": "thanks", "say": "journey.thanks", "next": "end"},
    {"id": "night", "wait": {"days": 1, "at": "22:00"}},
    {"id": "late", "say": "journey.late", "expires": "12h"},
    {"id": "gift", "grant": "coupon:x", "amount": 2}, when=["event.first"])


def look(world: World, person: str, form: dict[str, object] = TREE, first: bool = True, **more: object) -> Preview:
    with world.sessions() as session:
        return preview(session, read(form), world.person(person), {"first": first}, world.clock.now(), Policy(),
                       **more)  # type: ignore[arg-type]


def short(seen: Preview) -> list[tuple[str, str, str]]:
    return [(line.step, line.outcome, line.reason) for line in seen.lines]


def follow(world: World, name: str) -> None:
    person = world.person(name)
    with world.sessions.begin() as session:
        ref = IdentityRef("openid", f"o-{person}", "wx")
        kept = people.follow(session, ref, world.clock.now()).person_id
        people.merge(session, person, kept, "test", world.clock.now())


def test_a_preview_gives_every_step_with_its_reason(world: World) -> None:
    follow(world, "李")
    seen = look(world, "李")
    assert (seen.enters, seen.end) == (True, "finished")
    assert short(seen) == [
        ("which", "no", "orders.count = 0, wanted >= 3"), ("ship", "waits", "until 2026-11-23 10:00"),
        ("ship", "timeout", ""), ("night", "waits", "until 2026-11-24 22:00"),
        ("late", "told", ""), ("gift", "done", "coupon:x x 2")]
    late = next(line for line in seen.lines if line.step == "late")
    assert (late.text, late.verdict) == ("journey.late", "hold: quiet_hours until 08:30")
    assert world.rows("select (select count(*) from enrolment) + (select count(*) from outbox)") == [(0,)]


def test_a_preview_with_assumptions_takes_the_other_way(world: World) -> None:
    seen = look(world, "李", assumed={"orders.count": 5})
    assert short(seen) == [("which", "yes", "orders.count = 5, wanted >= 3"), ("vip", "told", "")]
    assert seen.lines[1].facts == {"n": 5} and seen.lines[1].verdict == "refuse: unfollowed"
    heard = look(world, "李", happens=["ship"])
    assert short(heard)[2:] == [("ship", "heard", "assumed"), ("thanks", "told", "")]


def test_a_preview_says_why_somebody_does_not_enter(world: World) -> None:
    assert look(world, "李", first=False).why == "event.first = false, wanted true"
    world.publish(TREE)
    world.happens("person.followed", "李", first=True)
    world.work()
    seen = look(world, "李")
    assert (seen.enters, seen.why) == (False, "reentry is never, and run 1 (open) began on 2026-11-20")


def _a_busy_month(shop: Shop) -> None:
    """Ten people buy milk; half of them buy again after six days, two of them come back every week."""
    app_id = shop.runtime.settings.wechat["demo"].app_id
    orders = []
    for day in range(0, 30, 6):
        at = (shop.clock.now() - timedelta(days=30 - day)).isoformat()
        orders += [{"id": f"e{day}-{number}", "type": "order.paid", "occurred_at": at, "data": {
            "order_id": f"A{day}-{number}", "channel": "mall", "currency": "CNY", "paid_at": at, "paid_fen": 5_980,
            "shipping_fen": 0, "buyer": {"openid": f"oBusy{number}", "app_id": app_id}, "lines": [
                {"line_id": "1", "sku": "MILK-12", "title": "牛奶", "category": "fmcg", "quantity": 1,
                 "paid_fen": 5_980}]}} for number in range(10) if day == 0 or (day == 6 and number % 2) or number < 2]
    shop.events(orders)
    with shop.runtime.sessions.begin() as session:
        for number in range(10):
            followed_at = shop.clock.now() - timedelta(days=40)
            people.follow(session, IdentityRef("openid", f"oBusy{number}", app_id), followed_at)


@pytest.fixture(scope="module")
def busy_month(new_shop: Frozen, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Frozen]:
    with frozen(new_shop.postgres, tmp_path_factory.mktemp("busy"), _a_busy_month, new_shop) as shop:
        yield shop


@pytest.fixture
def busy(busy_month: Frozen, tmp_path: Path, clock: FixedClock) -> Iterator[Shop]:
    """A shop with a month behind it."""
    with busy_month.shop(tmp_path, clock) as shop:
        yield shop


PEOPLE = 10 + 3
"""Three more live in every demo shop."""


CARD = Template("x", "x", "service", {"thing1": "x"}, "x")
CATALOGUE = Catalogue({"x": CARD}, {"x": CARD}, {"service": ("custom", "subscription", "template"),
                                                 "marketing": ("custom",)},
                      {ACCOUNT: {"template": {"x": "T" * 20}, "subscription": {"x": "S" * 20}}}, frozenset({ACCOUNT}))
"""The text x may leave as a card, y may not."""


def play(shop: Shop, form: dict[str, object], days: int = 40, per_day: int = 1_000) -> Report:
    limits = {"message/template/send": Limits(per_day, 10, 10), "message/custom/send": Limits(1_000, 10, 10)}
    outside = Platform(CATALOGUE, Budgets(limits), {ACCOUNT: shop.runtime.settings.wechat[ACCOUNT].app_id})
    with shop.runtime.sessions() as session:
        return simulate(session, read(form), 1_000, days, shop.clock.now(), Policy(), outside)


def test_a_simulation_replays_the_past(busy: Shop) -> None:
    cycle = {"until": "anchor", "plus": "restock.cycle_days", "offset": "-2d", "at": "10:00"}
    form = nudge(step=[{"id": "d8", "wait": cycle},
                       {"id": "give", "grant": "coupon:restock", "cost_fen": 500},
                       {"id": "n1", "say": "x", "expires": "1d", "purpose": "service"},
                       {"id": "never", "if": "orders.count > 99", "then": "n3", "else": "end"},
                       {"id": "n3", "say": "y"}])
    report = play(busy, form)
    orders = 10 + 6 + 2 * 3
    assert (report.sampled, report.events, report.entered, report.made_up) == (PEOPLE, orders, orders, False)
    assert report.ends["goal"] > 0 and sum(report.ends.values()) == orders
    assert sum(report.sent.values()) + sum(report.refused.values()) == report.planned == report.grants["coupon:restock"]
    assert report.cost_fen == 500 * report.planned
    assert (report.most_in_a_day, report.unreached) == (1, ("n3",))
    with busy.runtime.sessions() as session:
        assert session.execute(text("select count(*) from enrolment")).scalar() == 0


def test_a_simulation_counts_refusals_and_broken_caps(busy: Shop) -> None:
    storm = nudge(step=[{"id": "w", "wait": "1h"}, {"id": "a", "say": "x", "expires": "6d"},
                        {"id": "b", "say": "y", "expires": "1h"}], goal={"on": "order.paid"}, exits=[])
    report = play(busy, storm)
    assert report.refused["no_right"] == report.planned > 0, "nobody of them ever wrote"
    assert report.planned == sum(report.sent.values()) + sum(report.refused.values())
    night = play(busy, nudge(step=[{"id": "w", "wait": {"days": 0, "at": "22:00"}},
                                   {"id": "s", "say": "x", "purpose": "service"}], exits=[], goal={"on": "order.paid"}))
    assert night.held == sum(night.sent.values()) > 0


def test_a_simulation_takes_the_ways_that_were_open(busy: Shop) -> None:
    form = nudge(step=[{"id": "w", "wait": "1h"}, {"id": "n", "say": "x", "purpose": "service", "expires": "3d"}],
                 exits=[], goal={"on": "order.refunded"})
    before = play(busy, form)
    assert before.ways == {"template": before.planned} and before.planned > 10, "nobody wrote or allowed anything"
    assert before.busiest_share_bps and before.busiest_share_bps > 0
    tight = play(busy, form, per_day=1)
    assert max(tight.sent.values()) == 1 and tight.refused["budget"] > 0, "the day is full: next day, or never"
    assert sum(tight.sent.values()) + sum(tight.refused.values()) == tight.planned
    with busy.runtime.sessions.begin() as session:
        buyers = session.execute(text("select i.person_id, i.value, min(o.paid_at) as at from customer_order o"
                                      " join identity i on i.person_id = o.buyer_id and i.kind = 'openid'"
                                      " group by 1, 2 order by 1 limit 2")).all()
        session.execute(text("""
            insert into subscription_token (account, openid, template_id, granted_by, granted_at)
            values (:account, :openid, :template, 'test', :at)"""), {
                "account": ACCOUNT, "openid": buyers[0].value, "template": "S" * 20, "at": buyers[0].at})
        session.execute(text("""
            insert into inbox_message (account, dedupe_key, person_id, kind, payload, state, received_at)
            values (:account, 'test', :person, 'text', '{}', 'done', :at)"""), {
                "account": ACCOUNT, "person": buyers[1].person_id, "at": buyers[1].at})
    after = play(busy, form)
    assert after.planned == before.planned and after.ways["subscription"] == 1 and after.ways["custom"] >= 1
    assert after.ways["template"] == before.planned - after.ways["subscription"] - after.ways["custom"]


@pytest.mark.parametrize(("kind", "data", "opens"), [
    ("text", {}, 1), ("voice", {}, 1), ("image", {"media_id": "m"}, 1), ("location", {}, 1),
    ("text", {"bizmsgmenuid": "1"}, 0), ("menu", {}, 0), ("view", {}, 0)])
def test_a_simulation_knows_who_may_be_written_to(busy: Shop, kind: str, data: dict[str, str], opens: int) -> None:
    """Whoever spoke wrote, as in the chat itself; whoever tapped did not."""
    form = nudge(step=[{"id": "w", "wait": "1h"}, {"id": "n", "say": "y", "purpose": "service", "expires": "3h"}],
                 exits=[], goal={"on": "order.refunded"})
    with busy.runtime.sessions.begin() as session:
        session.execute(text("""
            insert into inbox_message (account, dedupe_key, person_id, kind, payload, state, received_at)
            select :account, 'test', o.buyer_id, :kind, jsonb_build_object('data', cast(:data as jsonb)), 'done',
                   o.paid_at from customer_order o order by o.id limit 1"""),
            {"account": ACCOUNT, "kind": kind, "data": json.dumps(data)})
    assert (sum(play(busy, form).sent.values()) > 0) == opens


def test_events_without_a_past_are_made_up(busy: Shop) -> None:
    report = play(busy, steps({"id": "s", "say": "x", "purpose": "service"}, on="consent.resumed"))
    assert (report.made_up, report.entered) == (True, PEOPLE) and not history.has("consent.resumed")


def test_every_history_can_be_read(busy: Shop) -> None:
    from domain.journeys.events import EVENTS

    with busy.runtime.sessions() as session:
        now = busy.clock.now()
        people_ids = history.sample(session, 100, now)
        found = {kind: history.read(session, kind, people_ids, now - timedelta(days=90), now)
                 for kind in EVENTS if history.has(kind)}
    assert len(found["order.paid"]) == len(found["line.paid"]) == 22 and len(found["person.followed"]) == 10
    assert found["line.paid"][0].data.keys() == EVENTS["line.paid"].fields.keys()


def test_every_fact_can_be_asked_for_many_at_once(busy: Shop) -> None:
    from domain.journeys.facts import FACTS, load

    with busy.runtime.sessions() as session:
        ids = history.sample(session, 100, busy.clock.now())
        for fact in FACTS.values():
            subjects = [(one, "MILK-12" if fact.subject else "") for one in ids]
            loaded = load(session, fact.name, subjects, busy.clock.now())[fact.name]
            assert set(loaded) == set(subjects)
            kinds = {"int": int, "text": str, "bool": bool}
            assert all(value is None or type(value) is kinds[fact.type] for value in loaded.values()), fact.name
        cycles = load(session, "restock.cycle_days", [(one, "MILK-12") for one in ids], busy.clock.now())
        assert sorted(set(cycles["restock.cycle_days"].values())) == [6, 10], "their own rhythm, else the usual one"
        long_ago = busy.clock.now() - timedelta(days=300)
        assert set(load(session, "orders.count", [(one, "") for one in ids], long_ago)["orders.count"].values()) == {0}


def test_the_funnel_and_its_uplift(world: World) -> None:
    world.publish(nudge(holdout="30%"))
    names = [f"p{n}" for n in range(100)]
    world.crowd(names)
    world.all_happen([world.event("line.paid", name, sku="RICE", order_id=1) for name in names])
    world.work()
    world.wait(days=8, seconds=90)
    treated = [name for name in names if (world.people[name],) in world.rows(
        "select person_id from enrolment where not holdout")]
    world.all_happen([world.event("line.paid", name, sku="RICE", order_id=2) for name in treated[:40]])
    world.work()
    with world.sessions() as session:
        found = queries.stats(session, "nudge", world.clock.now() - timedelta(days=9))
    by_step = {one.step: one for one in found.steps}
    assert (by_step["n1"].outcomes, by_step["n1"].lag_p50) == ({"told": len(treated)}, 90)
    assert by_step["d12"].waiting == len(treated) - 40
    assert found.uplift.treated_converted == 40 and found.uplift.held_converted == 0
    assert found.uplift.low_bps is not None and found.uplift.low_bps > 0
    assert found.ends["goal"] == 40


def test_an_uplift_needs_two_sides() -> None:
    assert queries.uplift(100, 50, 0, 0).difference_bps is None
    both = queries.uplift(200, 100, 100, 30)
    assert (both.difference_bps, both.low_bps, both.high_bps) == (2_000, 866, 3_134)


def test_the_shipped_files_simulate(busy: Shop) -> None:
    from bot.runtime.journeys import FOLDER
    from domain.journeys.reading import load
    from domain.journeys.writing import dump

    for path in sorted(Path(FOLDER).glob("*.toml")):
        report = play(busy, dump(load(path)))
        assert report.sampled == PEOPLE, path
