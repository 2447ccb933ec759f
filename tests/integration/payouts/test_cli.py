"""Withdrawals at the terminal: listed, decided by two, stopped, declared; and who looked is in the log."""

import csv
import json
from datetime import UTC, datetime

import pytest
from click.testing import CliRunner, Result

from bot.runtime.cli import main
from tests.integration.audit.test_cli import quiet  # noqa: F401 - resets logging after the commands
from tests.integration.payouts.conftest import Till


@pytest.fixture
def run(till: Till, valkey_url: str):
    settings = till.shop.runtime.settings
    env = {"HUITOU_HOME": str(settings.home), "DATABASE_URL": settings.database_url, "REDIS_URL": valkey_url,
           "HUITOU_DEMO": "1"}

    def run(line: str, *more: str, expect: int = 0) -> Result:
        # Commands are processes of their own: their clock is moved to where the shop's stands.
        offset = int((till.shop.clock.now() - datetime.now(UTC)).total_seconds())
        (settings.home / "clock").write_text(str(offset))
        result = CliRunner().invoke(main, [*line.split(), *more], env=env, catch_exceptions=False)
        assert result.exit_code == expect, result.output
        return result

    return run


def test_decided_paid_and_declared(run, till: Till, tmp_path) -> None:
    till.earner("li", 150_000)
    lin, zhou = till.operator("小林", "finance"), till.operator("小周", "finance")
    asked = till.ask(150_000)
    (row,) = json.loads(run("withdrawal list --state asked --json").stdout)
    assert (row["no"], row["gross_fen"], row["two_people"]) == (asked.no, 150_000, True)
    assert "张*" in run(f"withdrawal show {asked.no}").stdout
    assert "没有这笔提现" in run("withdrawal show Wnone", expect=1).output
    waiting = run(f"withdrawal approve {asked.no} --as {lin.name} --reason known").stdout
    number = waiting.split()[1]
    assert "由另一个人决定" in run(f"approvals approve {number} --as {lin.name}", expect=1).output
    run(f"approvals approve {number} --as {zhou.name}")
    assert "不在待审核状态" in run(f"withdrawal approve {asked.no} --as {lin.name}", expect=1).output
    for _ in range(3):
        till.work(minutes=1)
        till.confirm_all()
    till.work(minutes=10)
    assert till.view(asked.id).state == "paid"
    target = tmp_path / "tax.csv"
    month = "2026-11"
    run(f"tax export --month {month} --as {lin.name} -o {target}")
    rows = list(csv.DictReader(target.read_text("utf-8-sig").splitlines()))
    assert [(row["姓名"], row["证件号码"], row["收入额（元）"], row["已扣缴税额（元）"]) for row in rows] == [
        ("张三", "11010519491231002X", "1500.00", "140.00")]
    assert target.stat().st_mode & 0o077 == 0
    acts = [row[0] for row in till.rows("select act from audit_event where act in ('vault.reveal', 'tax.export')")]
    assert sorted(acts) == ["tax.export", "vault.reveal"]
    assert "cannot be written" in run(f"tax export --month {month} --as {lin.name} -o {target}", expect=1).output


def test_stopped_rejected_and_erased(run, till: Till) -> None:
    who = till.earner("li", 20_000)
    lin, clerk = till.operator("小林", "finance"), till.operator("小吴", "operator")
    assert "不能做这件事" in run(f"payouts stop --as {clerk.name} --reason x", expect=1).output
    run(f"payouts stop --as {lin.name} --reason fund-bill")
    assert "fund-bill" in run("payouts status", expect=1).stdout
    asked = till.ask(10_000)
    till.work()
    assert till.pay.calls["transfer"] == 0
    assert "还没有结束" in run(f"vault erase {who} --as {lin.name} --reason letter", expect=1).output
    assert json.loads(run(f"withdrawal reject {asked.no} --as {lin.name} --reason 测试 --json").stdout)["state"] == \
        "cancelled"
    run(f"payouts go --as {lin.name} --reason explained")
    assert json.loads(run("payouts status --json").stdout)["stopped_at"] is None
    assert json.loads(run(f"vault reveal {who} --as {lin.name} --reason check --json").stdout)["real_name"] == "张三"
    assert "不能做这件事" in run(f"vault reveal {who} --as {clerk.name} --reason x", expect=1).output
    assert "pseudonym" in run(f"vault erase {who} --as {lin.name} --reason letter").stdout
    assert "-" in run(f"vault reveal {who} --as {lin.name} --reason check").stdout
    assert run("vault rotate").stdout.startswith("0 keys wrapped")
