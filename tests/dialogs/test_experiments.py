"""Two wordings tried on real people: who was shown which, what they did, what may be said of it, and its end."""

import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import structlog
from click.testing import CliRunner, Result
from sqlalchemy import text

from bot.runtime import journeys
from bot.runtime.bootstrap import ASSETS
from bot.runtime.cli import main
from bot.runtime.replay.year import tried_out
from tests.dialogs.test_journeys import count
from tests.dialogs.test_shipped_journeys import awake
from tests.fakes.shop import Shop

FILE = (ASSETS / "experiments" / "restock-copy.toml").read_text("utf-8")
Run = Callable[..., Result]


@pytest.fixture
def run(shop: Shop, tmp_path: Path, valkey_url: str) -> Iterator[Run]:
    """Commands of the shop's operators, at the shop's time."""
    env = {"HUITOU_HOME": str(tmp_path), "DATABASE_URL": shop.runtime.settings.database_url, "REDIS_URL": valkey_url,
           "HUITOU_DEMO": "1"}

    def run(*words: str) -> Result:
        offset = int((shop.clock.now() - datetime.now(UTC)).total_seconds())
        (tmp_path / "clock").write_text(str(offset))
        return CliRunner().invoke(main, words, env=env, catch_exceptions=False)

    if run("operator", "add", "lin", "--role", "owner").exit_code:
        assert run("operator", "list").exit_code == 0
    yield run
    structlog.reset_defaults()


def begun(shop: Shop, run: Run, tmp_path: Path, least: int, guard: str = "unfollow") -> None:
    """The shipped reminder in two wordings, nobody held out, and the shipped experiment for few people."""
    restock = next(one for one in tried_out() if one.key == "restock")
    with shop.runtime.sessions.begin() as session:
        journeys.install(session, [replace(restock, holdout_bps=0)], shop.runtime.voice, shop.clock.now(), live=True)
    path = tmp_path / "copy.toml"
    path.write_text(FILE.replace("min_people = 100", f"min_people = {least}").replace(
        'metric = "unfollow"', f'metric = "{guard}"'))
    for words in (("create", str(path)), ("start", "restock-copy")):
        done = run("experiment", *words, "--as", owner(shop))
        assert done.exit_code == 0, done.output


def owner(shop: Shop) -> str:
    with shop.runtime.sessions() as session:
        return str(session.execute(text("select name from operator where role = 'owner' order by name")).scalar())


def bought(shop: Shop, names: list[str], batch: str) -> None:
    """Everybody of the names buys milk, in one report of the shop system."""
    at = shop.clock.now().isoformat()
    shop.events([{"id": f"{batch}-{name}", "type": "order.paid", "occurred_at": at, "data": {
        "order_id": f"{batch}-{name}", "channel": "mall", "currency": "CNY", "paid_at": at, "paid_fen": 5_980,
        "shipping_fen": 0, "buyer": {"mall_user_id": name}, "lines": [
            {"line_id": "1", "sku": "MILK-12", "title": "牛奶", "category": "fmcg", "quantity": 1,
             "paid_fen": 5_980}]}} for name in names])


def shown(shop: Shop) -> dict[str, str]:
    """The arm of each of the mall's customers."""
    with shop.runtime.sessions() as session:
        rows = session.execute(text("select i.value, x.arm from exposure x join identity i on i.person_id = x.person_id"
                                    " where i.kind = 'mall_user_id'"))
        return {row.value: row.arm for row in rows}


def visited(shop: Shop) -> list[tuple[str, str]]:
    """(customer, arm) of every pass through the split, oldest first."""
    with shop.runtime.sessions() as session:
        rows = session.execute(text(
            "select i.value, v.arm from step_visit v join enrolment e on e.id = v.enrolment_id join identity i"
            " on i.person_id = e.person_id and i.kind = 'mall_user_id' where v.arm <> '' order by v.at, i.value"))
        return [(row.value, row.arm) for row in rows]


