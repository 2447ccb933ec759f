"""Whoever answers a bell hears what it rings itself: nobody else is called to find nothing."""

from collections.abc import Iterator

import pytest
from redis import Redis

from bot.runtime import bell, bootstrap, work
from bot.runtime.bell import BELLS, Doorbell
from domain.orders import service as orders
from tests.dialogs.test_earned import pays
from tests.fakes.shop import ACCOUNT, SOURCE, Shop, voice
from tests.fakes.sketches import sketch_studio


@pytest.fixture
def connection(valkey_url: str) -> Iterator[Redis]:
    connection = bell.connect(valkey_url)
    yield connection
    connection.close()


@pytest.fixture
def doorbell(connection: Redis) -> Doorbell:
    return Doorbell(connection)


def rung(connection: Redis) -> dict[str, int]:
    """How many jobs wait behind each bell."""
    return {name: int(connection.llen(f"rq:queue:{name}")) for name in BELLS}  # type: ignore[arg-type]


def test_an_order_is_booked_and_told_and_nobody_is_called_to_find_nothing(shop: Shop, connection: Redis) -> None:
    shop.person("李姐")
    shop.person("新客", invited_by="李姐")
    house = shop.runtime
    worker = bootstrap.build(house.settings, engine=house.engine, clock=shop.clock, bell=Doorbell(connection),
                             gateways={ACCOUNT: shop.gateway}, studio=sketch_studio(), voice=voice())
    with house.sessions.begin() as session:
        orders.receive(session, SOURCE, [pays(shop, "A1")], shop.clock.now())
    assert work.answer(worker, "fast")
    shop.deliver()
    shop.people["李姐"].saw("佣金到账")
    assert rung(connection)["fast"] == 0


def test_a_ring_of_its_own_is_heard_and_calls_nobody(doorbell: Doorbell, connection: Redis) -> None:
    with doorbell.answering("fast"):
        assert not doorbell.heard()
        assert doorbell.ring({"fact", "notice"})
        assert rung(connection) == {"fast": 0, "slow": 0}
        assert doorbell.heard() and not doorbell.heard()
        assert doorbell.ring({"notice", "slow"})
        assert rung(connection) == {"fast": 0, "slow": 1}
        assert doorbell.ring({"fact"}, for_help=True)
        assert rung(connection) == {"fast": 1, "slow": 1}


def test_others_are_called_to_what_it_heard_when_it_fails(doorbell: Doorbell, connection: Redis) -> None:
    with pytest.raises(ValueError), doorbell.answering("fast"):
        doorbell.ring({"notice"})
        raise ValueError
    assert rung(connection) == {"fast": 1, "slow": 0}


def test_afterwards_it_rings_as_before(doorbell: Doorbell, connection: Redis) -> None:
    with pytest.raises(ValueError), doorbell.answering("fast"):
        raise ValueError
    assert doorbell.ring({"event"}) and doorbell.ring({"event"})
    assert rung(connection)["fast"] == 1
    with doorbell.answering("fast"):
        assert Doorbell(connection).ring({"event"}), "somebody else"
    assert rung(connection)["fast"] == 2
