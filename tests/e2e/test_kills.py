"""SIGKILL at every durable step, from outside: nothing acknowledged is lost, nothing is done twice, all heals.

A step is reached on purpose, never by luck: a call stops at a gate of the peer, or a transaction stands at a lock of
ours, and there the process is killed. What a killed worker had claimed comes back when its lease runs out; such
checks are promises, kept at the end of the module. The fixture then audits everything (see audit.py).
"""

import random
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, contextmanager

import pytest

from tests.e2e import walkers
from tests.e2e.conftest import TORTURE, Earner, World
from tests.e2e.house import Part
from tests.e2e.looks import has_pictures, notice, ready, told
from tests.e2e.peer import Answer, Phone
from tests.e2e.platform_api import api, send_to
from tests.e2e.waiting import until

pytestmark = pytest.mark.timeout(600 if TORTURE else 180)

FEN = 9_900


@pytest.fixture
def pool() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(8) as pool:
        yield pool


@contextmanager
def person_locked(world: World, openid: str) -> Iterator[Callable[[], None]]:
    """Whatever the service does for this person stands still; yields how to wait for it."""
    lock = "select p.id from person p join identity i on i.person_id = p.id where i.value = %s for update of p"
    with world.house.standing((lock, (openid,))) as standing:
        yield standing.reached


# The web


@pytest.mark.parametrize("member", [0, -1], ids=["its server", "its worker process"])
def test_web_is_killed_with_a_message_in_hand(world: World, pool: ThreadPoolExecutor, member: int) -> None:
    """The message is in the database, but not committed, when its process dies: the platform's next try does it all."""
    phone = world.person("张姐")
    with person_locked(world, phone.openid) as reached:
        asked: Future[Answer] = pool.submit(phone.insists, "佣金")
        reached()
        world.house.kill_pid(world.house.pids("web")[member])
    answer = asked.result()
    assert answer.tries > 1
    assert "待结算 ¥0.00" in phone.reply(answer)
    assert world.house.count("inbox_message where kind = 'text' and payload ->> 'sender' = %s", phone.openid) == 1


def test_web_is_killed_between_commit_and_answer(world: World, pool: ThreadPoolExecutor) -> None:
    """The work is committed, the platform never heard: its next try gets the stored reply, and there is one poster.

    The step lasts as long as a ring at a frozen bell, half a second: should we miss it, the next person has it.
    """
    for name in ("吴姐", "何姐", "吕姐", "施姐"):
        phone = world.person(name)
        if _answer_after_commit(world, pool, phone).tries > 1:
            break
    else:
        raise AssertionError("the step was never met")
    phone.gets_picture()
    world.promises.append(lambda: has_pictures(world, phone.openid, 1))


def _answer_after_commit(world: World, pool: ThreadPoolExecutor, phone: Phone) -> Answer:
    ordered = "select 1 from outbox where kind = 'poster.make' and payload ->> 'openid' = %s"
    web = world.house.pids("web")[0]
    world.house.freeze("valkey")
    try:
        with world.house.connect() as db:
            db.autocommit = True
            asked: Future[Answer] = pool.submit(phone.insists, "海报")
            until(lambda: db.execute(ordered, (phone.openid,)).fetchone(), "the order of the poster", pause=0.005)
            world.house.kill_pid(web)
    finally:
        world.house.thaw("valkey")
    answer = asked.result()
    assert "正在生成" in phone.reply(answer)
    return answer


def test_web_is_killed_with_events_in_hand(world: World, pool: ThreadPoolExecutor) -> None:
    """A batch that was not answered may have been taken, because its COMMIT travels along; told again, it counts once,
    and never in part."""
    events = [world.sale(f"W{n}", FEN) for n in range(3)]
    twin = ("insert into commerce_event (source, event_id, digest, type, subject, payload, occurred_at, received_at)"
            " values ('mall', %s, '', 'x', 'x', '{}', now(), now())", (events[1]["id"],))
    with world.house.standing(twin) as standing:
        told = pool.submit(world.mall.post, *events)
        standing.reached()
        world.house.kill("web")
        assert told.result() == (0, {})
    assert world.mall.tells(*events) in ({"accepted": 3, "duplicate": 0}, {"accepted": 0, "duplicate": 3})
    until(lambda: world.house.count("customer_order where order_no = any(%s)", ["W0", "W1", "W2"]) == 3, "the orders")


