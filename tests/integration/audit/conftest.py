"""Three operators on a fresh database."""

import pytest
from sqlalchemy import Engine
from sqlalchemy.orm import Session, sessionmaker

from domain.audit import service as audit
from domain.audit.rules import Actor
from domain.shared.clock import FixedClock


@pytest.fixture
def sessions(engine: Engine) -> sessionmaker[Session]:
    return sessionmaker(engine, expire_on_commit=False)


@pytest.fixture
def team(sessions: sessionmaker[Session], clock: FixedClock) -> dict[str, Actor]:
    """By role: one of each."""
    with sessions.begin() as session:
        boss = audit.add_operator(session, "林老板", "owner", None, clock.now())
        others = {role: audit.add_operator(session, name, role, boss, clock.now())
                  for role, name in (("finance", "周会计"), ("reviewer", "陈审核"), ("operator", "小运营"))}
    return {"owner": boss, **others}
