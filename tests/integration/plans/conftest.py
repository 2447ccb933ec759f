"""A shop with three operators and its first plan."""

import pytest
from sqlalchemy.orm import Session, sessionmaker

from bot.runtime.bootstrap import ASSETS
from domain.audit.rules import Actor
from domain.commissions import plans
from domain.commissions import service as commissions
from domain.shared.clock import FixedClock
from tests.integration.audit.conftest import sessions, team

__all__ = ["sessions", "team"]

FIRST = plans.load(ASSETS / "plans" / "first-shop.toml")


@pytest.fixture
def opened(sessions: sessionmaker[Session], team: dict[str, Actor], clock: FixedClock) -> sessionmaker[Session]:
    with sessions.begin() as session:
        commissions.ensure_plan(session, FIRST, clock.now(), actor="huitou")
    return sessions
