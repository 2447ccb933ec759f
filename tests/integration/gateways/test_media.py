"""The same picture is uploaded once in 60 hours, by whoever comes first."""

import pytest
from sqlalchemy import Engine

from bot.kit.gateway import GatewayError, Outcome
from bot.runtime.gateways.transport import MAX_PICTURE
from bot.runtime.gateways.wechat import WeChatGateway
from tests.fakes.wechat_api import RID, Code, Raw, Reset, WeChatApi
from tests.integration.gateways.conftest import JPEG, OPENID, Watch, build
from tests.together import numbered

SEND, UPLOAD, FETCH = "message/custom/send", "media/upload", "media/get"


def test_a_picture_arrives_with_its_bytes(gateway: WeChatGateway, peer: WeChatApi) -> None:
    assert gateway.send_image(OPENID, JPEG).outcome is Outcome.SENT
    assert peer.media == {"media-0": JPEG}
    assert peer.delivered == [(OPENID, {"media_id": "media-0"})]


def test_equal_bytes_are_uploaded_once_for_all_processes(peer: WeChatApi, engine: Engine, watch: Watch) -> None:
    peer.delay = 0.05
    processes = [build(peer.base, engine, watch) for _ in range(4)]
    results = numbered(20, lambda n: processes[n % 4].send_image(OPENID, JPEG).outcome)
    assert (results, peer.count(UPLOAD)) == ([Outcome.SENT] * 20, 1)


def test_other_bytes_do_not_wait_for_each_other_and_each_get_their_own_id(
    gateway: WeChatGateway, peer: WeChatApi
) -> None:
    pictures = [JPEG + bytes([n]) for n in range(8)]
    ids = numbered(8, lambda n: gateway.upload_image(pictures[n]))
    assert {peer.media[str(media_id)] for media_id in ids} == set(pictures)


def test_the_cache_lives_sixty_hours(gateway: WeChatGateway, peer: WeChatApi, watch: Watch) -> None:
    first = gateway.upload_image(JPEG)
    watch.advance(60 * 3600 - 1)
    assert gateway.upload_image(JPEG) == first
    watch.advance(1)
    assert gateway.upload_image(JPEG) != first
    assert peer.count(UPLOAD) == 2


def test_a_forgotten_media_id_is_uploaded_again_with_all_its_bytes(gateway: WeChatGateway, peer: WeChatApi) -> None:
    gateway.upload_image(JPEG)
    peer.media.clear()
    peer.media["taken"] = b""
    assert gateway.send_image(OPENID, JPEG).outcome is Outcome.SENT
    assert (peer.count(UPLOAD), peer.count(SEND), peer.media["media-1"]) == (2, 2, JPEG)
    assert gateway.send_image(OPENID, JPEG).outcome is Outcome.SENT
    assert peer.count(UPLOAD) == 2


def test_a_media_id_refused_twice_is_our_own_fault(gateway: WeChatGateway, peer: WeChatApi) -> None:
    peer.fail_always(SEND, Code(40007))
    result = gateway.send_image(OPENID, JPEG)
    assert (result.outcome, result.errcode, peer.count(UPLOAD), peer.count(SEND)) == (Outcome.REJECTED, 40007, 2, 2)


@pytest.mark.parametrize("fault", [Code(-1), Code(40001), Raw(503, b""), Reset(acted=False), Reset()])
def test_every_try_of_an_upload_sends_the_whole_file(
    gateway: WeChatGateway, peer: WeChatApi, watch: Watch, fault: Code | Raw | Reset
) -> None:
    gateway.send_text(OPENID, "warm")
    watch.advance(60)
    peer.fail(UPLOAD, fault)
    gateway.upload_image(JPEG)
    assert [call.body for call in peer.calls if call.api == UPLOAD] == [JPEG, JPEG]


@pytest.mark.parametrize("size", [0, 2 * 1024 * 1024 + 1])
def test_a_picture_of_a_size_that_cannot_go_is_rejected_without_a_call(
    gateway: WeChatGateway, peer: WeChatApi, size: int
) -> None:
    assert gateway.send_image(OPENID, b"x" * size).outcome is Outcome.REJECTED
    with pytest.raises(GatewayError):
        gateway.upload_image(b"x" * size)
    assert peer.calls == []


def test_a_refused_upload_sends_nothing_and_says_why(gateway: WeChatGateway, peer: WeChatApi) -> None:
    peer.fail(UPLOAD, Code(40009))
    result = gateway.send_image(OPENID, JPEG)
    assert (result.outcome, result.errcode, result.detail) == (Outcome.REJECTED, 40009, RID.replace(":", ""))
    assert peer.count(SEND) == 0


def test_an_upload_without_a_media_id_is_not_kept(gateway: WeChatGateway, peer: WeChatApi) -> None:
    peer.fail(UPLOAD, Raw(200, b'{"type":"image"}'))
    assert gateway.send_image(OPENID, JPEG).outcome is Outcome.BACK_OFF
    assert gateway.send_image(OPENID, JPEG).outcome is Outcome.SENT


def test_a_refresh_of_one_does_not_forget_the_newer_id_of_another(
    peer: WeChatApi, engine: Engine, watch: Watch, gateway: WeChatGateway
) -> None:
    first = gateway.upload_image(JPEG)
    gateway._media.forget(JPEG, first)
    second = build(peer.base, engine, watch).upload_image(JPEG)
    gateway._media.forget(JPEG, first)
    assert gateway.upload_image(JPEG) == second != first


def test_a_picture_that_somebody_sent_is_fetched_once_and_whole(gateway: WeChatGateway, peer: WeChatApi) -> None:
    peer.media["theirs"] = JPEG
    assert gateway.picture("theirs") == JPEG
    (call,) = [call for call in peer.calls if call.api == FETCH]
    assert call.query["media_id"] == "theirs"


@pytest.mark.parametrize(("fault", "errcode"), [
    (Code(40007), 40007),
    (Raw(200, b"x" * (MAX_PICTURE + 1), "image/jpeg"), 40009),
    (Raw(200, b'{"video_url": "http://elsewhere.example"}', "application/json"), 40004),
])
def test_a_picture_that_is_gone_too_large_or_none_is_refused_and_the_next_is_not(
    gateway: WeChatGateway, peer: WeChatApi, fault: Code | Raw, errcode: int
) -> None:
    peer.media["good"] = JPEG
    peer.fail(FETCH, fault)
    with pytest.raises(GatewayError) as refused:
        gateway.picture("bad")
    assert (refused.value.result.outcome, refused.value.result.errcode) == (Outcome.REJECTED, errcode)
    assert (gateway.picture("good"), peer.count(FETCH)) == (JPEG, 2)


@pytest.mark.parametrize("fault", [Code(40001), Code(-1), Raw(503, b""), Reset()])
def test_a_picture_is_asked_for_again_where_that_helps(
    gateway: WeChatGateway, peer: WeChatApi, fault: Code | Raw | Reset
) -> None:
    peer.media["theirs"] = JPEG
    peer.fail(FETCH, fault)
    assert (gateway.picture("theirs"), peer.count(FETCH)) == (JPEG, 2)


def test_a_redirect_is_not_followed(gateway: WeChatGateway, peer: WeChatApi) -> None:
    """It would carry the token elsewhere."""
    peer.fail_always(FETCH, Raw(302, b"", headers=(("Location", f"{peer.base}/cgi-bin/elsewhere"),)))
    with pytest.raises(GatewayError):
        gateway.picture("theirs")
    assert peer.count("elsewhere") == 0
