"""No token, secret, openid or text of a person in exceptions, logs or representations, however they are made."""

import logging
import pickle
import traceback
from collections.abc import Callable

import pytest
import structlog
from sqlalchemy import Engine
from structlog.testing import capture_logs

from bot.kit.gateway import GatewayError, SendResult
from bot.runtime.gateways.account import AccountConfig
from bot.runtime.gateways.wechat import WeChatGateway
from tests.fakes.wechat_api import HTML, Code, Fault, Hang, Raw, Reset, WeChatApi
from tests.integration.gateways.conftest import APP_ID, JPEG, KEY, OPENID, SECRET, Watch, build

SAID, SCENE = "CANARYTEXT", "CANARYSCENE"
FAULTS: list[Fault] = [
    Code(40001, f"invalid {SECRET} access_token=CANARY {OPENID}"),
    Code(40164, f"invalid ip 203.0.113.9 {SECRET}"),
    Code(47003, f"argument invalid {OPENID} {SAID} rid: CANARY"),
    Code(45009, "CANARY"),
    Raw(500, b"CANARY"),
    Raw(404, b"CANARY"),
    Raw(200, b'{"errcode":"CANARY"}'),
    HTML,
    Hang(),
    Reset(),
]


def everything_said_of(error: BaseException | None) -> str:
    parts = []
    while error is not None:
        parts += [repr(error), str(error), repr(error.args), repr(vars(error)), *traceback.format_exception(error)]
        parts.append(pickle.dumps(error).decode("latin-1"))
        error = error.__cause__ or error.__context__
    return "\n".join(parts)


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("api", ["stable_token", "qrcode/create", "message/custom/send", "media/upload"])
def test_no_canary_leaves_a_failing_call(
    patient: Callable[[Fault], WeChatGateway],
    peer: WeChatApi,
    caplog: pytest.LogCaptureFixture,
    api: str,
    fault: Fault,
) -> None:
    gateway = patient(fault)
    structlog.reset_defaults()
    said = []
    peer.fail_always(api, fault)
    with caplog.at_level(logging.DEBUG), capture_logs() as logs:
        said += [repr(gateway.send_text(OPENID, SAID)), repr(gateway.send_image(OPENID, JPEG))]
        for call in (
            lambda: gateway.create_scene(SCENE, 600),
            lambda: gateway.upload_image(JPEG + b"2"),
            lambda: gateway.user_info(OPENID),
            gateway.ping_token,
        ):
            try:
                call()
            except GatewayError as error:
                said.append(everything_said_of(error))
    said += [caplog.text, *(repr(entry) for entry in logs)]
    assert logs
    assert "CANARY" not in "\n".join(said)


def test_an_unreachable_host_says_no_canary(
    peer: WeChatApi, engine: Engine, watch: Watch, gateway: WeChatGateway, caplog: pytest.LogCaptureFixture
) -> None:
    gateway.send_text(OPENID, "so that the token is there")
    away = build("http://127.0.0.1:9", engine, watch)
    with caplog.at_level(logging.DEBUG), pytest.raises(GatewayError) as refused:
        away.create_scene(SCENE, 600)
    assert "CANARY" not in everything_said_of(refused.value) + caplog.text


def test_the_foreign_exception_is_not_chained(gateway: WeChatGateway, peer: WeChatApi) -> None:
    peer.fail_always("qrcode/create", Reset())
    with pytest.raises(GatewayError) as refused:
        gateway.create_scene("abc", 600)
    assert (refused.value.__cause__, refused.value.__context__) == (None, None)


def test_representations_hold_no_secret(gateway: WeChatGateway) -> None:
    config = AccountConfig("main", APP_ID, SECRET)
    shown = repr(config) + str(config) + repr(gateway) + repr(gateway.user_info(OPENID))
    assert SECRET not in shown
    assert OPENID not in shown
    assert KEY.decode() not in shown


def test_a_gateway_is_not_pickled(gateway: WeChatGateway) -> None:
    with pytest.raises(TypeError, match="secrets"):
        pickle.dumps(gateway)


def test_an_error_survives_pickling(gateway: WeChatGateway, peer: WeChatApi) -> None:
    peer.fail("qrcode/create", Code(45009))
    with pytest.raises(GatewayError) as refused:
        gateway.create_scene("abc", 600)
    copy = pickle.loads(pickle.dumps(refused.value))
    assert isinstance(copy.result, SendResult)
    assert (copy.result, str(copy)) == (refused.value.result, str(refused.value))


def test_the_app_secret_never_reaches_the_sdk(gateway: WeChatGateway) -> None:
    gateway.send_text(OPENID, "x")
    client = gateway._transport._client()
    assert (client.secret, client.token, client.access_token) == ("", "", "")
    assert client.session.get(client.access_token_key) is None
