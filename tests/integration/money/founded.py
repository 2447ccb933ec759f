"""The shop that most tests of money and of risk begin with, founded once a process: its database is copied.

李姐 invited 小王, 小王 invited 新客, and a plan is in force.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import pytest
from sqlalchemy import create_engine, make_url

from bot.runtime import embedded
from domain.shared.clock import FixedClock
from tests import standing
from tests.conftest import MORNING, fresh_database
from tests.integration.money.world import Shop


@dataclass(frozen=True)
class Founded:
    """``database``: the name of the template. ``people``: ids by name."""

    database: str
    people: dict[str, int]


@contextmanager
def founding(postgres: embedded.Server) -> Iterator[Founded]:
    """The template; it and what was copied from it are dropped afterwards."""
    with fresh_database(postgres) as url:
        engine = create_engine(url)
        shop = Shop(engine, FixedClock(MORNING))
        shop.person("李姐")
        shop.person("小王", invited_by="李姐")
        shop.person("新客", invited_by="小王")
        engine.dispose()
        name = str(make_url(url).database)
        standing.empty(postgres, name)
        yield Founded(name, shop.people)
        standing.drop(postgres, name)


def template(request: pytest.FixtureRequest) -> str:
    """Of which database this test gets a copy: the founded shop's, where it asks for ``founded``."""
    if "founded" in request.fixturenames:
        return str(request.getfixturevalue("founded").database)
    return "huitou"
