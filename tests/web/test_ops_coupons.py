"""Coupons put right by an operator: taken back or given anew, once each, under a name, never one that was spent."""

import json

import pytest
from click.testing import CliRunner
from sqlalchemy import Engine
from sqlalchemy.orm import Session

from bot.runtime.cli import main
from domain.rewards import service
from domain.rewards.rules import CouponOffer
from domain.shared.clock import FixedClock
from tests.integration.people.crowd import crowd
from tests.integration.platform.test_rewards_cli import quiet
from tests.web.operators import Office

__all__ = ["quiet"]
OFFER = CouponOffer("newcomer", "新人礼", 1_000, 5_000, 30, True)


@pytest.fixture
def office(engine: Engine, clock: FixedClock) -> Office:
    return Office(engine, clock)


@pytest.fixture
def code(engine: Engine, clock: FixedClock) -> str:
    with Session(engine) as session:
        (person,) = crowd(session, 1, clock.now())
        made = service.welcome(session, person, OFFER, clock.now())
        session.commit()
    return made.code


def acts(office: Office) -> list[tuple[str, str, str]]:
    return [tuple(row) for row in office.rows(
        "select act, operator, detail ->> 'reason' from audit_event where act like 'reward.%' order by id")]


def test_taken_back_once_and_given_anew_once(office: Office, code: str, clock: FixedClock) -> None:
    path = f"/rewards/coupons/{code}"
    assert office.post("operator", f"{path}/again", {"reason": "x"}, expect=409)["error"]["code"] == "coupon_still_good"
    for _ in range(2):
        assert office.post("operator", f"{path}/revoke", {"reason": "发错了"})["state"] == "revoked"
    clock.advance(5 * 86_400)
    made = [office.post("owner", f"{path}/again", {"reason": "是我们弄错的"}) for _ in range(2)]
    assert made[0] == made[1] and made[0]["state"] == "issued" and made[0]["code"] != code
    assert (made[0]["off_fen"], made[0]["min_spend_fen"]) == (1_000, 5_000)
    assert acts(office) == [("reward.revoke", "wu", "发错了"), ("reward.again", "lin", "是我们弄错的")]
    office.post("finance", f"{path}/revoke", {"reason": "x"}, expect=403)
    office.post("operator", f"{path}/revoke", {"reason": ""}, expect=422)
    office.post("operator", f"{path}/revoke", {"reason": " "}, expect=409)
    assert office.post("operator", "/rewards/coupons/none/revoke", {"reason": "x"}, expect=404)


def test_what_was_spent_stays_and_says_why(office: Office, code: str, engine: Engine, clock: FixedClock) -> None:
    with Session(engine) as session:
        service.redeem(session, code, "mall", "A1", clock.now())
        session.commit()
    for act in ("revoke", "again"):
        refused = office.post("operator", f"/rewards/coupons/{code}/{act}", {"reason": "x"}, expect=409)["error"]
        assert refused["code"] == "coupon_spent" and "A1" in refused["message"]
    assert acts(office) == []


def test_one_that_ran_out_is_given_anew(office: Office, code: str, clock: FixedClock) -> None:
    clock.advance(31 * 86_400)
    path = f"/rewards/coupons/{code}"
    assert office.post("operator", f"{path}/revoke", {"reason": "x"}, expect=409)["error"]["code"] == "coupon_run_out"
    assert office.post("operator", f"{path}/again", {"reason": "快递晚了"})["state"] == "issued"


def test_at_the_terminal(office: Office, code: str, database_url: str, valkey_url: str, tmp_path) -> None:
    env = {"HUITOU_HOME": str(tmp_path), "DATABASE_URL": database_url, "REDIS_URL": valkey_url}

    def run(*words: str, expect: int = 0) -> str:
        result = CliRunner().invoke(main, ["reward", *words], env=env)
        assert result.exit_code == expect, result.output
        return result.output

    assert json.loads(run("revoke", code, "--as", "wu", "--reason", "发错了", "--json"))["state"] == "revoked"
    made = json.loads(run("again", code, "--as", "wu", "--reason", "补发", "--json"))
    assert made["code"] in run("again", code, "--as", "wu", "--reason", "补发")
    run("revoke", code, "--as", "nobody", "--reason", "x", expect=1)
    assert "券码" in run("revoke", "none", "--as", "wu", "--reason", "x", expect=1)
