"""Every way a call can end on the wire, and how often it is made."""

import socket
from collections.abc import Callable, Iterator
from datetime import timedelta

import pytest
from sqlalchemy import Engine

from bot.kit.gateway import GatewayError, Outcome
from bot.runtime.gateways.account import AccountConfig
from bot.runtime.gateways.lines import Timeouts
from bot.runtime.gateways.transport import PlatformClient, _Adapter
from bot.runtime.gateways.wechat import WeChatGateway
from tests.fakes.wechat_api import EMPTY, HTML, Code, Drip, Fault, Hang, Raw, Reset, Slow, WeChatApi
from tests.integration.gateways.conftest import HASTY, JPEG, KEY, OPENID, Watch, build

SEND = "message/custom/send"
Patient = Callable[[Fault], WeChatGateway]
CUT = Raw(200, b'{"errcode":0,"errm')
LIST = Raw(200, b"[1]")
ODD_CODE = Raw(200, b'{"errcode":"CANARY"}')
DEEP = Raw(200, b'{"a":' * 100_000)
BIG = Raw(200, b" " * (2 << 20))


def test_a_text_arrives_as_it_was_written(gateway: WeChatGateway, peer: WeChatApi) -> None:
    assert gateway.send_text(OPENID, "李姐🌸 你好 <a>").outcome is Outcome.SENT
    assert peer.delivered == [(OPENID, {"content": "李姐🌸 你好 <a>"})]


def test_connections_are_kept_and_cookies_are_not(gateway: WeChatGateway, peer: WeChatApi) -> None:
    for _ in range(4):
        gateway.send_text(OPENID, "x")
    assert len({call.connection for call in peer.calls}) == 1
    assert not any("Cookie" in call.headers for call in peer.calls)


@pytest.mark.parametrize("content", ["", "界" * 683, "a" * 2049, "\ud800"])
def test_a_text_that_cannot_go_is_rejected_without_a_call(
    gateway: WeChatGateway, peer: WeChatApi, content: str
) -> None:
    assert gateway.send_text(OPENID, content).outcome is Outcome.REJECTED
    assert peer.calls == []


def test_2048_bytes_go(gateway: WeChatGateway) -> None:
    assert gateway.send_text(OPENID, "界" * 682 + "ab").outcome is Outcome.SENT


@pytest.mark.parametrize(
    "fault", [HTML, EMPTY, CUT, LIST, ODD_CODE, DEEP, BIG, Raw(504, b""), Hang(), Reset(), Reset(acted=False), Drip()]
)
def test_a_send_whose_answer_is_lost_is_unknown_and_never_repeated(
    patient: Patient, peer: WeChatApi, fault: Fault
) -> None:
    peer.fail(SEND, fault)
    result = patient(fault).send_text(OPENID, "x")
    assert (result.outcome, result.retry_at, peer.count(SEND)) == (Outcome.UNKNOWN, None, 1)


@pytest.mark.parametrize("fault", [HTML, EMPTY, CUT, Raw(502, b""), Raw(504, b""), Hang(), Reset(), Drip(), Code(-1)])
@pytest.mark.parametrize("api", ["qrcode/create", "media/upload", "stable_token", "user/info"])
def test_calls_that_deliver_nothing_are_repeated(
    patient: Patient, peer: WeChatApi, watch: Watch, api: str, fault: Fault
) -> None:
    gateway = patient(fault)
    peer.fail(api, fault, fault)
    gateway.upload_image(JPEG)
    gateway.user_info(OPENID)
    assert gateway.create_scene("abc", 600).ticket == "ticket-abc"
    assert (peer.count(api), watch.slept) == (3, [0.5, 1.0])


@pytest.mark.parametrize("api", ["qrcode/create", "stable_token"])
def test_repeats_end_after_three_tries(gateway: WeChatGateway, peer: WeChatApi, watch: Watch, api: str) -> None:
    peer.fail_always(api, Raw(503, b""))
    with pytest.raises(GatewayError) as refused:
        gateway.create_scene("abc", 600)
    assert refused.value.result.outcome is Outcome.BACK_OFF
    assert refused.value.result.retry_at == watch.at + timedelta(seconds=10)
    assert peer.count(api) == 3


