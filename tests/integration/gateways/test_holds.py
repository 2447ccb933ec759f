"""After a quota, a pause or a dead host nobody calls until it makes sense, in any process."""

from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import Engine, select
from sqlalchemy.orm import Session

from bot.kit.gateway import GatewayError, Outcome
from bot.runtime.gateways.account import AccountConfig
from bot.runtime.gateways.faults import Refusal
from bot.runtime.gateways.wechat import WeChatGateway
from domain.platform import service as platform
from domain.platform import silence
from domain.platform.models import PlatformHold
from tests.fakes.wechat_api import HTML, Code, Raw, Reset, WeChatApi
from tests.integration.gateways.conftest import JPEG, KEY, OPENID, Watch, build
from tests.together import numbered

SEND = "message/custom/send"


@pytest.mark.parametrize(
    ("errcode", "retry_at"),
    [
        (45009, datetime(2026, 11, 20, 16, 0, tzinfo=UTC)),
        (45011, datetime(2026, 11, 20, 2, 1, tzinfo=UTC)),
    ],
)
def test_a_used_quota_rests_that_api_only_until_it_returns(
    gateway: WeChatGateway, peer: WeChatApi, engine: Engine, watch: Watch, errcode: int, retry_at: datetime
) -> None:
    peer.fail(SEND, Code(errcode))
    other = build(peer.base, engine, watch)
    results = [gateway.send_text(OPENID, "x"), gateway.send_text(OPENID, "x"), other.send_text(OPENID, "x")]
    assert {(r.outcome, r.errcode, r.retry_at) for r in results} == {(Outcome.BACK_OFF, errcode, retry_at)}
    assert peer.count(SEND) == 1
    assert gateway.create_scene("abc", 600).ticket == "ticket-abc"
    watch.at = retry_at - timedelta(seconds=1)
    assert gateway.send_text(OPENID, "x").outcome is Outcome.BACK_OFF
    watch.at = retry_at
    assert gateway.send_text(OPENID, "x").outcome is Outcome.SENT


def test_a_demo_rests_as_long_as_it_was_told_instead_of_until_midnight(
    peer: WeChatApi, engine: Engine, watch: Watch
) -> None:
    minute = timedelta(minutes=1)
    config = AccountConfig("main", peer.app_id, peer.secret, peer.base, daily_rest=minute)
    gateway = WeChatGateway(config, engine, KEY, watch.real)
    peer.fail(SEND, Code(45009))
    until = watch.at + minute
    refused = gateway.send_text(OPENID, "x")
    assert (refused.outcome, refused.retry_at) == (Outcome.BACK_OFF, until)
    watch.at = until - timedelta(seconds=1)
    assert gateway.send_text(OPENID, "x").outcome is Outcome.BACK_OFF
    watch.at = until
    assert gateway.send_text(OPENID, "x").outcome is Outcome.SENT
    gateway.close()


def test_an_alarm_is_over_when_what_it_is_about_works_again(
    gateway: WeChatGateway, peer: WeChatApi, engine: Engine, watch: Watch
) -> None:
    def alarms() -> set[str]:
        with Session(engine) as session:
            return set(session.scalars(select(PlatformHold.api)))

    gateway.send_text(OPENID, "all is well")
    with Session(engine) as session, session.begin():
        for name in (silence.SEND_ALARM, silence.ALARM):
            platform.hold_back(session, peer.app_id, name, "config", 40164, "", watch.at + timedelta(minutes=5))
    peer.fail(SEND, Code(40164))
    watch.at += timedelta(seconds=1)
    assert gateway.send_text(OPENID, "x").outcome is Outcome.CONFIG
    assert alarms() == {silence.SEND_ALARM, silence.ALARM}
    assert build(peer.base, engine, watch).send_text(OPENID, "x").outcome is Outcome.SENT
    assert alarms() == {silence.ALARM}
    gateway.upload_image(JPEG)
    assert alarms() == set()


def test_what_concerns_one_person_rests_nothing(gateway: WeChatGateway, peer: WeChatApi) -> None:
    peer.fail(SEND, *(Code(code) for code in (45015, 45047, 43004, 40003, 48002, 47003)))
    outcomes = [gateway.send_text(OPENID, "x").outcome for _ in range(7)]
    assert outcomes == [
        Outcome.WINDOW_CLOSED,
        Outcome.QUOTA_USED,
        Outcome.UNFOLLOWED,
        Outcome.UNFOLLOWED,
        Outcome.MUTED,
        Outcome.REJECTED,
        Outcome.SENT,
    ]


