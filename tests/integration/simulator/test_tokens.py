"""access_token: both APIs, their errors, and what a token is worth afterwards. Real time, not business time."""

from datetime import timedelta
from typing import Any

import pytest

from tests.integration.simulator.conftest import Client
from tests.integration.simulator.echo import ACCOUNT

GOOD = {"grant_type": "client_credential", "appid": ACCOUNT.app_id, "secret": ACCOUNT.app_secret}


def stable(sim: Client, **changes: Any) -> Any:
    return sim.call("stable_token", token="", **{**GOOD, **changes})


def plain(sim: Client, **changes: str) -> Any:
    return sim.raw("token", method="GET", token="", query={**GOOD, **changes}).json()


def works(sim: Client, token: str) -> int:
    return int(sim.raw("menu/get", method="GET", token=token).json()["errcode"])


NO_MENU = 46003
"""The answer of menu/get to somebody whose token is good."""


@pytest.mark.parametrize(("changes", "errcode"), [
    ({"grant_type": "password"}, 40002), ({"appid": ""}, 41002), ({"appid": "wxnobody"}, 40013),
    ({"secret": ""}, 41004), ({"secret": "0" * 32}, 40125)])
def test_bad_credentials_are_refused_by_number(calm: Client, changes: dict[str, str], errcode: int) -> None:
    assert stable(calm, **changes)["errcode"] == errcode
    assert plain(calm, **changes)["errcode"] == errcode


def test_force_refresh_must_be_a_boolean(calm: Client) -> None:
    assert stable(calm, force_refresh="true")["errcode"] == 47001


def test_a_stable_token_is_repeated_until_five_minutes_before_its_end(sim: Client) -> None:
    first = stable(sim)
    assert (first["expires_in"], len(first["access_token"]) >= 128) == (7200, True)
    sim.times.real_offset = timedelta(seconds=6800)
    later = stable(sim)
    assert later["access_token"] == first["access_token"]
    assert 300 < later["expires_in"] <= 400
    sim.times.real_offset = timedelta(seconds=7000)
    renewed = stable(sim)["access_token"]
    assert renewed != first["access_token"]
    assert (works(sim, first["access_token"]), works(sim, renewed)) == (NO_MENU, NO_MENU)
    sim.times.real_offset = timedelta(seconds=7301)
    assert (works(sim, first["access_token"]), works(sim, renewed)) == (42001, NO_MENU)


def test_a_forced_refresh_kills_the_old_token_and_keeps_its_distance(sim: Client) -> None:
    old = stable(sim)["access_token"]
    new = stable(sim, force_refresh=True)["access_token"]
    assert (works(sim, old), works(sim, new)) == (40001, NO_MENU)
    assert stable(sim, force_refresh=True)["access_token"] == new
    sim.times.real_offset = timedelta(seconds=31)
    assert stable(sim, force_refresh=True)["access_token"] != new


def test_twenty_forced_refreshes_a_day(sim: Client) -> None:
    seen = set()
    for number in range(25):
        sim.times.real_offset = timedelta(seconds=31 * number)
        seen.add(stable(sim, force_refresh=True)["access_token"])
    assert len(seen) == 20


def test_the_plain_api_mints_each_time_and_is_apart_from_the_stable_one(sim: Client) -> None:
    kept = stable(sim)["access_token"]
    first, second = plain(sim)["access_token"], plain(sim)["access_token"]
    assert first != second
    assert [works(sim, one) for one in (kept, first, second)] == [NO_MENU] * 3
    sim.times.real_offset = timedelta(seconds=301)
    assert [works(sim, one) for one in (kept, first, second)] == [NO_MENU, 42001, NO_MENU]


def test_business_time_does_not_age_a_token(sim: Client) -> None:
    token = stable(sim)["access_token"]
    sim.times.advance(30 * 86_400)
    assert works(sim, token) == NO_MENU


@pytest.mark.parametrize(("token", "errcode"), [
    ("", 41001), ("nonsense", 40014), ("88_" + "a" * 130, 40001)])
def test_a_token_that_is_none(calm: Client, token: str, errcode: int) -> None:
    assert works(calm, token) == errcode


def test_the_token_api_has_a_daily_limit_too(sim: Client) -> None:
    for _ in range(2000 // 500):
        assert "access_token" in plain(sim)
    assert sim.call("openapi/quota/get", cgi_path="/cgi-bin/token")["quota"] == {
        "daily_limit": 2000, "used": 4, "remain": 1996}