def test_a_5xx_on_a_send_backs_off_without_a_repeat(gateway: WeChatGateway, peer: WeChatApi, watch: Watch) -> None:
    peer.fail(SEND, Raw(503, b""))
    result = gateway.send_text(OPENID, "x")
    assert (result.outcome, result.retry_at) == (Outcome.BACK_OFF, watch.at + timedelta(seconds=10))
    assert (peer.count(SEND), result.detail) == (1, "http 503")


def test_a_busy_platform_is_asked_twice_more_for_a_send(gateway: WeChatGateway, peer: WeChatApi) -> None:
    peer.fail(SEND, Code(-1), Code(-1))
    assert gateway.send_text(OPENID, "x").outcome is Outcome.SENT
    assert (peer.count(SEND), len(peer.delivered)) == (3, 1)


def test_a_platform_that_stays_busy_is_left_alone(gateway: WeChatGateway, peer: WeChatApi, watch: Watch) -> None:
    peer.fail_always(SEND, Code(-1))
    first, second = gateway.send_text(OPENID, "x"), gateway.send_text(OPENID, "y")
    assert (first.outcome, first.errcode) == (second.outcome, second.errcode) == (Outcome.BACK_OFF, -1)
    assert peer.count(SEND) == 3


def test_an_answer_that_takes_its_time_is_waited_for(gateway: WeChatGateway, peer: WeChatApi) -> None:
    peer.fail(SEND, Slow(0.2))
    assert gateway.send_text(OPENID, "x").outcome is Outcome.SENT


def test_a_redirect_is_not_followed(gateway: WeChatGateway, peer: WeChatApi) -> None:
    with WeChatApi("elsewhere", "s") as elsewhere:
        location = ("Location", f"{elsewhere.base}/cgi-bin/message/custom/send")
        peer.fail(SEND, Raw(302, b"", headers=(location,)), Raw(307, b"", headers=(location,)))
        outcomes = [gateway.send_text(OPENID, "x").outcome for _ in range(2)]
        assert (outcomes, elsewhere.calls) == ([Outcome.CONFIG] * 2, [])


def test_an_answer_without_an_errcode_is_no_delivery_receipt(gateway: WeChatGateway, peer: WeChatApi) -> None:
    peer.fail(SEND, Raw(200, b"{}"))
    assert gateway.send_text(OPENID, "x").outcome is Outcome.UNKNOWN


@pytest.fixture
def closed_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture
def full_port() -> Iterator[int]:
    """A listener that lets nobody in any more: connecting hangs."""
    with socket.socket() as listener, socket.socket() as one, socket.socket() as two:
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        for client in (one, two):
            client.setblocking(False)
            client.connect_ex(listener.getsockname())
        yield int(listener.getsockname()[1])


def test_no_connection_is_surely_not_sent_and_repeated(
    engine: Engine, peer: WeChatApi, watch: Watch, gateway: WeChatGateway, closed_port: int
) -> None:
    gateway.send_text(OPENID, "so that the token is there")
    away = build(f"http://127.0.0.1:{closed_port}", engine, watch)
    result = away.send_text(OPENID, "x")
    assert (result.outcome, result.detail) == (Outcome.BACK_OFF, "no connection: refused")
    assert watch.slept == [0.5, 1.0]


def test_other_ways_not_to_connect(
    engine: Engine, peer: WeChatApi, watch: Watch, gateway: WeChatGateway, full_port: int
) -> None:
    gateway.send_text(OPENID, "so that the token is there")
    for base, why in [
        (f"http://127.0.0.1:{full_port}", "timeout"),
        (f"https://127.0.0.1:{peer.port}", "tls"),
        ("http://no-such-host.invalid", "name"),
        ("http://[bad", "bad address"),
    ]:
        watch.advance(60)
        result = build(base, engine, watch, timeouts=HASTY).send_text(OPENID, "x")
        assert (result.outcome, result.detail) == (Outcome.BACK_OFF, f"no connection: {why}")


