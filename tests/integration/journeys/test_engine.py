"""People walk through journeys: entering, waiting, hearing, splitting, giving, ending."""

from datetime import timedelta

from sqlalchemy import text

from domain.experiments import service as experiments
from domain.experiments.rules import load as load_experiment
from domain.journeys import engine, guard, service
from tests.integration.journeys.forms import nudge, steps
from tests.integration.journeys.world import World

LINE = {"sku": "RICE", "order_id": 1, "title": "米"}


def test_a_walk_from_entering_to_the_end(world: World) -> None:
    world.publish()
    li = world.person("李")
    assert world.happens("line.paid", "李", **LINE) == 1
    world.work()
    assert (world.runs(), world.told()) == ([(li, 1, "open", "d8", "")], {})
    world.wait(days=8)
    assert world.told() == {"nudge.soon": 1}
    world.wait(days=4, hours=1)
    assert world.told() == {"nudge.soon": 1, "nudge.out": 1}
    assert world.runs() == [(li, 1, "ended", "n2", "finished")]
    assert world.visits() == [("n1", "told", "", ""), ("n2", "told", "", "")]


def test_nobody_listens_so_nothing_is_kept(world: World) -> None:
    assert world.happens("line.paid", "李", **LINE) == 0
    world.publish()
    assert world.happens("order.shipped", "李", order_id=1) == 0
    assert world.rows("select count(*) from journey_event") == [(0,)]


def test_conditions_decide_who_enters_and_which_way(world: World) -> None:
    world.publish(steps(
        {"id": "which", "if": ["orders.count = 0", "event.first"], "then": "new", "else": "old"},
        {"id": "new", "say": "hello.new", "next": "end"}, {"id": "old", "say": "hello.old"},
        when={"any": ["event.by_poster", "not person.follows"]}))
    world.happens("person.followed", "李", first=True, by_poster=True)
    world.happens("person.followed", "王", first=False, by_poster=True)
    world.work()
    assert world.told() == {"hello.new": 1, "hello.old": 1}


def test_placeholders_and_grants_and_tags_carry_the_facts(world: World) -> None:
    world.publish(steps(
        {"id": "give", "grant": "coupon:x", "amount": 2, "once": "welcome"}, {"id": "mark", "tag": "新客"},
        {"id": "say", "say": "hello", "with": {"name": "{person.nickname}", "n": "{orders.count}", "word": "hi"}}))
    li = world.person("李")
    world.happens("person.followed", "李")
    world.work()
    found = dict(world.rows("select kind, payload from outbox"))
    key = world.rows("select id from enrolment")[0][0]
    assert found["grant.coupon"] == {"person_id": li, "what": "coupon:x", "amount": 2, "journey": "walk",
                                     "title": "走", "cause": f"once:{li}:coupon:x:welcome"}
    assert found["tag.add"] == {"tag": "新客", "cause": f"journey:{key}:1:2", "journey": "walk"}
    assert found["notice.text"]["facts"] == {"name": "", "n": 0, "word": "hi"}
    assert (found["notice.text"]["purpose"], found["notice.text"]["guard"]) == ("marketing", f"{key}:3")


def test_a_wait_for_an_event_is_woken_by_the_right_one_or_runs_out(world: World) -> None:
    world.publish(steps(
        {"id": "ship", "wait_for": "order.shipped", "match": ["order_id"], "timeout": "3d", "next": "thanks",
         "otherwise": "sorry"},
        {"id": "thanks", "say": "thanks", "next": "end"}, {"id": "sorry", "say": "sorry"},
        on="order.paid", run_key="{order_id}", reentry="parallel"))
    world.happens("order.paid", "李", order_id=1)
    world.happens("order.paid", "李", order_id=2)
    world.work()
    world.happens("order.shipped", "李", order_id=1)
    world.work()
    assert world.told() == {"thanks": 1}
    world.wait(days=3, minutes=1)
    assert world.told() == {"thanks": 1, "sorry": 1}
    assert ("ship", "heard", "", "") in world.visits() and ("ship", "timeout", "", "") in world.visits()