# The fast worker

STEPS = ("posting", "earned_news")
"""Tables at which the booking of an order is stopped: in the middle of it, and before the news of who earned."""
MORE_STEPS = ("person", "customer_order", "order_line", "commission_line", "journal", "balance", "commerce_open")


@pytest.mark.parametrize("table", STEPS + (MORE_STEPS if TORTURE else ()))
def test_the_worker_is_killed_while_it_books_an_order(world: World, table: str) -> None:
    """All of an order is booked, or none of it: the next worker finds it as it was."""
    earner = world.earner("李姐")
    sale = world.sale(f"B-{table}", FEN, earner)
    with ExitStack() as stack:
        world.house.freeze("fast")
        try:
            world.mall.tells(sale)
            standing = stack.enter_context(world.house.standing((f"lock table {table} in share mode", ())))
        finally:
            world.house.thaw("fast")
        standing.reached()
        world.house.kill("fast")
    # Its last statement and COMMIT travel together: the database may still carry out what it heard before the kill.
    (found,) = world.house.sql(
        "select count(distinct o.id), count(c.id) from customer_order o"
        " left join commission_line c on c.order_id = o.id where o.order_no = %s", f"B-{table}")
    assert found in ((0, 0), (1, 1))
    earner.phone.gets("佣金到账 ¥7.92", f"B-{table}")


def test_the_worker_is_killed_between_facts(world: World) -> None:
    """The news is taken, its notices not yet written: whoever comes next finds it as it was, and it is told once."""
    earner = world.earner("郑姐")
    keys = ("insert into outbox (queue, kind, key, payload, created_at, due_at) "
            "select 'notice', 'x', 'notice:commission.accrued:' || n || ':' || %s, '{}', now(), now() "
            "from generate_series(1, (select last_value + 1000 from customer_order_id_seq)) n",
            (world.mall.person(earner.phone)["id"],))
    with world.house.standing(keys) as standing:
        world.mall.tells(world.sale("F1", FEN, earner), world.sale("F2", FEN, earner))
        standing.reached()
        world.house.kill("fast")
    world.promises.append(lambda: told(world, earner, "F1", times=1))
    world.promises.append(lambda: told(world, earner, "F2", times=1))


def _have_token(world: World, earner: Earner) -> None:
    """Make sure that the next send needs no token first."""
    world.mall.tells(world.sale("G0", FEN, earner))
    earner.phone.gets("G0")


def test_the_worker_is_killed_with_sends_in_flight(world: World) -> None:
    """Five notices at five steps of one send. Where the end is unknown, it counts as sent: nobody is told twice."""
    unseen, unheard, unrecorded, unstarted, done = (world.earner(name) for name in ("甲", "乙", "丙", "丁", "戊"))
    orders = dict(zip(("G1", "G2", "G3", "G4", "G5"), (unseen, unheard, unrecorded, unstarted, done), strict=True))
    _have_token(world, done)
    with ExitStack() as stack:
        gates = [stack.enter_context(world.api.gated(send_to(unseen.phone.openid), "received")),
                 stack.enter_context(world.api.gated(send_to(unheard.phone.openid), "acted")),
                 stack.enter_context(world.api.gated(send_to(unrecorded.phone.openid), "acted"))]
        right = ("select 1 from send_right where openid = %s for update", (unstarted.phone.openid,))
        standing = stack.enter_context(world.house.standing(right))
        world.mall.tells(*(world.sale(order, FEN, earner) for order, earner in orders.items()))
        for gate in gates:
            gate.wait()
        standing.reached()
        until(lambda: notice(world, "G5")[0] == "done", "the fifth is done")
        row = ("select 1 from outbox where kind = 'notice.text' and payload -> 'facts' ->> 'order_no' = %s for update",
               ("G3",))
        answered = stack.enter_context(world.house.standing(row))
        gates[2].answer()
        answered.reached()
        world.house.kill("fast")

    def kept() -> None:
        # The record of the third's end was under way with its COMMIT: the database may still have carried it out.
        ends = {"G1": (0, [True]), "G2": (1, [True]), "G3": (1, [True, None]), "G4": (1, [None]), "G5": (1, [None])}
        for order, (times, maybe) in ends.items():
            told(world, orders[order], order, times)
            assert notice(world, order) in [("done", one) for one in maybe], order

    world.promises.append(kept)


