"""Memberships, draws and the mall at the terminal: listed, given and taken, each under a name and in the log."""

import json
import logging
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
import structlog
from click.testing import CliRunner
from sqlalchemy import Engine, text
from sqlalchemy.orm import Session

from bot.runtime import bootstrap, settings
from bot.runtime.bell import SilentBell
from bot.runtime.bootstrap import ASSETS
from bot.runtime.cli import main
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


@dataclass
class Terminal:
    """The commands of a shop that has just been opened. ``acts`` is what stands in the log, but of operators."""

    engine: Engine
    env: dict[str, str]
    now: datetime

    def run(self, line: str, *more: str, expect: int = 0) -> str:
        result = CliRunner().invoke(main, [*line.split(), *more], env=self.env, catch_exceptions=False)
        assert result.exit_code == expect, result.output
        return result.output

    def json(self, line: str, expect: int = 0) -> Any:
        return json.loads(self.run(f"{line} --json", expect=expect))

    def acts(self) -> list[str]:
        with self.engine.connect() as db:
            return list(db.scalars(text("select act from audit_event where act !~ '^operator' order by id")))


@pytest.fixture
def terminal(engine: Engine, database_url: str, valkey_url: str, tmp_path: Path) -> Terminal:
    env = {"HUITOU_HOME": str(tmp_path), "DATABASE_URL": database_url, "REDIS_URL": valkey_url}
    runtime = bootstrap.build(settings.load(env, tmp_path), bell=SilentBell(), gateways={})
    bootstrap.open_shop(runtime)
    opened = Terminal(engine, env, runtime.clock.now())
    runtime.close()
    opened.run("operator add lin --role owner")
    return opened


def test_cards_are_given_and_taken_by_hand(terminal: Terminal) -> None:
    with Session(terminal.engine) as session:
        (person,) = crowd(session, 1, terminal.now)
        session.commit()
    run = terminal.run
    assert "no cards" in run("membership list")
    assert "请写明理由" in run(f"membership grant {person} --as lin --why", " ", expect=1)
    assert "没有名为「x」的会员卡" in run(f"membership grant {person} --card x --why y --as lin", expect=1)
    assert "is a member until" in run(f"membership grant {person} --days 30 --why 晚到补偿 --as lin")
    (row,) = terminal.json("membership list --ending 31")
    assert (row["state"], row["days"], row["actor"]) == ("running", 30, "lin")
    shown = terminal.json(f"membership show {person}")
    assert (shown["now"]["days_left"], shown["saved"]["fen"], len(shown["cards"])) == (30, 0, 1)
    assert "nobody has the id 999" in run("membership show 999", expect=1)
    assert "1 cards of" in run(f"membership revoke {person} --why 转卖 --as lin")
    assert "no paid membership" in run(f"membership show {person}")
    assert terminal.acts() == ["membership.grant", "membership.revoke"]


def test_a_draw_is_shown_and_stopped_once(terminal: Terminal) -> None:
    run = terminal.run
    assert "harvest" in run("draw list") and "open" in run("draw list")
    assert terminal.json("draw list")[0]["file_differs"] is False
    assert "not shown yet" in run("draw show harvest") and "there is no draw x" in run("draw show x", expect=1)
    assert "0 draws are what their seeds say" in run("draw verify harvest")
    assert "nobody has won yet" in run("draw wins harvest")
    assert "harvest has ended" in run("draw stop harvest --why 奖品发完 --as lin")
    assert "已经结束" in run("draw stop harvest --why again --as lin", expect=1)
    assert terminal.acts() == ["draw.stop"]


@pytest.mark.parametrize(("group", "name"), [("draw", "draws"), ("membership", "membership")])
def test_files_are_checked_before_they_are_used(terminal: Terminal, tmp_path: Path, group: str, name: str) -> None:
    assert "is fine" in terminal.run(f"{group} check {ASSETS / name}.toml")
    broken = tmp_path / "broken.toml"
    broken.write_text("[[nothing]]\n", "utf-8")
    assert terminal.json(f"{group} check {broken}", expect=1)["valid"] is False


def test_goods_of_the_mall_are_sent_or_called_off_once(terminal: Terminal) -> None:
    now = terminal.now
    offers = Offers.load((ASSETS / "rewards.toml").read_text("utf-8"))
    with Session(terminal.engine) as session:
        (person,) = crowd(session, 1, now)
        points.earn(session, [Earning(person, 200, "gift", now)], Life(), now)
        points.activate(session, now)
        bag = exchanging.exchange(session, person, "bag", 80, "a", offers, now).id
        coupon = exchanging.exchange(session, person, "five", 50, "b", offers, now).id
        session.commit()
    run = terminal.run
    assert len(terminal.json("mall list")) == 4 and "bag" in run("mall list")
    assert {one["state"] for one in terminal.json(f"mall orders --person {person}")} == {"waiting", "done"}
    assert terminal.json(f"mall cancel {coupon} --why 误点 --as lin")["points"] == 50
    (waiting,) = terminal.json("fulfilment list")
    assert waiting["cause"] == f"mall:{bag}"
    assert "sent" in run(f"fulfilment send {waiting['id']} --as lin --note", "顺丰 SF1")
    assert "已有结果（sent）" in run(f"fulfilment cancel {waiting['id']} --why late --as lin", expect=1)
    assert "已有结果（sent）" in run(f"mall cancel {bag} --why late --as lin", expect=1)
    assert "nothing waits" in run("fulfilment list") and "SF1" in run("fulfilment list --all")
    assert terminal.acts() == ["mall.cancel", "fulfilment.sent"]
