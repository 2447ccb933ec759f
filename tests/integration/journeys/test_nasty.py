"""The nasty cases, by their numbers in the list of what engines of this kind got wrong."""

import signal
import subprocess
import sys
import threading
from datetime import UTC, datetime, time, timedelta
from functools import partial
from zoneinfo import ZoneInfo

import pytest
from sqlalchemy import create_engine, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session, sessionmaker

from bot.runtime import bootstrap
from domain.experiments import service as experiments
from domain.experiments.rules import load as load_experiment
from domain.journeys import engine, hearing, service
from domain.journeys.document import OnDay, Pause, UntilAnchor
from domain.journeys.library import Library
from domain.journeys.reading import JourneyFaults
from domain.journeys.rules import moment
from domain.journeys.runs import Run
from domain.notices.rules import Policy, end_of_quiet
from tests.integration.journeys.forms import nudge, steps
from tests.integration.journeys.test_engine import EXPERIMENT
from tests.integration.journeys.world import World
from tests.together import at_once

LINE = {"sku": "RICE", "order_id": 1, "title": "米"}
SHANGHAI = ZoneInfo("Asia/Shanghai")


def crowd(world: World, size: int, form: dict[str, object] | None = None) -> list[str]:
    """Many people at the first step."""
    world.publish(form or nudge())
    names = [f"p{n}" for n in range(size)]
    world.crowd(names)
    world.all_happen([world.event("line.paid", name, **LINE) for name in names])
    world.work()
    return names


def test_1_a_worker_that_dies_before_its_commit_loses_and_doubles_nothing(world: World) -> None:
    crowd(world, 3, nudge(step=[{"id": "w", "wait": "8d"}, {"id": "g", "grant": "red_packet", "once": "{order_id}"},
                                {"id": "s", "say": "x"}]))
    world.clock.advance(8 * 86_400)
    with Session(world.engine) as session:
        assert engine.move_batch(session, Library(), 1, world.clock.now(), 500) == 3
        mine = session.execute(text("select pg_backend_pid()")).scalar()
        with world.engine.connect() as other:
            other.execute(text("select pg_terminate_backend(:pid)"), {"pid": mine})
        with pytest.raises(DBAPIError):
            session.commit()
            session.execute(text("select 1"))
    assert world.rows("select count(*) from outbox") == [(0,)]
    world.work()
    world.work()
    keys = [key for key, in world.rows("select key from outbox where kind = 'grant.red_packet'")]
    assert len(keys) == 3 == len(set(keys)) and world.told() == {"x": 3}


def test_1_a_hung_worker_loses_its_locks_to_the_database(world: World, database_url: str) -> None:
    crowd(world, 2)
    world.clock.advance(8 * 86_400)
    connections = bootstrap.connect(database_url)
    with Session(connections) as hung:
        engine.move_batch(hung, Library(), 1, world.clock.now(), 500)
        assert hung.execute(text("show idle_in_transaction_session_timeout")).scalar() == "30s"
        assert world.work() == 0, "what somebody holds is left to them"
    connections.dispose()


def test_4_one_event_in_two_transactions_at_once_enters_once(world: World) -> None:
    world.publish()
    li = world.person("李")

    def tell(key: str) -> None:
        world.happens("line.paid", "李", key=key, **LINE)
        world.work(Library())

    at_once(*(partial(tell, key) for key in ("a", "a", "b", "b")))
    world.work()
    inside = [run for run in world.runs() if run[2] == "open"]
    assert len(inside) == 1 and inside[0][0] == li
    assert world.rows("select count(*) from journey_event") == [(2,)]


def test_4_the_index_decides_when_two_workers_enter_the_same_person(world: World) -> None:
    """Both looked before either wrote: the second insert is a no-op, and the rest of its batch goes through."""
    world.publish()
    world.happens("line.paid", "李", **LINE)
    world.work()
    from domain.journeys import store
    with world.sessions.begin() as session:
        known = store.latest(session, {world.person("李")}, [1])[0]
        twin, other = (Run(**{name: getattr(known, name) for name in known.__slots__}) for _ in range(2))
        twin.id, other.id, other.run_key = 0, 0, "MILK"
        assert store.insert(session, [twin, other]) == 1