def test_calendar_days_come_at_the_local_hour(world: World) -> None:
    """The clock stands at 10:00 in Shanghai."""
    world.publish(steps({"id": "w", "wait": {"days": 2, "at": "09:30"}}, {"id": "s", "say": "x"}))
    world.happens("person.followed", "李")
    world.work()
    due, = world.rows("select due_at from enrolment")[0]
    assert due == world.clock.now() + timedelta(days=2, minutes=-30)
    world.publish(steps({"id": "w", "wait": {"days": 0, "at": "09:00"}}, {"id": "s", "say": "x"}, key="today"))
    world.happens("person.followed", "王")
    world.work()
    assert world.rows("select max(due_at) from enrolment where journey_id = 2") == [
        (world.clock.now() + timedelta(hours=23),)]


def test_a_repeat_is_bounded_and_every_round_speaks_again(world: World) -> None:
    world.publish(steps({"id": "w", "wait": "1d"}, {"id": "s", "say": "again", "expires": "12h"},
                        {"id": "r", "repeat": "w", "max": 2}, {"id": "bye", "say": "bye"}))
    world.happens("person.followed", "李")
    for _ in range(6):
        world.wait(days=1)
    assert world.told() == {"again": 3, "bye": 1}


def test_journeys_wake_one_another_but_not_for_ever(world: World) -> None:
    world.publish(steps({"id": "e", "emit": "consent.resumed"}, key="ping", on="person.scanned", reentry="parallel"))
    world.publish(steps({"id": "e", "emit": "person.scanned", "with": {"sharer": "x", "sku": "y"}}, key="pong",
                        on="consent.resumed", reentry="parallel"))
    world.happens("person.scanned", "李")
    world.work()
    assert len(world.runs()) == 6


def test_arms_come_from_a_running_experiment_else_from_the_weights(world: World) -> None:
    form = steps({"id": "ab", "split": "hello_copy", "arms": {"plain": "a", "warm": "b"}},
                 {"id": "a", "say": "plain", "next": "end"}, {"id": "b", "say": "warm"})
    world.publish(form)
    crowd = [f"p{n}" for n in range(60)]
    world.crowd(crowd)
    world.all_happen([world.event("person.followed", name) for name in crowd])
    world.work()
    told = world.told()
    assert told["plain"] + told["warm"] == 60 and 15 <= told["plain"] <= 45
    with world.sessions.begin() as session:
        experiments.create(session, load_experiment(EXPERIMENT), world.clock.now())
        experiments.start(session, "hello_copy", world.clock.now())
    world.publish(form | {"key": "later"})
    world.happens("person.followed", "新")
    world.all_happen([world.event("person.followed", name) for name in crowd])
    world.work()
    shown = dict(world.rows("select person_id, arm from exposure"))
    taken = dict(world.rows("select e.person_id, v.arm from step_visit v join enrolment e on e.id = v.enrolment_id"
                            " join journey j on j.id = e.journey_id where j.key = 'later'"
                            " and v.arm <> ''"))
    assert len(shown) == 61 and shown == taken, "the exposure is written where the arms begin to differ"


EXPERIMENT = """
key = "hello_copy"
title = "问候"
surface = "copy"
min_people = 20
[goal]
metric = "order"
within_days = 7
[[arms]]
name = "plain"
weight = 50
[[arms]]
name = "warm"
weight = 50
"""


def test_the_held_out_are_watched_and_never_treated(world: World) -> None:
    world.publish(nudge(holdout="50%"))
    crowd = [f"p{n}" for n in range(80)]
    world.crowd(crowd)
    world.all_happen([world.event("line.paid", name, **LINE) for name in crowd])
    world.work()
    held = [person for person, in world.rows("select person_id from enrolment where holdout")]
    assert 20 <= len(held) <= 60
    back = next(name for name in crowd if world.people[name] in held)
    world.wait(days=8)
    world.wait(days=1)
    world.happens("line.paid", back, sku="RICE", order_id=9)
    world.wait(days=25)
    assert world.told()["nudge.soon"] == 80 - len(held)
    ends = dict(world.rows("select end_reason, count(*) from enrolment where holdout and run_no = 1 group by 1"))
    assert ends == {"no_goal": len(held) - 1, "goal": 1}


def test_a_poisoned_person_is_parked_and_stops_nobody(world: World) -> None:
    world.publish()
    for name in ("李", "王"):
        world.happens("line.paid", name, **LINE)
    world.work()
    with world.sessions.begin() as session:
        session.execute(text("update enrolment set step = 'nowhere' where person_id = :p"), {"p": world.person("王")})
    for _ in range(12):
        world.wait(days=1)
    assert world.told() == {"nudge.soon": 1, "nudge.out": 1}
    (run_id, attempts, fault), = world.rows("select id, attempts, fault from enrolment where state = 'parked'")
    assert (attempts, fault) == (5, "KeyError: 'nowhere'")
    with world.sessions.begin() as session:
        session.execute(text("update enrolment set step = 'n1' where id = :id"), {"id": run_id})
        assert service.retry(session, [run_id], world.clock.now()) == 1
    world.work()
    assert world.rows("select state, attempts, fault from enrolment where id = :id", id=run_id) == [("open", 0, "")]


