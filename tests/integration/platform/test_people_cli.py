"""People who leave, and rewards, at the terminal."""

import json
import logging
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import structlog
from click.testing import CliRunner
from sqlalchemy import Engine, text
from sqlalchemy.orm import Session

from bot.runtime import metrics
from bot.runtime.cli import main
from domain.people import leaving
from domain.people import service as people
from domain.people.rules import IdentityRef
from domain.shots import service as shots
from tests.integration.people.crowd import PEPPER, crowd


@pytest.fixture(autouse=True)
def quiet() -> Iterator[None]:
    """The commands set up logging for their process; put it back."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    structlog.reset_defaults()
    root.handlers[:], root.level = handlers, level


@pytest.fixture
def run(database_url: str, valkey_url: str, tmp_path: Path) -> Callable[..., str]:
    env = {"HUITOU_HOME": str(tmp_path), "DATABASE_URL": database_url, "REDIS_URL": valkey_url}

    def run(line: str, *more: str, expect: int = 0) -> str:
        result = CliRunner().invoke(main, [*line.split(), *more], env=env, catch_exceptions=False)
        assert result.exit_code == expect, result.output
        return result.output

    return run


def test_people_who_may_be_one_are_listed_until_somebody_has_looked(engine: Engine, run: Callable[..., str]) -> None:
    """Two accounts of the Official Account behind one customer of the mall: no rule says that they are one."""
    with Session(engine) as session:
        one, other = crowd(session, 2)
        chats = [IdentityRef("openid", value, scope) for value, scope in session.execute(text(
            "select value, scope from identity where kind = 'openid' order by person_id"))]
        people.resolve_many(session, [chats], datetime.now(UTC), pepper=PEPPER)
        session.commit()
    run("operator add lin --role owner")
    found, = json.loads(run("people conflicts --json"))
    assert (found["one_id"], found["other_id"], found["conflict"]) == (one, other, "two_accounts")
    assert f"persons {one} and {other}  two_accounts" in run("people conflicts")
    told = {row["check"]: row for row in json.loads(run("doctor --json", expect=1))}["people"]
    assert told["state"] == "yellow" and told["cause"].startswith("1 pair of people looks like one")
    assert "1 two_accounts" in told["cause"] and "people settle" in told["remedy"]
    waiting = 'huitou_people_conflicts{conflict="two_accounts"} 1.0'
    assert waiting in metrics.render(engine).decode()
    assert "没有编号为 99" in run("people settle 99 --how none --as lin", expect=1)
    run(f"people settle {found['id']} --as lin --how", "two sisters, one phone")
    assert run("people conflicts") == "none\n"
    assert "people" not in {row["check"] for row in json.loads(run("doctor --json", expect=1))}
    assert waiting not in metrics.render(engine).decode()
    assert "没有编号为" in run(f"people settle {found['id']} --how again --as lin", expect=1)
    acts = json.loads(run("audit list --json"))
    assert [(act["subject"], act["detail"]["how"]) for act in acts if act["act"] == "people.settle"] == [
        (f"merge_conflict:{found['id']}", "two sisters, one phone")]


def test_erased_listed_kept_and_rewards_shown(engine: Engine, run: Callable[..., str]) -> None:
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
