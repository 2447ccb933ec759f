"""The access token and the platform's refusals, seen from the platform: few calls, no message lost, answers in time."""

import json

import pytest

from tests.e2e.conftest import World
from tests.e2e.platform_api import api
from tests.e2e.waiting import until
from tests.fakes.wechat_api import Code, Hang, Raw

pytestmark = pytest.mark.timeout(120)

FEN = 9_900
SEND = "message/custom/send"


def _lift_holds(world: World) -> None:
    """What an operator waits for: the pauses that the platform's faults made are over."""
    with world.house.connect() as db:
        db.execute("delete from platform_hold")
        db.execute("update outbox set due_at = now() where state = 'waiting' and reason <> 'no_right'")


def _state(world: World, order: str) -> str:
    """State of the notice of an order's commission, '' while there is none."""
    rows = world.house.sql("select state from outbox where kind = 'notice.text' and "
                           "payload -> 'facts' ->> 'order_no' = %s", order)
    return str(rows[0][0]) if rows else ""


def test_two_processes_that_need_a_token_ask_once(world: World) -> None:
    """A poster (slow worker) and a notice (fast worker) find no token at the same moment."""
    drawer, earner = world.person("李姐"), world.earner("王姐")
    asked = world.forget_token()
    with world.api.gated(api("stable_token"), "acted") as gate:
        drawer.says("海报")
        gate.wait()
        world.mall.tells(world.sale("K1", FEN, earner))
        query = "pg_stat_activity where wait_event_type = 'Lock' and wait_event = 'advisory'"
        until(lambda: world.house.count(query), "the other process waits for the one that asks")
        gate.answer()
        earner.phone.gets("佣金到账", "K1")
        drawer.gets_picture()
    assert world.api.count("stable_token") == asked + 1


def test_a_token_that_somebody_else_replaced_is_renewed_once(world: World) -> None:
    earner = world.earner("王姐")
    world.mall.tells(world.sale("K3", FEN, earner))
    earner.phone.gets("K3")
    asked = world.api.count("stable_token")
    world.api.kill_token()
    world.mall.tells(world.sale("K4", FEN, earner))
    earner.phone.gets("佣金到账", "K4")
    assert world.api.count("stable_token") == asked + 1


def test_a_closed_window_waits_for_the_next_word(world: World) -> None:
    earner = world.earner("王姐")
    world.api.fail(SEND, Code(45015))
    world.mall.tells(world.sale("K5", FEN, earner))
    until(lambda: world.house.count("outbox where state = 'waiting' and reason = 'no_right'"), "the notice waits")
    assert not [said for said in world.api.texts(earner.phone.openid) if "K5" in said]
    earner.phone.says("在吗")
    earner.phone.gets("佣金到账", "K5")


def test_an_address_that_is_not_on_the_list_raises_an_alarm(world: World) -> None:
    """Nothing is lost, the doctor names the cause and our address, and it goes out when the list is mended."""
    earner = world.earner("王姐")
    words = "invalid ip 203.0.113.7 ipv6 ::ffff:203.0.113.7, not in whitelist"
    world.forget_token()
    world.api.fail_always("stable_token", Code(40164, words))
    try:
        world.mall.tells(world.sale("K6", FEN, earner))
        until(lambda: world.house.count("outbox where state = 'waiting' and reason = 'config:40164'"), "the pause")
        examined = world.house.run("doctor", "--json")
        assert examined.returncode == 1
        assert examined.stderr == "", "a finding is told once, where findings are"
        red = [one for one in json.loads(examined.stdout) if one["state"] == "red"]
        assert any("40164" in json.dumps(one) and "203.0.113.7" in json.dumps(one) for one in red), red
    finally:
        world.api.fail_always("stable_token", None)
    _lift_holds(world)
    earner.phone.gets("佣金到账", "K6")


@pytest.mark.parametrize("fault", [Hang(), Raw(502, b"<html>bad gateway</html>")], ids=["hangs", "5xx"])
def test_a_platform_that_does_not_answer_slows_no_callback(world: World, fault: Hang | Raw) -> None:
    """Callbacks are answered from our own database. A send whose end is unknown is not repeated."""
    earner = world.earner("王姐")
    order = f"K-{type(fault).__name__}"
    world.api.fail_always(SEND, fault)
    try:
        calls = world.api.count(SEND)
        world.mall.tells(world.sale(order, FEN, earner))
        until(lambda: world.api.count(SEND) > calls, "the send is under way")
        for word in ("佣金", "明细", "团队", "帮助"):
            answer = earner.phone.sends(word)
            assert (answer.status, answer.tries) == (200, 1)
        until(lambda: _state(world, order) not in ("", "running"), "the send has an end", 40)
    finally:
        world.api.fail_always(SEND, None)
    _lift_holds(world)
    until(lambda: _state(world, order) == "done", "the notice is done", 40)
    told = [said for said in world.api.texts(earner.phone.openid) if "佣金到账" in said and order in said]
    assert len(told) <= 1
