"""``python -m bot month …`` closes months, shows them and writes statements; every act is logged."""

import json
import logging
from collections.abc import Iterator
from pathlib import Path

import pytest
import structlog
from click.testing import CliRunner, Result
from sqlalchemy import Engine

from bot.runtime.cli import main
from domain.shared.clock import OffsetClock
from tests.integration.money.test_months import DECEMBER
from tests.integration.money.world import Shop


@pytest.fixture(autouse=True)
def quiet() -> Iterator[None]:
    """The commands set up logging for their process; put it back."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    structlog.reset_defaults()
    root.handlers[:], root.level = handlers, level


@pytest.fixture
def bot(engine: Engine, database_url: str, valkey_url: str, shop: Shop, tmp_path: Path,
        monkeypatch: pytest.MonkeyPatch) -> object:
    """The command line of the shop of ``world``, which has just come into December."""
    for name, value in {"HUITOU_HOME": str(tmp_path), "DATABASE_URL": database_url, "HUITOU_DEMO": "1",
                        "REDIS_URL": valkey_url}.items():
        monkeypatch.setenv(name, value)
    shop.tell(shop.pay("A1", by="新客", fen=100_000))
    ahead = DECEMBER - OffsetClock(tmp_path / "clock").now()
    (tmp_path / "clock").write_text(str(round(ahead.total_seconds())))
    shop.clock.advance((DECEMBER - shop.clock.now()).total_seconds())

    def run(*words: str, status: int = 0) -> Result:
        done = CliRunner().invoke(main, ["month", *words])
        assert done.exit_code == status, done.output
        return done

    return run


def test_months_are_closed_listed_and_shown(bot, shop: Shop, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    assert "no month" in bot("list").output
    assert "不是月份" in bot("close", "2026-1", "--as", "lin", status=1).output
    assert "还没有结束" in bot("close", "2026-12", "--as", "lin", status=1).output
    assert bot("show", "2026-11", status=1).output == "2026-11 was not closed yet\n"
    closed = json.loads(bot("close", "2026-11", "--as", "lin", "--json").stdout)
    assert (closed["state"], closed["ladder_fen"], closed["people"], closed["actor"]) == ("closed", 5_000, 2, "lin")
    assert json.loads(bot("list", "--json").stdout)[0]["month"] == "2026-11"
    shop.tell(shop.refund("A1", "R1", 50_000))
    assert json.loads(bot("adjust", "--as", "lin", "--json").stdout) == {"looked_at": 2}
    shown = json.loads(bot("show", "2026-11", "--json").stdout)
    assert [(one["kind"], one["cause"], one["change_fen"]) for one in shown["bookings"]] == [
        ("ladder", "close", 5_000), ("ladder", "adjustment", -2_500)]
    assert "adjustment" in bot("show", "2026-11", "--person", str(shop.people["小王"])).output
    told = json.loads(bot("statement", "2026-11", "--person", str(shop.people["小王"]), "--json").stdout)
    assert (told["opening_fen"], told["earned_fen"], told["closing_fen"]) == (0, 13_000, 13_000)
    bot("statement", "2026-11", "--person", str(shop.people["小王"]), "--csv", str(tmp_path / "wang.csv"))
    assert (tmp_path / "wang.csv").read_bytes().startswith(b"\xef\xbb\xbf")
    assert "nobody has the id 999" in bot("statement", "2026-11", "--person", "999", status=1).output
    acts = shop.rows("select act, subject, operator from audit_event where act like 'month.%' order by id")
    assert [tuple(row) for row in acts] == [
        ("month.close", "month:2026-11", "lin"), ("month.adjust", "shop", "lin")]
