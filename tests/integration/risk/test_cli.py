"""Risk at the terminal: looked at, listed, asked about, decided by a second person."""

import json

import pytest

from tests.integration.audit.test_cli import env, quiet, run, team  # noqa: F401 - fixtures
from tests.integration.money.world import Shop
from tests.integration.risk.world import of_one_level


@pytest.fixture
def shop(engine, clock) -> Shop:
    return of_one_level(engine, clock)


def test_from_the_first_look_to_the_last_word(shop, run, team) -> None:  # noqa: F811
    assert run("risk cases").stdout.strip() == "none"
    shop.tell(*(shop.pay(f"A{n}", by="小王") for n in range(5)))
    assert json.loads(run("risk sweep --json").stdout) == {"orders": 5, "people": 1, "lines_changed": 0}
    case, = json.loads(run("risk cases --json").stdout)
    assert (case["rule"], case["held_fen"]) == ("velocity", 5 * 792)
    assert "held ¥39.60" in run("risk cases").stdout
    assert "orders: 1 2 3 4 5" in run("risk case 1").stdout
    assert "没有编号为 7 的风险案件" in run("risk case 7", expect=1).output
    asked = json.loads(run("risk confiscate 1 --as zhou --json --reason", "自己的账号").stdout)
    assert asked["act"] == "person.confiscate"
    assert "在等待审批" in run("risk confiscate 1 --reason x --as lin", expect=1).output
    run(f"approvals approve {asked['approval']} --as lin")
    assert "已有结果" in run("risk release 1 --reason x --as lin", expect=1).output
    assert "taken ¥39.60" in run("risk cases --state all").stdout
    asked = json.loads(run("risk freeze 1 --reason 举报 --json --as zhou").stdout)
    run(f"approvals approve {asked['approval']} --as lin")
    assert "已经被冻结" in run("risk freeze 1 --reason x --as lin", expect=1).output
    assert "没有编号为 99 的用户" in run("risk freeze 99 --reason x --as lin", expect=1).output
    assert [case["rule"] for case in json.loads(run("risk cases --json").stdout)] == ["freeze"]


def test_numbers_are_checked_before_they_are_tried(run, tmp_path) -> None:  # noqa: F811
    (tmp_path / "risk.toml").write_text("answer_hours = 1")
    assert "risk.toml" in run(f"risk measure --rules {tmp_path / 'risk.toml'}", expect=2).output