def test_five_failures_in_a_row_open_the_breaker_for_all(
    gateway: WeChatGateway, peer: WeChatApi, engine: Engine, watch: Watch
) -> None:
    gateway.send_text(OPENID, "warm")
    peer.fail(SEND, HTML, Reset(), Reset(acted=False), Raw(504, b""), HTML)
    assert [gateway.send_text(OPENID, "x").outcome for _ in range(5)] == [Outcome.UNKNOWN] * 5
    calls = len(peer.calls)
    other = build(peer.base, engine, watch)
    held = [gateway.send_text(OPENID, "x"), other.send_text(OPENID, "x")]
    with pytest.raises(GatewayError) as refused:
        other.upload_image(JPEG)
    expected = (Outcome.BACK_OFF, watch.at + timedelta(seconds=30))
    assert {(r.outcome, r.retry_at) for r in [*held, refused.value.result]} == {expected}
    assert len(peer.calls) == calls


def test_after_thirty_seconds_one_caller_probes_and_closes_the_breaker(
    gateway: WeChatGateway, peer: WeChatApi, engine: Engine, watch: Watch
) -> None:
    gateway.send_text(OPENID, "warm")
    peer.fail(SEND, *[HTML] * 5)
    for _ in range(5):
        gateway.send_text(OPENID, "x")
    watch.advance(30)
    peer.delay = 0.2
    processes = [build(peer.base, engine, watch) for _ in range(4)]
    results = numbered(8, lambda n: processes[n % 4].send_text(OPENID, "x").outcome)
    assert sorted(results) == [Outcome.BACK_OFF] * 7 + [Outcome.SENT]
    peer.delay = 0
    assert gateway.send_text(OPENID, "x").outcome is Outcome.SENT


def test_a_probe_that_fails_keeps_the_breaker_open_and_is_one_try(
    gateway: WeChatGateway, peer: WeChatApi, watch: Watch
) -> None:
    gateway.send_text(OPENID, "warm")
    peer.fail(SEND, *[HTML] * 5)
    for _ in range(5):
        gateway.send_text(OPENID, "x")
    watch.advance(30)
    calls = len(peer.calls)
    peer.fail("qrcode/create", Raw(503, b""))
    with pytest.raises(GatewayError):
        gateway.create_scene("abc", 600)
    assert gateway.send_text(OPENID, "x").outcome is Outcome.BACK_OFF
    assert len(peer.calls) == calls + 1


def test_failures_that_are_not_in_a_row_open_nothing(gateway: WeChatGateway, peer: WeChatApi) -> None:
    for _ in range(3):
        peer.fail(SEND, *[HTML] * 4)
        outcomes = [gateway.send_text(OPENID, "x").outcome for _ in range(5)]
        assert outcomes == [Outcome.UNKNOWN] * 4 + [Outcome.SENT]


def test_an_error_code_is_a_sign_of_life(gateway: WeChatGateway, peer: WeChatApi) -> None:
    peer.fail(SEND, *[HTML] * 4, Code(45015), *[HTML] * 4)
    outcomes = [gateway.send_text(OPENID, "x").outcome for _ in range(10)]
    assert outcomes == [*[Outcome.UNKNOWN] * 4, Outcome.WINDOW_CLOSED, *[Outcome.UNKNOWN] * 4, Outcome.SENT]


def test_every_finished_call_is_told_to_the_observer(peer: WeChatApi, engine: Engine, watch: Watch) -> None:
    seen: list[tuple[str, str, int]] = []

    def observe(api: str, refusal: Refusal | None) -> None:
        seen.append((api, refusal.kind.value, refusal.result.errcode) if refusal else (api, "", 0))

    gateway = WeChatGateway(
        AccountConfig("main", peer.app_id, peer.secret, peer.base),
        engine,
        KEY,
        watch.real,
        observe=observe,
    )
    peer.fail(SEND, Code(-1), Code(45015), HTML, Reset(), Raw(502, b""))
    for _ in range(4):
        gateway.send_text(OPENID, "x")
    gateway.upload_image(JPEG)
    assert seen == [("stable_token", "", 0), (SEND, "answered", 45015), (SEND, "uncertain", 0),
                    (SEND, "uncertain", 0), (SEND, "server", 0), ("media/upload", "", 0)]
