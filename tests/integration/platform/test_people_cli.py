"""People who leave, and rewards, at the terminal."""

import json
import logging
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest
import structlog
from click.testing import CliRunner
from sqlalchemy import Engine, text
from sqlalchemy.orm import Session

from bot.runtime.cli import main
from domain.people import leaving
from domain.people import service as people
from domain.shots import service as shots
from tests.integration.people.crowd import crowd


@pytest.fixture(autouse=True)
def quiet() -> Iterator[None]:
    """The commands set up logging for their process; put it back."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    structlog.reset_defaults()
    root.handlers[:], root.level = handlers, level


def test_erased_listed_kept_and_rewards_shown(engine: Engine, database_url, valkey_url, tmp_path) -> None:
    env = {"HUITOU_HOME": str(tmp_path), "DATABASE_URL": database_url, "REDIS_URL": valkey_url}

    def run(line: str, *more: str, expect: int = 0) -> str:
        result = CliRunner().invoke(main, [*line.split(), *more], env=env, catch_exceptions=False)
        assert result.exit_code == expect, result.output
        return result.output

    with Session(engine) as session:
        one, other = crowd(session, 2)
        people.set_profile(session, one, nickname="夏侯独一")
        session.commit()
    run("operator add lin --role owner")
    run("operator add zhou --role finance --as lin")
    run(f"people erase {one} --as zhou --reason letter", expect=1)
    done = json.loads(run(f"people erase {one} --as lin --reason letter --json"))
    assert (done["state"], done["person_id"], done["actor"]) == ("done", one, "lin")
    with Session(engine) as session:
        assert session.scalar(text("select nickname from person where id = :id"), {"id": one}) == ""
        acts = list(session.scalars(text("select act from audit_event where subject = :one order by id"),
                                    {"one": f"person:{one}"}))
        assert acts == ["people.erase", "people.erased"]
        session.execute(text("insert into programme_stale (person_id, fault, look_at)"
                             " values (:id, 'Bad: luck', now())"), {"id": other})
        session.commit()
    listed = json.loads(run("people erasures --json"))
    assert [row["person_id"] for row in listed] == [one] and "done" in run("people erasures --state done")
    assert run(f"people keep {one} --as lin").startswith("nothing waits")
    with Session(engine) as session:
        session.execute(text("insert into shot (person_id, account, sent_at) values (:id, 'demo', now())"),
                        {"id": other})
        now = datetime.now(UTC)
        leaving.plan(session, other, "asked", now + timedelta(days=1), now)
        shots.withdraw_leavers(session, now, other)
        session.commit()
    assert "called off; 1 pictures of theirs were deleted" in run(f"people keep {other} --as lin")
    assert run(f"people keep {other} --as lin").startswith("nothing waits")
    assert json.loads(run(f"reward list {other} --json")) == {"person_id": other, "rewards": [], "coupons": []}
    assert "Bad: luck" in run("reward parked", expect=1)
    assert run("reward retry --as zhou").startswith("1 to be counted")
    run(f"reward retry {one} --as zhou", expect=1)
    run("reward list 999", expect=1)
