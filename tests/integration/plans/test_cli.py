"""Plans at the terminal: from a file to live by two people, and back."""

import json
from pathlib import Path
from typing import Any

import pytest

from bot.runtime.bootstrap import ASSETS
from bot.runtime.cli.plan_texts import toml_of
from domain.commissions import plans
from tests.integration.audit.test_cli import env, quiet, run

__all__ = ["env", "quiet", "run"]


@pytest.fixture
def opened(run: Any) -> None:
    run("migrate")
    run("operator add lin --role owner")
    run("operator add wu --role operator --as lin")
    run("operator add zhou --role finance --as lin")


def test_from_a_file_to_live_and_back(run: Any, opened: None, tmp_path: Path) -> None:
    file = tmp_path / "winter.toml"
    shown = run("plan show 1 --toml").output
    file.write_text(shown.replace('name = "first-shop"', 'name = "冬季"').replace("rate_bps = 300", "rate_bps = 350"))
    assert "role_overruled" not in run(f"plan validate {file}").output
    assert "冬季 by wu, revision 1" in run(f"plan draft {file} --as wu").output
    run(f"plan draft {file} --into 1 --revision 1 --note 再看看 --as wu")
    assert "已被别人改过" in run(f"plan draft {file} --into 1 --revision 1 --as wu", expect=1).output
    compared = run("plan simulate draft:1 --days 7").output
    assert "0 orders of 7 days" in compared and "share of sales" in compared
    assert "plan publish 1 --as NAME" in run("plan submit 1 --reason 换季 --as wu").output
    assert "须由另一个人" in run("plan publish 1 --as wu", expect=1).output
    assert "live" in run("plan publish 1 --as zhou").output
    listed = json.loads(run("plan list --json").output)
    assert [(one["version"], one["state"], one["actor"]) for one in listed["plans"]] == [
        (2, "live", "zhou"), (1, "ended", "huitou")]
    assert listed["drafts"] == []
    asked = json.loads(run("plan rollback 1 --reason 太贵 --as wu --json").output)["approval"]
    run(f"approvals approve {asked} --as zhou")
    assert "as version 1" in run("plan list").output
    assert json.loads(run("plan show 3 --json").output) == json.loads(run("plan show 1 --json").output)


def test_all_that_is_wrong_is_said_in_sentences(run: Any, opened: None, tmp_path: Path) -> None:
    file = tmp_path / "bad.toml"
    file.write_text('name = "稳赚"\nlevels = 2\ncap_bps = 100\noops = 1\n[[rules]]\nlevel = 1\nrate_bps = 5000\n')
    told = run(f"plan validate {file}", expect=1).output
    assert "error    oops: 没有这个设置项" in told and "收入承诺" in told
    file.write_text('name = "x"\nlevels = 2\ncap_bps = 100\n[[rules]]\nlevel = 1\nrate_bps = 5000\n')
    told = json.loads(run(f"plan validate {file} --json", expect=1).output)
    assert not told["publishable"] and {one["code"] for one in told["findings"]} >= {"cap_broken", "law_levels"}
    assert "最坏情况" in run(f"plan simulate {file}", expect=1).output
    run(f"plan draft {file} --as wu")
    assert "最坏情况" in run("plan submit 1 --reason x --as wu", expect=1).output
    assert "withdrawn" in run("plan withdraw 1 --as wu").output


def test_what_cannot_be_done_is_said(run: Any, opened: None, tmp_path: Path) -> None:
    for line, status, said in (
        ("plan show draft:9", 1, "没有编号为 9 的方案草稿"), ("plan publish 9 --as zhou", 1, "没有编号为 9"),
        ("plan show nowhere.toml", 2, "is a version, draft:NUMBER or a file"),
        ("plan draft 1 --into 1 --as wu", 2, "go together"), ("plan rollback 1 --reason x --as wu", 1, "不需要回退"),
    ):
        assert said in run(line, expect=status).output
    for name, content, status, said in (
        ("a.toml", b"levels = ", 1, "TOML"), ("c.json", b"[]", 2, "not a JSON object"),
        ("d.toml", b"\xff", 2, "not UTF-8"),
    ):
        file = tmp_path / name
        file.write_bytes(content)
        assert said in run(f"plan validate {file}", expect=status).output


@pytest.mark.parametrize("name", ["first-shop", "two-level"])
def test_a_plan_as_a_file_says_the_same(name: str) -> None:
    plan = plans.load(ASSETS / "plans" / f"{name}.toml")
    assert plans.parse(plans.read(toml_of(plan.document()))) == plan