# The slow worker


def test_the_slow_worker_is_killed_while_posters_are_made(world: World) -> None:
    """One picture is being uploaded, another was just delivered: each of the two people has one in the end."""
    pair = [world.person(name) for name in ("己", "庚")]
    world.house.freeze("slow")
    for phone in pair:
        phone.says("海报")
    with (world.api.gated(api("media/upload"), "received") as upload,
          world.api.gated(lambda call: any(send_to(p.openid, "image")(call) for p in pair), "acted") as send):
        world.house.thaw("slow")
        upload.wait()
        send.wait()
        world.house.kill("slow")

    def kept() -> None:
        assert [len(world.api.pictures(phone.openid)) for phone in pair] == [1, 1]

    world.promises.append(kept)


@pytest.mark.parametrize("call", ["stable_token", *(["qrcode/create"] if TORTURE else [])])
def test_a_worker_killed_while_it_asks_the_platform_holds_up_nobody(world: World, call: str) -> None:
    """Its locks go with it: the other worker asks at once; what it was doing is done after its lease."""
    drawer, earner = world.person("李姐"), world.earner("王姐")
    world.forget_token()
    with world.api.gated(api(call), "received") as gate:
        drawer.says("海报")
        gate.wait()
        world.mall.tells(world.sale(f"A-{call}", FEN, earner))
        world.house.kill("slow")
        earner.phone.gets("佣金到账", f"A-{call}")
    world.promises.append(lambda: has_pictures(world, drawer.openid, 1))


# The bell and the clock


def test_the_bell_is_flushed_with_work_queued(world: World) -> None:
    """Redis forgets everything while work is queued: the clock finds it in PostgreSQL and rings again."""
    earner = world.earner("冯姐")
    world.house.freeze("fast")
    try:
        world.mall.tells(world.sale("V1", FEN, earner))
        with world.house.valkey() as valkey:
            until(lambda: valkey.llen("rq:queue:fast"), "the ring", 10)
            valkey.flushall()
    finally:
        world.house.thaw("fast")
    earner.phone.gets("佣金到账", "V1")


def test_valkey_is_killed(world: World) -> None:
    """Messages and orders are taken and worked off while the bell is gone."""
    earner = world.earner("陈姐")
    world.house.kill("valkey")
    assert "待结算" in earner.phone.reply(earner.phone.insists("佣金"))
    assert world.mall.post(world.sale("V2", FEN, earner))[0] == 202
    earner.phone.gets("佣金到账", "V2")
    until(lambda: world.house.pids("valkey"), "valkey runs again", 30)


def test_valkey_hangs(world: World) -> None:
    """A bell that neither rings nor breaks: people are answered in time, and their work is done."""
    earner = world.earner("沈姐")
    asker = world.person("韩姐")
    world.house.freeze("valkey")
    try:
        answer = asker.sends("海报")
        assert (answer.status, answer.tries) == (200, 1)
        assert world.mall.post(world.sale("V3", FEN, earner))[0] == 202
        earner.phone.gets("佣金到账", "V3")
    finally:
        world.house.thaw("valkey")
    asker.gets_picture()


def test_the_clock_is_killed_when_only_it_knows(world: World) -> None:
    """The ring is lost and the clock dead: its successor finds the work."""
    earner = world.earner("褚姐")
    world.house.freeze("fast")
    try:
        world.mall.tells(world.sale("C1", FEN, earner))
        world.house.kill("clock")
        with world.house.valkey() as valkey:
            valkey.flushall()
    finally:
        world.house.thaw("fast")
    earner.phone.gets("佣金到账", "C1")


# Journeys