def test_the_environment_sends_no_call_through_a_proxy(
    gateway: WeChatGateway, monkeypatch: pytest.MonkeyPatch, closed_port: int
) -> None:
    monkeypatch.setenv("http_proxy", f"http://127.0.0.1:{closed_port}")
    monkeypatch.setenv("HTTP_PROXY", f"http://127.0.0.1:{closed_port}")
    assert gateway.send_text(OPENID, "x").outcome is Outcome.SENT


def test_the_timeouts_of_production() -> None:
    client = PlatformClient("wx1", "https://api.weixin.qq.com", _Adapter(), Timeouts())
    assert (client.timeout, client.auto_retry, client.secret) == ((3, 8), False, "")


def test_helpers_with_a_host_of_their_own_are_refused(peer: WeChatApi) -> None:
    client = PlatformClient("wx1", peer.base, _Adapter(), Timeouts())
    for helper in (client.customservice.get_wait_case, lambda: client.datacube.get_user_summary("a", "b")):
        with pytest.raises(ValueError, match="api_base"):
            helper()
    with pytest.raises(NotImplementedError):
        client.fetch_access_token()


def test_the_other_calls(gateway: WeChatGateway, peer: WeChatApi) -> None:
    gateway.typing(OPENID)
    assert peer.calls[-1].body == {"touser": OPENID, "command": "Typing"}
    info = gateway.user_info(OPENID)
    assert (info.unionid, info.following) == ("u-1", True)
    assert gateway.get_menu() is None
    gateway.push_menu({"button": [{"type": "click", "name": "海报", "key": "poster"}]})
    assert gateway.get_menu() == {"menu": {"button": [{"type": "click", "name": "海报", "key": "poster"}]}}


@pytest.mark.parametrize("fault", [Code(45080), Code(45009), HTML, Reset(), Hang()])
def test_typing_never_raises_and_is_tried_once(patient: Patient, peer: WeChatApi, fault: Fault) -> None:
    peer.fail("message/custom/typing", fault)
    patient(fault).typing(OPENID)
    assert peer.count("message/custom/typing") == 1


def test_a_scene_lives_as_long_as_the_platform_says(gateway: WeChatGateway, peer: WeChatApi, watch: Watch) -> None:
    answer = b'{"ticket":"t","expire_seconds":60,"url":"http://weixin.qq.com/q/1"}'
    peer.fail("qrcode/create", Raw(200, answer))
    asked_at = watch.at
    assert gateway.create_scene("k7Qm2x", 2_592_000).expires_at == asked_at + timedelta(seconds=60)
    assert gateway.create_scene("k7Qm2x", 600).expires_at == asked_at + timedelta(seconds=600)
    assert peer.calls[-1].body["action_name"] == "QR_STR_SCENE"


@pytest.mark.parametrize(
    ("scene", "ttl"), [("", 600), ("a" * 65, 600), ("李", 600), ("a b", 600), ("a", 59), ("a", 2_592_001)]
)
def test_a_scene_out_of_range_is_rejected_without_a_call(
    gateway: WeChatGateway, peer: WeChatApi, scene: str, ttl: int
) -> None:
    with pytest.raises(GatewayError) as refused:
        gateway.create_scene(scene, ttl)
    assert (refused.value.result.outcome, peer.calls) == (Outcome.REJECTED, [])


def test_subscription_accounts_have_no_scenes(peer: WeChatApi, engine: Engine, watch: Watch) -> None:
    config = AccountConfig("main", peer.app_id, peer.secret, peer.base, "subscription")
    with pytest.raises(GatewayError) as refused:
        WeChatGateway(config, engine, KEY, watch.real).create_scene("a", 600)
    assert (refused.value.result.outcome, peer.calls) == (Outcome.CONFIG, [])