def test_5_beginning_again_waits_for_who_works_on_the_run(world: World) -> None:
    """The event comes while the step is being worked on: the worker's write is not lost, and the anchor moves after."""
    world.publish(nudge(reentry="restart", goal={"on": "order.paid"}))
    world.happens("line.paid", "李", **LINE)
    world.work()
    world.clock.advance(8 * 86_400)
    world.happens("line.paid", "李", sku="RICE", order_id=2)
    with Session(world.engine) as busy:
        assert engine.move_batch(busy, world.library, 1, world.clock.now(), 500) == 1
        heard = threading.Thread(target=_hear, args=(world,))
        heard.start()
        heard.join(0.2)
        assert heard.is_alive(), "the row is locked"
        busy.commit()
    heard.join()
    row, = world.rows("select step, begun, anchor_at, visit_no, run_no, ctx -> 'event' ->> 'order_id' from enrolment")
    assert row == ("d8", False, world.clock.now(), 1, 1, "2")
    world.wait(days=8)
    assert world.told() == {"nudge.soon": 2}, "each with a key of its own"


def _hear(world: World) -> None:
    with world.sessions.begin() as session:
        hearing.hear_batch(session, Library(), world.clock.now(), 500)


def test_6_a_pause_of_three_days_skips_what_expired_and_makes_no_storm(world: World) -> None:
    names = crowd(world, 200)
    world.wait(days=6)
    world.happens("line.paid", "late", sku="RICE", order_id=7)
    world.work()
    assert world.state("nudge", "pause") == "paused"
    world.wait(days=4)
    assert world.told() == {}, "nobody moves"
    assert world.state("nudge", "resume") == "live"
    due = [at for at, in world.rows("select due_at from enrolment where due_at < :soon",
                                    soon=world.clock.now() + timedelta(days=1))]
    spread = max(due) - min(due)
    assert len(due) == len(names) and timedelta(minutes=30) < spread <= timedelta(minutes=40)
    assert world.work() < len(names) / 10
    world.wait(minutes=41)
    assert world.told() == {}
    assert world.rows("select distinct outcome, reason from step_visit where step = 'n1'") == [("skipped", "expired")]
    world.wait(days=4, hours=1)
    assert world.told()["nudge.soon"] == 1, "whoever entered later kept their wait"


def test_7_a_step_with_people_is_not_removed_without_a_map(world: World) -> None:
    names = crowd(world, 30)
    world.wait(days=8)
    without = nudge(step=[{"id": "d8", "wait": "8d"}, {"id": "n1", "say": "nudge.soon"},
                          {"id": "d14", "wait": "6d"}, {"id": "n3", "say": "nudge.last"}])
    with pytest.raises(JourneyFaults, match=f"step d12 .edition 1. is gone and {len(names)} people are at it"):
        world.publish(without)
    assert world.rows("select version from journey") == [(1,)]
    with pytest.raises(JourneyFaults, match="no step 'd99'"):
        world.publish(without, moves={"d12": "d99"})
    assert world.publish(without, moves={"d12": "end"}).moving == 30
    world.wait(days=4)
    assert {run[4] for run in world.runs()} == {"version_retired"}
    assert world.told() == {"nudge.soon": 30}


def test_7_people_move_at_their_next_claim_and_a_begun_wait_is_reckoned_from_its_start(world: World) -> None:
    crowd(world, 2)
    world.wait(days=8)
    moved = nudge(step=[{"id": "d8", "wait": "8d"}, {"id": "n1", "say": "nudge.soon"},
                        {"id": "d14", "wait": "6d"}, {"id": "n3", "say": "nudge.last"}])
    assert world.publish(moved, moves={"d12": "d14"}).version == 2
    world.wait(days=4)
    assert world.rows("select distinct version, step, begun from enrolment") == [(2, "d14", True)]
    world.wait(days=2)
    assert world.told() == {"nudge.soon": 2, "nudge.last": 2}


def test_7_without_a_map_everybody_finishes_on_their_own_edition(world: World) -> None:
    crowd(world, 2)
    other = nudge(step=[{"id": "d8", "wait": "1d"}, {"id": "n1", "say": "nudge.other"}])
    assert world.publish(other, moves={"d8": "stay"}).moving == 0
    world.happens("line.paid", "新", **LINE)
    world.work()
    world.wait(days=1)
    world.wait(days=7)
    assert world.told() == {"nudge.other": 1, "nudge.soon": 2}
    assert world.publish(nudge(), moves={"d8": "stay"}).version == 1, "an old document is its old edition again"