def test_what_the_database_refuses_is_kept_with_the_one_person(world: World) -> None:
    """The outbox refuses one row: the batch is done again one by one."""
    world.publish()
    for name in ("李", "王", "张"):
        world.happens("line.paid", name, **LINE)
    world.work()
    with world.sessions.begin() as session:
        session.execute(text(f"alter table outbox add constraint no_wang check (person_id <> {world.person('王')})"))
    world.wait(days=8)
    assert world.told() == {"nudge.soon": 2}
    assert world.rows("select person_id, attempts from enrolment where fault <> ''") == [(world.person("王"), 1)]


def test_workers_share_who_is_due_and_what_one_lets_go_another_takes(world: World) -> None:
    world.publish()
    for number, name in enumerate(["赵", "钱", "孙", "李", "周"]):
        world.happens("line.paid", name, sku="RICE", order_id=number)
    world.work()
    world.clock.advance(8 * 86_400 + 60)
    now = world.clock.now()
    journey_id, = world.rows("select id from journey")[0]
    with world.sessions() as one, world.sessions() as two:
        assert engine.move_batch(one, world.library, journey_id, now, 3) == 3
        assert engine.move_batch(two, world.library, journey_id, now, 5) == 2
        one.rollback()
        two.commit()
    assert world.told()["nudge.soon"] == 2
    world.work()
    assert world.told()["nudge.soon"] == 5


def test_a_bad_event_is_put_off_and_dies_alone(world: World) -> None:
    world.publish()
    world.happens("line.paid", "李", **LINE)
    world.happens("line.paid", "王", sku="RICE", order_id=2)
    with world.sessions.begin() as session:
        session.execute(text("update journey_event set data = to_jsonb(repeat('x', 5000)) where person_id = :p"),
                        {"p": world.person("李")})
    for _ in range(8):
        world.wait(hours=1)
    states = dict(world.rows("select person_id, state from journey_event"))
    assert states == {world.person("李"): "dead", world.person("王"): "done"}
    assert len(world.runs()) == 1


def test_merging_two_people_keeps_one_run_of_each_key(world: World) -> None:
    from domain.people import service as people

    world.publish()
    li, wang = world.person("李"), world.person("王")
    for name, sku in (("李", "RICE"), ("王", "RICE"), ("王", "MILK")):
        world.happens("line.paid", name, sku=sku, order_id=1)
    world.work()
    with world.sessions.begin() as session:
        people.merge(session, li, wang, "test", world.clock.now(), (service.move,))
    found = world.rows("select person_id, run_key, run_no, state, end_reason from enrolment order by id")
    assert sorted(found) == [(li, "MILK", 1, "open", ""), (li, "RICE", 1, "open", ""),
                             (li, "RICE", 2, "ended", "merged")]
    world.wait(days=8)
    assert world.told() == {"nudge.soon": 2}


def test_a_guard_objects_for_every_reason(world: World) -> None:
    world.publish(nudge(exits=[{"when": "not consent.marketing", "reason": "unwanted"}]))
    li = world.person("李")
    world.happens("line.paid", "李", **LINE)
    world.work()
    world.wait(days=8)
    asked = world.rows("select payload ->> 'guard' from outbox")[0][0]

    def objection() -> str:
        with world.sessions.begin() as session:
            return guard.objection(session, world.library, asked, world.clock.now())

    assert objection() == ""
    with world.sessions.begin() as session:
        session.execute(text("insert into consent values (:p, 'marketing', false, 'chat', :now)"),
                        {"p": li, "now": world.clock.now()})
    assert objection() == "unwanted"
    world.rows("delete from consent returning 1")
    world.state("nudge", "pause")
    assert objection() == guard.PAUSED
    world.state("nudge", "resume")
    world.happens("line.paid", "李", sku="RICE", order_id=2)
    assert objection() == "goal", "also while the event still waits to be heard"
    world.work()
    assert objection() == "goal"
    assert world.rows("select 1 from enrolment where id = 0") == []
