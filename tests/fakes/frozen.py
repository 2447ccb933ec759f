"""A shop as it was at one moment, for the many tests that begin with the same story.

Opening a shop and bringing somebody to their first money takes longer than most tests about that money. So the story is
told once a process: its database becomes the template of the tests' databases, and what the fakes remember is copied.
"""

import itertools
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from copy import deepcopy
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any

from sqlalchemy import make_url

from bot.runtime import embedded
from domain.shared.clock import FixedClock
from tests import standing
from tests.conftest import MORNING, fresh_database
from tests.fakes.shop import Shop

PAY = ("bills", "faults", "calls", "lines", "notices", "funds_fen")
"""What the payment provider remembers."""


@dataclass(frozen=True)
class Frozen:
    """``database``: the name of the template. ``memory``: what the gateway, the provider and the people remember."""

    postgres: embedded.Server
    database: str
    home: Path
    now: datetime
    memory: tuple[dict[str, Any], dict[str, Any], dict[str, Any], int]

    def thaw(self, home: Path, database_url: str, clock: FixedClock, **opened: Any) -> Shop:
        """The shop again, on a copy of its database and with a home of its own. The rest: as in ``Shop.open``."""
        shutil.copytree(self.home, home, dirs_exist_ok=True)
        clock.advance((self.now - clock.now()).total_seconds())
        shop = Shop.open(home, database_url, clock, seeded=True, **opened)
        gateway, pay, people, number = deepcopy(self.memory)
        vars(shop.gateway).update(gateway)
        vars(shop.pay).update(pay)
        shop.people.update({name: replace(person, shop=shop) for name, person in people.items()})
        shop.numbers = itertools.count(number)
        return shop

    @contextmanager
    def shop(self, home: Path, clock: FixedClock, **opened: Any) -> Iterator[Shop]:
        """``thaw`` on a database of its own."""
        with standing.lent(self.postgres, self.database) as url:
            shop = self.thaw(home, url, clock, **opened)
            yield shop
            shop.close()


@contextmanager
def frozen(postgres: embedded.Server, home: Path, story: Callable[[Shop], object],
           begin: Frozen | None = None, **opened: Any) -> Iterator[Frozen]:
    """The shop after ``story``, which goes on from ``begin`` (default: a shop that has just been opened). The rest: as
    in ``Shop.open``, while the story is told."""
    clock = FixedClock(MORNING)
    with fresh_database(postgres, begin.database if begin else "huitou") as url:
        shop = begin.thaw(home, url, clock, **opened) if begin else Shop.open(home, url, clock, **opened)
        story(shop)
        shop.close()
        name = str(make_url(url).database)
        standing.empty(postgres, name)
        yield Frozen(postgres, name, home, clock.now(), _memory(shop))
        standing.drop(postgres, name)


def _memory(shop: Shop) -> tuple[dict[str, Any], dict[str, Any], dict[str, Any], int]:
    people = {name: replace(person, shop=None, heard=list(person.heard))  # type: ignore[arg-type]
              for name, person in shop.people.items()}
    pay = {name: getattr(shop.pay, name) for name in PAY}
    return deepcopy((dict(vars(shop.gateway)), pay, people, next(shop.numbers)))
