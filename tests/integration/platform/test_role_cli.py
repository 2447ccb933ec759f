"""Roles at the terminal: shown, assessed, given and taken, each under a name and in the log."""

import json
import logging
from collections.abc import Iterator

import pytest
import structlog
from click.testing import CliRunner
from sqlalchemy import Engine, text
from sqlalchemy.orm import Session

from bot.runtime.cli import main
from domain.roles import invitations, rulebooks
from domain.roles.rulebook import load
from tests.conftest import MORNING
from tests.integration.people.crowd import crowd
from tests.unit.roles.test_rulebook import SHIPPED


@pytest.fixture(autouse=True)
def quiet() -> Iterator[None]:
    """The commands set up logging for their process; put it back."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    structlog.reset_defaults()
    root.handlers[:], root.level = handlers, level


def test_roles_are_given_shown_assessed_and_taken(engine: Engine, database_url, valkey_url, tmp_path) -> None:
    env = {"HUITOU_HOME": str(tmp_path), "DATABASE_URL": database_url, "REDIS_URL": valkey_url}

    def run(line: str, *more: str, expect: int = 0) -> str:
        result = CliRunner().invoke(main, [*line.split(), *more], env=env, catch_exceptions=False)
        assert result.exit_code == expect, result.output
        return result.output

    with Session(engine) as session:
        person = crowd(session, 1)[0]
    run("operator add lin --role owner")
    assert "还没有发布等级规则" in run("role assess --as lin", expect=1)
    with Session(engine) as session, session.begin():
        rulebooks.publish(session, load(SHIPPED), MORNING.replace(year=2020))
    assert "没有名为「nobody」" in run(f"role grant {person} gold --why x --as nobody", expect=1)
    assert "没有编号为 999" in run("role grant 999 gold --why x --as lin", expect=1)
    assert "请写明理由" in run(f"role grant {person} gold --as lin --why", " ", expect=1)
    assert "nobody has the id 999" in run("role show 999", expect=1)
    assert "is partner now" in run(f"role grant {person} partner --why 昆明社群 --as lin")
    assert "was partner already" in run(f"role grant {person} partner --why again --as lin")
    shown = json.loads(run(f"role show {person} --json"))
    assert (shown["role"], shown["held"][0]["because"], len(shown["decisions"])) == ("partner", "operator", 2)
    held, = json.loads(run("role holders --json"))["holders"]
    assert (held["person_id"], held["role"], held["because"], held["provisional"]) == (
        person, "partner", "operator", False)
    assert "partner" in run("role holders --role partner") and "nobody" in run("role holders --role gold")
    assert "nobody" in run(f"role holders --after {person}")
    assert run("role invitations").strip() == "none"
    with Session(engine) as session, session.begin():
        invitations.invite(session, [(person, {"orders": 3})], rulebooks.live(session, MORNING).seed,
                           MORNING.replace(year=2025))
    assert "(over)" in run("role invitations") and "none" in run("role invitations --state accepted")
    asked, = json.loads(run("role invitations --state all --json"))["invitations"]
    assert (asked["person_id"], asked["state"], asked["over"]) == (person, "open", True)
    assert "1 judged, 0 promoted, 0 warned, 0 demoted" in run("role assess --as lin")
    assert "只能评定刚结束的上个月" in run("role assess --month 2020-01 --as lin", expect=1)
    assert "no month" in run("role assess --month 2020-13 --as lin", expect=2)
    assert "not partner any more" in run(f"role revoke {person} partner --why 试点结束 --as lin")
    assert "revoked partner (operator) by lin" in run(f"role show {person}")
    with engine.connect() as db:
        acts = db.execute(text("select act from audit_event where act like 'role.%' order by id")).scalars().all()
    assert acts == ["role.grant", "role.grant", "role.assess", "role.revoke"]
