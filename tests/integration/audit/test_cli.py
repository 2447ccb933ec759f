"""Operators at the terminal: hired, given keys, asking and deciding, and everything in the log."""

import json
import logging
from collections.abc import Iterator
from pathlib import Path

import pytest
import structlog
from click.testing import CliRunner, Result
from sqlalchemy import Engine, text
from sqlalchemy.orm import Session

from bot.runtime import settings
from bot.runtime.cli import main
from domain.audit import seals
from domain.audit.rules import SealKey
from domain.shared.clock import FixedClock


@pytest.fixture(autouse=True)
def quiet() -> Iterator[None]:
    """The commands set up logging for their process; put it back."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    structlog.reset_defaults()
    root.handlers[:], root.level = handlers, level


@pytest.fixture
def env(database_url: str, valkey_url: str, tmp_path: Path) -> dict[str, str]:
    return {"HUITOU_HOME": str(tmp_path), "DATABASE_URL": database_url, "REDIS_URL": valkey_url}


@pytest.fixture
def run(env):
    def run(line: str, *more: str, expect: int = 0) -> Result:
        result = CliRunner().invoke(main, [*line.split(), *more], env=env, catch_exceptions=False)
        assert result.exit_code == expect, result.output
        return result

    return run


@pytest.fixture
def team(run) -> None:
    run("operator add lin --role owner")
    run("operator add zhou --role finance --as lin")


def listed(run, line: str):
    return json.loads(run(f"{line} --json").stdout)


def test_operators_are_hired_by_an_owner_and_listed(run, team) -> None:
    assert "已经有名为「zhou」" in run("operator add zhou --role owner --as lin", expect=1).output
    assert "你的角色不能做这件事" in run("operator add chen --role owner --as zhou", expect=1).output
    assert "没有名为「nobody」" in run("operator add chen --role owner --as nobody", expect=1).output
    run("operator disable zhou --as lin")
    assert "最后一位店主" in run("operator disable lin --as lin", expect=1).output
    found = listed(run, "operator list")
    assert [(one["name"], one["role"], bool(one["disabled_at"])) for one in found] == [
        ("lin", "owner", False), ("zhou", "finance", True)]
    assert "已停用" in run("operator key zhou --as lin", expect=1).output


def test_a_key_is_printed_once_and_its_digest_kept(run, team, engine: Engine) -> None:
    made = json.loads(run("operator key zhou --as zhou --json").stdout)["key"]
    with engine.connect() as db:
        assert db.execute(text("select count(*) from operator where key_hash = :key"), {"key": made}).scalar() == 0
        assert made not in str(db.execute(text("select * from audit_event")).all())
    assert made not in run("operator list --json").stdout
    assert run("operator key zhou --as lin").stdout.splitlines()[0] != made


def test_more_levels_need_the_warning_an_owner_and_a_second_person(run, team) -> None:
    assert listed(run, "compliance show") == {"max_levels": 1, "team_pay": False}
    shown = run("compliance levels 2 --reason 试点 --as lin", expect=1).output
    assert "第七条" in shown and "--accept-risk" in shown
    assert "不能做这件事" in run("compliance levels 2 --reason 试点 --accept-risk --as zhou", expect=1).output
    number = json.loads(run("compliance levels 2 --reason 试点 --accept-risk --as lin --json").stdout)["approval"]
    assert "第七条" in run(f"approvals show {number}").stdout
    assert "由另一个人决定" in run(f"approvals approve {number} --as lin", expect=1).output
    assert run("approvals list").stdout.count("plan.levels") == 1
    run(f"approvals approve {number} --as zhou --note 已咨询律师")
    assert listed(run, "compliance show") == {"max_levels": 2, "team_pay": False}
    assert "已有结果" in run(f"approvals reject {number} --as zhou", expect=1).output
    assert "没有编号为 99" in run("approvals show 99", expect=1).output
    done, = listed(run, "approvals list --state approved")
    assert (done["decided_by"], done["note"]) == ("zhou", "已咨询律师")
    acts = listed(run, "audit list --act approval.")
    assert [(one["operator"], one["act"]) for one in acts] == [("zhou", "approval.approve"), ("lin", "approval.ask")]
    assert acts[0]["detail"]["via"].startswith("cli:")


def test_the_regulators_file_is_written_whole_and_noted(run, team, tmp_path) -> None:
    target = tmp_path / "november.csv"
    days = "export regulator --from 2026-11-01 --to 2026-11-30 --as"
    assert "没有名为" in run(f"{days} nobody -o {target}", expect=1).output and not target.exists()
    run(f"{days} lin -o {target}")
    assert target.read_bytes().startswith(b"\xef\xbb\xbfrecord,id,") and target.stat().st_mode & 0o077 == 0
    assert [one["operator"] for one in listed(run, "audit list --act export.regulator")] == ["lin"]
    run("export regulator --from 2026-11-02 --to 2026-11-01 --as lin", expect=2)
    assert "cannot be written" in run(f"{days} lin -o {tmp_path}/no/such.csv", expect=1).output


def test_verify_names_the_row_and_ends_with_1(run, team, env, engine: Engine, clock: FixedClock, tmp_path) -> None:
    key = SealKey(settings.load(env, tmp_path).key("audit seals"))
    with Session(engine) as session:
        seals.seal(session, seals.horizon(session), key, clock.now())
        session.commit()
        head = seals.head(session)
    noted = f"--head={head.event_id}:{head.digest}"
    report = json.loads(run("audit verify --json", noted).stdout)
    assert (report["sound"], report["sealed"], report["head"]["event_id"]) == (True, 2, 2)
    assert "sound" in run("audit verify").stdout
    run("audit verify --head nonsense", expect=2)
    with engine.begin() as db:
        db.execute(text("set local session_replication_role = replica"))
        db.execute(text("delete from audit_event where id = 1"))
    broken = run("audit verify", expect=1).stdout
    assert "row 1 was deleted" in broken and "NOT SOUND" in broken