def test_7_editions_and_visits_cannot_be_changed_by_whatever_sql(world: World) -> None:
    crowd(world, 1)
    world.wait(days=8)
    for attack in ("update journey_version set doc = '{}'", "delete from journey_version",
                   "truncate journey_version cascade", "update step_visit set outcome = 'told'",
                   "delete from step_visit", "delete from enrolment", "update enrolment set run_key = 'x'"):
        with pytest.raises(DBAPIError) as refusal, world.sessions.begin() as session:
            session.execute(text(attack))
        assert refusal.value.orig.sqlstate == "HT403", attack


@pytest.mark.parametrize(("clock", "quiet"), [("21:29:59", False), ("21:30:00", True), ("23:59:59", True),
                                              ("00:00:00", True), ("08:29:59", True), ("08:30:00", False)])
def test_8_the_edges_of_the_quiet_hours(clock: str, quiet: bool) -> None:
    at = datetime.combine(datetime(2026, 11, 20).date(), time.fromisoformat(clock), SHANGHAI)
    until = end_of_quiet(at, SHANGHAI, Policy())
    assert (until is not None) is quiet
    if until:
        assert until.astimezone(SHANGHAI).time() == time(8, 30) and timedelta(0) < until - at <= timedelta(hours=11)


def test_8_a_wait_until_an_hour_that_does_not_exist_ends_all_the_same() -> None:
    """In New York 02:30 of 14 March 2027 is skipped."""
    zone = ZoneInfo("America/New_York")
    since = datetime(2027, 3, 13, 12, tzinfo=zone)
    run = Run(1, "", {}, "", since, since, since, since, since, "w", 1)
    due = moment(OnDay(1, 150), run, lambda _name: None, zone)
    assert due is not None and due.astimezone(UTC) == datetime(2027, 3, 14, 7, 30, tzinfo=UTC)
    after = moment(OnDay(2, 150), run, lambda _name: None, zone)
    assert after is not None and after.astimezone(UTC) == datetime(2027, 3, 15, 6, 30, tzinfo=UTC)


def test_17_the_anchor_is_when_it_happened_and_not_when_it_was_heard(world: World) -> None:
    """Paid a tenth of a second before midnight in Shanghai, heard two seconds later."""
    paid = datetime(2026, 11, 20, 23, 59, 59, 900_000, SHANGHAI)
    world.clock.advance((paid - world.clock.now()).total_seconds() + 2)
    span = {"until": "anchor", "offset": "2d", "at": "10:00"}
    world.publish(nudge(step=[{"id": "w", "wait": span}, {"id": "s", "say": "x"}]))
    world.happens("line.paid", "李", at=paid, **LINE)
    world.work()
    due, = world.rows("select due_at from enrolment")[0]
    assert due.astimezone(SHANGHAI) == datetime(2026, 11, 22, 10, tzinfo=SHANGHAI)
    run = Run(1, "", {}, "", paid, paid, paid, paid, paid, "w", 1)
    assert moment(Pause(60), run, lambda _n: None, SHANGHAI) == paid + timedelta(minutes=1)
    assert moment(UntilAnchor(), run, lambda _n: None, SHANGHAI) == paid


def test_17_what_happened_long_ago_begins_nothing(world: World) -> None:
    world.publish(nudge(max_age="2d"))
    world.happens("line.paid", "李", at=world.clock.now() - timedelta(days=2, seconds=1), **LINE)
    world.happens("line.paid", "王", at=world.clock.now() - timedelta(days=2), **LINE)
    world.work()
    assert [run[0] for run in world.runs()] == [world.person("王")]


def test_18_a_flap_of_a_condition_ends_nobody_but_a_lasting_change_does(world: World) -> None:
    lasting = [{"when": "not consent.marketing", "for": "1d", "reason": "left_segment"}]
    world.publish(nudge(exits=lasting, step=[{"id": "w1", "wait": "2d"}, {"id": "s1", "say": "one", "expires": "3d"},
                                             {"id": "w2", "wait": "2d"}, {"id": "s2", "say": "two", "expires": "3d"}]))
    li = world.person("李")
    world.happens("line.paid", "李", **LINE)
    world.work()
    out = "insert into consent values (:p, 'marketing', false, 'x', :now) returning 1"
    back = "delete from consent returning 1"
    world.rows(out, p=li, now=world.clock.now())
    world.wait(days=2)
    assert (world.told(), world.runs()[0][2]) == ({}, "open"), "in doubt: told nothing, still inside"
    world.rows(back)
    world.wait(days=1)
    assert world.told() == {"one": 1}
    assert world.happens("line.paid", "李", key="line.paid:1", **LINE) == 0, "no second entry"
    world.rows(out, p=li, now=world.clock.now())
    world.wait(days=2)
    world.wait(days=1)
    assert (world.told(), world.runs()[0][2:]) == ({"one": 1}, ("ended", "w2", "left_segment"))