def test_journeys_walk_on_past_two_clocks_two_workers_kills_and_a_flush(world: World, pool: ThreadPoolExecutor) -> None:
    """Two clocks ring, two workers walk the same people. Both workers die in the middle of a step, and again with a
    message that arrived and was not recorded; the bell forgets everything; a clock dies. Everybody walks on, once."""
    walkers.publish(world.house)
    phones = {f"J{n}": world.person(f"行{n}") for n in range(6)}
    list(pool.map(lambda phone: phone.says("佣金"), phones.values()))
    sold = [world.mall.paid(order, phone, FEN) for order, phone in phones.items()]
    with walkers.twins(world.house) as (clock, worker):
        with world.house.standing(("lock table step_visit in share mode", ())) as standing:
            world.mall.tells(*sold)
            for order in phones:
                world.books.order(order, FEN, None)
            standing.reached()
            worker.kill()
            world.house.kill("fast")
            with world.house.valkey() as valkey:
                valkey.flushall()
        worker.start()
        until(lambda: all(world.api.texts(one.openid) for one in phones.values()), "the first text")
        with world.api.gated(send_to(phones["J0"].openid), "acted") as gate:
            world.mall.tells(*(world.mall.shipped(order) for order in phones))
            gate.wait()
            clock.kill()
            worker.kill()
            world.house.kill("fast")
        worker.start()
        clock.start()
        world.house.kill("clock")
        until(lambda: walkers.arrived(world.house, list(phones)), "everybody has walked to the end", 60, 0.1)

    def kept() -> None:
        walkers.check(world.house, phones, {one.openid: world.api.texts(one.openid) for one in phones.values()})

    world.promises.append(kept)


# The database


def test_postgres_is_killed_under_load(world: World, pool: ThreadPoolExecutor) -> None:
    """While the database is away nobody is told that their message was taken; afterwards everything goes on."""
    earner = world.earner("卫姐")
    crowd = [world.platform.phone(f"客{n}") for n in range(4)]
    over = threading.Event()
    seen = len(world.platform.failures)

    def chat(n: int) -> None:
        while not over.is_set():
            crowd[n].insists("佣金")

    def sell() -> int:
        count = 0
        while not over.is_set():
            count += 1
            world.mall.tells(world.sale(f"P{count}", FEN))
        return count

    busy = [pool.submit(chat, n) for n in range(4)]
    before = len(world.mall.accepted)
    selling = pool.submit(sell)
    until(lambda: len(world.mall.accepted) > before + 5, "a first few orders")
    world.house.kill("postgres")
    until(lambda: ready(world) == 503, "/readyz is red", 10)
    until(lambda: len(world.platform.failures) > seen, "somebody was told no")
    until(lambda: ready(world) == 200, "/readyz is green", 30)
    over.set()
    for job in busy:
        job.result()
    assert selling.result() > 5
    assert all(status == 0 or status >= 500 for status in world.platform.failures[seen:])
    world.mall.tells(world.sale("P-after", FEN, earner))
    earner.phone.gets("佣金到账", "P-after")


# Everything


def test_the_supervisor_is_killed(world: World) -> None:
    """No orphan stays behind; started again on the same home, the house goes on where it stood."""
    earner = world.earner("蒋姐")
    world.house.freeze("fast")
    world.mall.tells(world.sale("X1", FEN, earner))
    world.house.thaw("fast")
    world.house.kill_all()
    until(lambda: not world.house.left_behind(), "nothing is left", 45)
    world.house.start()
    world.promises.append(lambda: told(world, earner, "X1", times=None))
    until(lambda: "待结算 ¥7.92" in earner.phone.says("佣金"), "the money")


@pytest.mark.skipif(not TORTURE, reason="long: HUITOU_TORTURE=1")
@pytest.mark.timeout(1800)
def test_a_hundred_kills_at_random_under_load(world: World, pool: ThreadPoolExecutor) -> None:
    """Chance finds the steps that nobody thought of."""
    parts: tuple[Part, ...] = ("web", "fast", "slow", "clock", "valkey", "postgres")
    crowd = [world.person(f"众{n}") for n in range(4)]
    over = threading.Event()

    def live(n: int) -> None:
        for count in range(10**6):
            if over.is_set():
                return
            crowd[n].insists(random.choice(("海报", "佣金", "团队")))
            world.mall.tells(world.sale(f"T{n}-{count}", random.randrange(100, 20_000)))

    busy = [pool.submit(live, n) for n in range(len(crowd))]
    for _ in range(100):
        time.sleep(random.uniform(0.2, 6.0))
        world.house.kill(random.choice(parts))
    over.set()
    for job in busy:
        job.result()
