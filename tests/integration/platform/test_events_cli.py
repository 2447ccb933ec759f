"""``python -m bot events``: what is stuck is shown with its reason; a human dismisses it or has it tried again."""

import json
import logging
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import structlog
from click.testing import CliRunner, Result
from sqlalchemy import Engine, text

from bot.runtime.cli import main
from domain.shared.clock import FixedClock
from tests.integration.money.world import Shop

Run = Callable[..., Result]


@pytest.fixture(autouse=True)
def quiet() -> Iterator[None]:
    """The commands set up logging for their process; put it back."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    structlog.reset_defaults()
    root.handlers[:], root.level = handlers, level


@pytest.fixture
def run(database_url: str, valkey_url: str, tmp_path: Path) -> Run:
    env = {"HUITOU_HOME": str(tmp_path), "DATABASE_URL": database_url, "REDIS_URL": valkey_url}
    return lambda *words, **more: CliRunner().invoke(main, ["events", *words], env=env | more, catch_exceptions=False)


@pytest.fixture
def shop(engine: Engine) -> Shop:
    """One order with a refund that contradicts it, told two hours ago, and a receipt whose order never came."""
    shop = Shop(engine, FixedClock(datetime.now(UTC) - timedelta(hours=2)))
    shop.person("李姐")
    shop.person("小王", invited_by="李姐")
    shop.tell(shop.pay("A1", by="小王"), shop.refund("A1", "R1", 9_901), shop.receive("GHOST"))
    return shop


def stuck(run: Run, *words: str) -> dict[str, dict[str, object]]:
    result = run("stuck", "--json", *words)
    found = {row["state"]: row for row in json.loads(result.stdout)}
    assert result.exit_code == (1 if found else 0)
    return found


def state_of(shop: Shop, event_id: object) -> tuple[str, str]:
    with shop.engine.connect() as db:
        row = db.execute(text("select state, reason from commerce_event_now where id = :id"), {"id": event_id}).one()
    return row.state, row.reason


def test_nothing_is_stuck(run: Run) -> None:
    result = run("stuck")
    assert (result.exit_code, result.stdout) == (0, "nothing is stuck\n")
    assert stuck(run) == {}


def test_what_is_stuck_is_shown_with_its_reason(run: Run, shop: Shop) -> None:
    found = stuck(run)
    assert set(found) == {"conflict", "parked"}
    assert "more would go back" in str(found["conflict"]["reason"]) and found["parked"]["subject"] == "order:mall/GHOST"
    assert str(found["parked"]["received_at"]).endswith("Z")
    shown = run("stuck")
    assert shown.exit_code == 1 and "more would go back" in shown.stdout and "order:mall/GHOST" in shown.stdout
    assert "events dismiss" in shown.stdout


def test_an_event_that_waits_only_shortly_needs_nobody(run: Run, shop: Shop) -> None:
    assert set(stuck(run, "--parked-hours", "3")) == {"conflict"}


def test_a_long_list_says_that_there_is_more(run: Run, shop: Shop) -> None:
    assert "--limit 2" in run("stuck", "--limit", "1").stdout
    assert "--limit" not in run("stuck", "--limit", "2").stdout


@pytest.mark.parametrize("state", ["conflict", "parked"])
def test_a_human_dismisses_an_event_for_good(run: Run, shop: Shop, state: str) -> None:
    number = stuck(run)[state]["id"]
    result = run("dismiss", str(number), "--why", "  typing error\nof the mall ")
    assert result.exit_code == 0 and "dismissed" in result.stdout
    assert state_of(shop, number) == ("done", "dismissed: typing error of the mall")
    assert state not in stuck(run)
    again = run("dismiss", str(number), "--why", "again")
    assert again.exit_code == 1 and "nothing was changed" in again.output
    assert state_of(shop, number) == ("done", "dismissed: typing error of the mall")


@pytest.mark.parametrize("words", [["7"], ["7", "--why", "  "], ["7", "--why", "x" * 401], ["0", "--why", "x"],
                                   ["seven", "--why", "x"]])
def test_a_dismissal_needs_an_id_and_a_reason(run: Run, words: list[str]) -> None:
    assert run("dismiss", *words).exit_code == 2


def test_a_conflict_is_tried_again_after_its_cause_was_mended(run: Run, shop: Shop) -> None:
    number = stuck(run)["conflict"]["id"]
    result = run("retry", str(number), "--json")
    assert (result.exit_code, json.loads(result.stdout)) == (0, {"id": number, "state": "new"})
    assert state_of(shop, number) == ("new", "")
    shop.clock.advance(3 * 3600)
    shop.work()
    assert stuck(run)["conflict"]["id"] == number, "the cause is still there"


def test_a_parked_event_is_not_retried(run: Run, shop: Shop) -> None:
    number = stuck(run)["parked"]["id"]
    result = run("retry", str(number))
    assert result.exit_code == 1 and "nothing was changed" in result.output
    assert state_of(shop, number)[0] == "parked"


def test_a_missing_cache_does_not_stop_a_decision(run: Run, shop: Shop) -> None:
    number = stuck(run)["conflict"]["id"]
    assert run("retry", str(number), REDIS_URL="redis://127.0.0.1:9/0").exit_code == 0


def test_a_database_that_is_away_or_not_migrated_is_a_sentence(run: Run, engine: Engine) -> None:
    away = run("stuck", DATABASE_URL="postgresql://nobody:sesame@127.0.0.1:9/none")
    assert away.exit_code == 1 and "the database is not there" in away.output and "sesame" not in away.output
    with engine.begin() as db:
        db.execute(text("alter table commerce_event rename to elsewhere"))
    old = run("stuck")
    assert old.exit_code == 1 and "bot migrate" in old.output