def test_19_changed_weights_move_nobody_who_was_exposed(world: World) -> None:
    world.publish(steps({"id": "ab", "split": "hello_copy", "arms": {"plain": "a", "warm": "b"}},
                        {"id": "a", "say": "plain", "next": "end"}, {"id": "b", "say": "warm"}, reentry="after_exit"))
    with world.sessions.begin() as session:
        experiments.create(session, load_experiment(EXPERIMENT), world.clock.now())
        experiments.start(session, "hello_copy", world.clock.now())
    names = [f"p{n}" for n in range(40)]
    world.crowd(names)

    def arms() -> dict[int, str]:
        world.all_happen([world.event("person.followed", name) for name in names])
        world.work()
        return dict(world.rows("select distinct on (e.person_id) e.person_id, v.arm from step_visit v join enrolment e"
                               " on e.id = v.enrolment_id where v.arm <> '' order by e.person_id, e.run_no desc"))

    before = arms()
    with world.sessions.begin() as session:
        experiments.reweigh(session, "hello_copy", {"plain": 1, "warm": 9}, world.clock.now())
    world.clock.advance(3_600)
    assert arms() == before and len(set(before.values())) == 2
    assert world.rows("select count(*) from enrolment where run_no = 2") == [(40,)]


def test_20_two_clocks_and_workers_tell_everybody_once(world: World) -> None:
    """Six threads hear and walk at once, each with a library of its own, while events come twice."""
    world.publish()
    names = [f"p{n}" for n in range(300)]
    world.crowd(names)
    events = [world.event("line.paid", name, key=f"k{name}", **LINE) for name in names]

    def everything() -> None:
        world.all_happen(events)
        world.work(Library())

    for _ in range(3):
        at_once(*[everything] * 6)
        world.clock.advance(4 * 86_400)
    world.work()
    world.wait(days=1)
    assert world.told() == {"nudge.soon": 300, "nudge.out": 300}
    assert {run[1:] for run in world.runs()} == {(1, "ended", "n2", "finished")}


def test_20_killed_processes_leave_their_work_to_others(world: World, database_url: str) -> None:
    crowd(world, 1_500)
    world.clock.advance(8 * 86_400)
    asked = [sys.executable, "-m", "tests.integration.journeys.worker", database_url, world.clock.now().isoformat(),
             "30"]
    workers = [subprocess.Popen(asked, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) for _ in range(2)]
    for worker in workers:
        assert worker.stdout is not None and worker.stdin is not None and worker.stdout.readline() == "ready\n"
    watch = sessionmaker(create_engine(database_url))
    with watch() as session:
        for worker in workers:
            assert worker.stdin is not None
            worker.stdin.write("go\n")
            worker.stdin.flush()
        while not session.execute(text("select exists (select from step_visit)")).scalar():
            session.rollback()
        workers[0].send_signal(signal.SIGKILL)
    assert [worker.wait(60) for worker in workers] == [-signal.SIGKILL, 0]
    world.work()
    assert world.told() == {"nudge.soon": 1_500}
    assert world.rows("select count(*), count(distinct enrolment_id) from step_visit where step = 'n1'") == [
        (1_500, 1_500)]


def test_archiving_ends_who_is_inside_and_draining_lets_them_finish(world: World) -> None:
    crowd(world, 2)
    assert world.state("nudge", "drain") == "draining"
    world.happens("line.paid", "新", **LINE)
    world.work()
    assert len(world.runs()) == 2
    world.wait(days=8)
    world.wait(days=4)
    assert world.told() == {"nudge.soon": 2, "nudge.out": 2}
    with world.sessions.begin() as session:
        assert service.settle(session, world.clock.now()) == 1
    assert world.rows("select state from journey") == [("archived",)]
