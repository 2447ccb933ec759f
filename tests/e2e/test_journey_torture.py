"""A population walks through a journey while processes die at random: clocks, workers, the database, the bell.

The audit reads the phones: nobody hears anything twice, nobody is lost on the way. What the usual suite proves at
chosen steps (test_kills.py) is looked for here where nobody thought of. HUITOU_TORTURE=1; HUITOU_KILLS: how many.
"""

import os
import random
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

import psycopg
import pytest
import redis

from tests.e2e import walkers
from tests.e2e.conftest import TORTURE, World
from tests.e2e.peer import Phone
from tests.e2e.waiting import until
from tests.e2e.walkers import Twin

KILLS = int(os.environ.get("HUITOU_KILLS", "60"))
PEOPLE, FEN, PATIENCE = 60, 9_900, 600.0

pytestmark = [pytest.mark.skipif(not TORTURE, reason="minutes: HUITOU_TORTURE=1"), pytest.mark.timeout(3_600)]


def test_nobody_is_told_twice_and_nobody_is_lost_whatever_dies(world: World) -> None:
    """Orders, parcels and deaths come in an order that the seed decides; in the end everybody has walked once."""
    luck = random.Random(int(os.environ.get("HUITOU_SEED", "1")))
    walkers.publish(world.house)
    phones = {f"T{n:03d}": world.person(f"走{n}") for n in range(PEOPLE)}
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda phone: phone.says("佣金"), phones.values()))
    waiting, shipped = list(phones), list[str]()
    died: dict[str, int] = {}
    with walkers.twins(world.house) as (clock, worker):
        for _ in range(KILLS):
            waiting, shipped = _goes_on(world, luck, phones, waiting, shipped)
            time.sleep(luck.uniform(0.02, 1.2))
            name, kill = luck.choice(_deaths(world, clock, worker))
            kill()
            died[name] = died.get(name, 0) + 1
        _lives(world, clock, worker)
        for order in waiting:
            world.books.order(order, FEN, None)
            world.mall.tells(world.mall.paid(order, phones[order], FEN))
        late = [order for order in phones if order not in shipped]
        until(lambda: set(late) <= _at_parcel(world), "everybody waits for the parcel", PATIENCE, 0.5)
        for order in late:
            world.mall.tells(world.mall.shipped(order))
        until(lambda: walkers.arrived(world.house, list(phones)), "everybody has walked to the end", PATIENCE, 0.5)
    assert len(died) >= 5, died
    world.promises.append(lambda: walkers.check(
        world.house, phones, {one.openid: world.api.texts(one.openid) for one in phones.values()}))


def _goes_on(world: World, luck: random.Random, phones: dict[str, Phone], waiting: list[str],
             shipped: list[str]) -> tuple[list[str], list[str]]:
    """A few more people buy, and some parcels leave, of those that somebody waits for. What the shop does not take for
    the moment is told again."""
    count = min(len(waiting), luck.randint(0, 2 * PEOPLE // KILLS + 1))
    for order in waiting[:count]:
        world.books.order(order, FEN, None)
        world.mall.tells(world.mall.paid(order, phones[order], FEN))
    bought = sorted(_at_parcel(world) - set(shipped) - {""})
    leaving = luck.sample(bought, min(len(bought), luck.randint(0, 3)))
    for order in leaving:
        world.mall.tells(world.mall.shipped(order))
    return waiting[count:], shipped + leaving


def _at_parcel(world: World) -> set[str]:
    """Orders whose people wait for their parcel. Whoever is told of it before that would wait for another one."""
    rows = until(lambda: _rows(world), "the database answers", 60, 0.2)
    return {row[0] for row in rows}


def _rows(world: World) -> list[tuple[str]]:
    with suppress(psycopg.Error):
        return [("",), *world.house.sql("select ctx -> 'event' ->> 'order_no' from enrolment e join journey j"
                                        " on j.id = e.journey_id where j.key = 'hurried' and e.step = 'parcel'"
                                        " and e.state = 'open'")]  # type: ignore[list-item]
    return []


def _deaths(world: World, clock: Twin, worker: Twin) -> list[tuple[str, Callable[[], None]]]:
    """Who may die next; those of ours come back by hand, the others by their supervisor."""
    house = world.house

    def again(twin: Twin) -> None:
        if twin.process is not None and twin.process.poll() is None:
            twin.kill()
        twin.start()

    def flush() -> None:
        until(lambda: house.pids("valkey"), "valkey runs", 30)
        with house.valkey() as valkey:
            until(lambda: _answers(valkey), "valkey answers", 30)
            valkey.flushall()

    def database() -> None:
        house.kill("postgres")
        until(lambda: _database_answers(world), "the database answers", 60, 0.2)

    return [("fast", lambda: house.kill("fast")), ("fast", lambda: house.kill("fast")),
            ("clock", lambda: house.kill("clock")), ("second clock", lambda: again(clock)),
            ("second worker", lambda: again(worker)), ("second worker", lambda: again(worker)),
            ("valkey", lambda: house.kill("valkey")), ("flush", flush), ("postgres", database)]


def _lives(world: World, clock: Twin, worker: Twin) -> None:
    """Everything runs again."""
    for twin in (clock, worker):
        if twin.process is None or twin.process.poll() is not None:
            twin.start()
    for part in ("postgres", "valkey", "fast", "clock"):
        until(lambda part=part: world.house.pids(part), f"{part} runs", 60)  # type: ignore[misc]


def _answers(valkey: redis.Redis) -> bool:
    with suppress(redis.RedisError):
        return bool(valkey.ping())
    return False


def _database_answers(world: World) -> bool:
    with suppress(psycopg.Error):
        return world.house.count("journey") >= 1
    return False
