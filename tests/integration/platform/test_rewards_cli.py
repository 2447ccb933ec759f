"""Memberships, draws and the mall at the terminal: listed, given and taken, each under a name and in the log."""

import json
import logging
from collections.abc import Iterator
from pathlib import Path

import pytest
import structlog
from click.testing import CliRunner
from sqlalchemy import Engine, text
from sqlalchemy.orm import Session

from bot.runtime import bootstrap, settings
from bot.runtime.bell import SilentBell
from bot.runtime.bootstrap import ASSETS
from bot.runtime.cli import main
from domain.draws import queries
from domain.points import service as points
from domain.points.rules import Life
from domain.points.service import Earning
from domain.rewards.rules import Offers
from domain.workflows import exchanging
from tests.integration.people.crowd import crowd


@pytest.fixture(autouse=True)
def quiet() -> Iterator[None]:
    """The commands set up logging for their process; put it back."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    structlog.reset_defaults()
    root.handlers[:], root.level = handlers, level


def test_cards_draws_and_goods(engine: Engine, database_url: str, valkey_url: str, tmp_path: Path) -> None:
    env = {"HUITOU_HOME": str(tmp_path), "DATABASE_URL": database_url, "REDIS_URL": valkey_url}

    def run(line: str, *more: str, expect: int = 0) -> str:
        result = CliRunner().invoke(main, [*line.split(), *more], env=env, catch_exceptions=False)
        assert result.exit_code == expect, result.output
        return result.output

    runtime = bootstrap.build(settings.load(env, tmp_path), bell=SilentBell(), gateways={})
    bootstrap.open_shop(runtime)
    now = runtime.clock.now()
    with Session(engine) as session:
        (person,) = crowd(session, 1, now)
        points.earn(session, [Earning(person, 200, "gift", now)], Life(), now)
        points.activate(session, now)
        offers = Offers.load((ASSETS / "rewards.toml").read_text("utf-8"))
        bag = exchanging.exchange(session, person, "bag", 80, "a", offers, now).id
        coupon = exchanging.exchange(session, person, "five", 50, "b", offers, now).id
        campaign = queries.current(session, now)
        session.commit()
    runtime.close()
    assert campaign
    run("operator add lin --role owner")

    assert "no cards" in run("membership list")
    assert "请写明理由" in run(f"membership grant {person} --as lin --why", " ", expect=1)
    assert "没有名为「x」的会员卡" in run(f"membership grant {person} --card x --why y --as lin", expect=1)
    assert "is a member until" in run(f"membership grant {person} --days 30 --why 晚到补偿 --as lin")
    (row,) = json.loads(run("membership list --ending 31 --json"))
    assert (row["state"], row["days"], row["actor"]) == ("running", 30, "lin")
    shown = json.loads(run(f"membership show {person} --json"))
    assert (shown["now"]["days_left"], shown["saved"]["fen"], len(shown["cards"])) == (30, 0, 1)
    assert "nobody has the id 999" in run("membership show 999", expect=1)
    assert "1 cards of" in run(f"membership revoke {person} --why 转卖 --as lin")
    assert "no paid membership" in run(f"membership show {person}")

    assert "harvest" in run("draw list") and "open" in run("draw list")
    assert json.loads(run("draw list --json"))[0]["file_differs"] is False
    assert "not shown yet" in run("draw show harvest") and "there is no draw x" in run("draw show x", expect=1)
    assert "0 draws are what their seeds say" in run("draw verify harvest")
    assert "nobody has won yet" in run("draw wins harvest")
    assert "harvest has ended" in run("draw stop harvest --why 奖品发完 --as lin")
    assert "已经结束" in run("draw stop harvest --why again --as lin", expect=1)
    for group, name in (("draw", "draws"), ("membership", "membership")):
        assert "is fine" in run(f"{group} check {ASSETS / name}.toml")
        broken = tmp_path / "broken.toml"
        broken.write_text("[[nothing]]\n", "utf-8")
        assert json.loads(run(f"{group} check {broken} --json", expect=1))["valid"] is False

    assert len(json.loads(run("mall list --json"))) == 4 and "bag" in run("mall list")
    assert {one["state"] for one in json.loads(run(f"mall orders --person {person} --json"))} == {"waiting", "done"}
    assert json.loads(run(f"mall cancel {coupon} --why 误点 --as lin --json"))["points"] == 50
    (waiting,) = json.loads(run("fulfilment list --json"))
    assert waiting["cause"] == f"mall:{bag}"
    assert "sent" in run(f"fulfilment send {waiting['id']} --as lin --note", "顺丰 SF1")
    assert "已有结果（sent）" in run(f"fulfilment cancel {waiting['id']} --why late --as lin", expect=1)
    assert "已有结果（sent）" in run(f"mall cancel {bag} --why late --as lin", expect=1)
    assert "nothing waits" in run("fulfilment list") and "SF1" in run("fulfilment list --all")
    with engine.connect() as db:
        acts = db.execute(text("select act from audit_event where act !~ '^operator' order by id")).scalars().all()
    assert acts == ["membership.grant", "membership.revoke", "draw.stop", "mall.cancel", "fulfilment.sent"]