def reading(run: Run) -> dict[str, Any]:
    told: dict[str, Any] = json.loads(run("experiment", "result", "restock-copy", "--json").stdout)
    return told


def test_from_the_first_exposure_to_the_wording_for_everybody(shop: Shop, run: Run, tmp_path: Path) -> None:
    begun(shop, run, tmp_path, least=10)
    names = [f"m{n:02d}" for n in range(32)]
    bought(shop, names, "first")
    shop.wait(days=7)
    assert shown(shop) == {}, "shown where the ways part, not where they begin"
    shop.wait(days=1, minutes=1)
    arms = shown(shop)
    assert set(arms) == set(names) and set(arms.values()) == {"warm", "plain"}
    shop.wait(hours=5)
    plain = [name for name in names if arms[name] == "plain"]
    warm = [name for name in names if arms[name] == "warm"]
    buyers = plain[:-2] + warm[:2]
    bought(shop, buyers, "again")
    assert reading(run)["verdict"] == "too_early"
    shop.wait(days=7)
    told = reading(run)
    assert told["verdict"] == "winner" and told["best"] == "plain" and told["srm_p"] > 0.001
    by_arm = {arm["name"]: (arm["exposed"], arm["sample"]["people"], arm["mean"]) for arm in told["arms"]}
    assert by_arm == {"warm": (len(warm), len(warm), 2 / len(warm)),
                      "plain": (len(plain), len(plain), 1 - 2 / len(plain))}
    assert "result: winner: plain" in run("experiment", "result", "restock-copy").output
    shop.wait(days=1)
    again = visited(shop)[32:]
    assert {name for name, _ in again} == set(buyers) and all(arms[name] == arm for name, arm in again), "sticky"
    run("experiment", "adopt", "restock-copy", "plain", "--why", "sells more", "--as", owner(shop))
    li = shop.person("李姐")
    shop.paid("L1", by=li, fen=5_980, sku="MILK-12")
    shop.wait(days=6)
    li.says("帮助")
    awake(shop, li, days=3)
    assert (count(li, "按上次的用量"), count(li, "差不多快用完了")) == (1, 0)
    assert "result: adopted: plain" in run("experiment", "result", "restock-copy").output


def test_a_wording_that_makes_people_send_things_back_is_stopped_by_itself(shop: Shop, run: Run,
                                                                            tmp_path: Path) -> None:
    """Whoever was told plainly buys and sends it back, everybody of them; the hourly look ends it, the log says why,
    and everybody gets the control again."""
    begun(shop, run, tmp_path, least=100, guard="refund")
    names = [f"m{n:02d}" for n in range(32)]
    bought(shop, names, "first")
    shop.wait(days=8, minutes=1)
    arms = shown(shop)
    plain = [name for name in names if arms[name] == "plain"]
    shop.wait(hours=5)
    bought(shop, names, "again")
    shop.events([{"id": f"back-{name}", "type": "order.refunded", "occurred_at": shop.clock.now().isoformat(), "data": {
        "order_id": f"again-{name}", "channel": "mall", "refund_id": "1", "refunded_at": shop.clock.now().isoformat(),
        "lines": [{"line_id": "1", "refund_fen": 5_980, "quantity": 1}]}} for name in plain])
    shop.wait(days=7, hours=1)
    told = reading(run)
    assert (told["state"], told["reason"]) == ("stopped", "harmful plain")
    assert "reason: harmful plain" in run("experiment", "result", "restock-copy").output
    with shop.runtime.sessions() as session:
        logged = session.execute(text("select detail from audit_event where act = 'experiment.stop'")).scalar_one()
    assert logged["reason"] == "harmful plain"
    bought(shop, [f"new-{n}" for n in range(8)], "later")
    shop.wait(days=8, minutes=1)
    assert {arm for name, arm in visited(shop) if name.startswith("new-")} == {"warm"}
