"""One whole service and one whole outside world a module; every test here is marked e2e."""

import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from tests import prepared
from tests.e2e.audit import Auditor, Books
from tests.e2e.house import House
from tests.e2e.mall import Event, Mall
from tests.e2e.peer import Phone, Platform, read_qr
from tests.e2e.platform_api import PlatformApi
from tests.e2e.waiting import until
from tests.e2e.wire import Keys

BELIEVED_SECONDS = 0.3
"""Longer than bot.runtime.gateways.account believes a token."""

SHOP = "李记有机"
TORTURE = os.environ.get("HUITOU_TORTURE") == "1"
"""Long runs with many repeats; the usual ones prove each step once."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    here = Path(__file__).parent
    for item in items:
        if here in item.path.parents:
            item.add_marker(pytest.mark.e2e)


@dataclass
class World:
    """The service and everybody it deals with.

    ``promises`` are kept by the end of the module, after everything has come to rest: what waits for a lease of a
    killed worker need not be waited for in each test.
    """

    house: House
    platform: Platform
    api: PlatformApi
    mall: Mall
    books: Books
    audit: Auditor
    promises: list[Callable[[], None]] = field(default_factory=list)

    def person(self, name: str, scene: str = "") -> Phone:
        """Somebody who follows, and whose name the mall has told."""
        phone = self.platform.phone(name)
        self.mall.tells(self.mall.names(phone))
        phone.follows(scene)
        return phone

    def sharer(self, name: str) -> "tuple[Phone, str]":
        """Somebody with a poster: the phone and the scene of its QR."""
        phone = self.person(name)
        phone.says("海报")
        return phone, self.api.scenes[read_qr(phone.gets_picture())]

    def earner(self, name: str) -> "Earner":
        """Somebody who follows, just wrote (so five messages may go to them), and has a share code."""
        phone = self.person(name)
        phone.says("佣金")
        return Earner(phone, self.mall.person(phone)["referral_code"])

    def sale(self, order: str, fen: int, earner: "Earner | None" = None) -> Event:
        """The report of an order of a stranger, brought by ``earner``'s code; entered in our own books."""
        self.books.order(order, fen, earner.phone if earner else None)
        return self.mall.paid(order, self.platform.phone(order), fen, share_code=earner.code if earner else "")

    def buys(self, order: str, buyer: Phone, fen: int, earner: Phone | None) -> None:
        """The mall reports an order until it is taken."""
        self.books.order(order, fen, earner)
        self.mall.tells(self.mall.paid(order, buyer, fen))

    def forget_token(self) -> int:
        """The service's access token is gone; returns how often it has asked for one so far.

        Whoever has just followed is asked about first, and each process believes a token for a moment after it read
        it: before that is over, nobody would notice.
        """
        learning = ("outbox where kind = 'follower.learn' and (state = 'running' or state = 'waiting'"
                    " and due_at <= now())")
        until(lambda: not self.house.count(learning), "everybody who follows is known")
        with self.house.connect() as db:
            db.execute("delete from platform_token")
        time.sleep(BELIEVED_SECONDS)
        return self.api.count("stable_token")


@dataclass(frozen=True)
class Earner:
    phone: Phone
    code: str


@pytest.fixture(scope="module")
def world(prepared_home: Path) -> Iterator[World]:
    """A new shop with two products. Audited at the end, and stopped as an operator stops it."""
    with opened(Keys(), prepared_home) as world:
        yield world


@contextmanager
def opened(keys: Keys, prepared_home: Path, more_accounts: str = "") -> Iterator[World]:
    """What ``world`` gives; ``more_accounts`` is added to the accounts file."""
    with PlatformApi(keys.app_id, keys.app_secret) as api:
        house = House(keys.accounts_file(api.base, SHOP) + more_accounts)
        try:
            prepared.copy(prepared_home, house.home)
            house.start()
            platform, mall, books = Platform(keys, api, house.port), Mall(keys, house.port), Books()
            mall.tells(mall.product("RICE-5KG", "有机大米 5kg", "fmcg", 9_900),
                       mall.product("MILK-24", "高原牧场纯牛奶 24盒", "fmcg", 6_900))
            until(lambda: house.count("product") == 2, "the goods are on the shelf", 20)
            audit = Auditor(house, platform, mall, books)
            world = World(house, platform, api, mall, books, audit)
            yield world
            audit.settled()
            for kept in world.promises:
                kept()
            house.stop()
        finally:
            house.remove()
