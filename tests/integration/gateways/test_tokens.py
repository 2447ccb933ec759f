"""One token for all: fetched once, early, renewed once, forced within its ration, sealed in the database."""

import os
import subprocess
import sys
import warnings
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest
from sqlalchemy import Engine, NullPool, create_engine, text

from bot.kit.gateway import GatewayError, Outcome
from bot.runtime.gateways.wechat import WeChatGateway
from tests.fakes.wechat_api import Code, Fault, Hang, Raw, WeChatApi
from tests.integration.gateways.conftest import OPENID, SECRET, Watch, build
from tests.together import numbered

SEND, TOKEN = "message/custom/send", "stable_token"


def test_twenty_cold_callers_fetch_one_token(peer: WeChatApi, engine: Engine, watch: Watch) -> None:
    peer.delay = 0.05
    processes = [build(peer.base, engine, watch) for _ in range(4)]
    results = numbered(20, lambda n: processes[n % 4].send_text(OPENID, str(n)).outcome)
    assert results == [Outcome.SENT] * 20
    assert peer.counts() == {TOKEN: 1, SEND: 20}


def test_twenty_callers_with_a_dead_token_refresh_once(peer: WeChatApi, engine: Engine, watch: Watch) -> None:
    processes = [build(peer.base, engine, watch) for _ in range(4)]
    processes[0].send_text(OPENID, "warm")
    watch.advance(60)
    peer.good.clear()
    peer.delay = 0.05
    results = numbered(20, lambda n: processes[n % 4].send_text(OPENID, str(n)).outcome)
    assert results == [Outcome.SENT] * 20
    assert (peer.count(TOKEN), peer.forced, len(peer.delivered)) == (2, 1, 21)


def test_a_token_is_kept_for_the_next_process_and_refreshed_five_minutes_early(
    peer: WeChatApi, engine: Engine, watch: Watch
) -> None:
    build(peer.base, engine, watch).send_text(OPENID, "x")
    watch.advance(6899)
    build(peer.base, engine, watch).send_text(OPENID, "x")
    assert peer.count(TOKEN) == 1
    watch.advance(2)
    build(peer.base, engine, watch).send_text(OPENID, "x")
    assert (peer.count(TOKEN), peer.forced) == (2, 0)


@pytest.mark.parametrize(("expires_in", "asked_again_after"), [(300, 150), (400, 200), (7200, 6900), (999_999, 6900)])
def test_a_short_life_is_honoured_without_asking_each_time(
    gateway: WeChatGateway, peer: WeChatApi, watch: Watch, expires_in: int, asked_again_after: int
) -> None:
    peer.expires_in = expires_in
    gateway.send_text(OPENID, "x")
    watch.advance(asked_again_after - 1)
    gateway.send_text(OPENID, "x")
    assert peer.count(TOKEN) == 1
    watch.advance(1)
    gateway.send_text(OPENID, "x")
    assert peer.count(TOKEN) == 2


def test_while_the_old_token_lives_a_failing_refresh_stops_nobody(
    gateway: WeChatGateway, peer: WeChatApi, watch: Watch
) -> None:
    gateway.send_text(OPENID, "x")
    watch.advance(6950)
    peer.fail_always(TOKEN, Raw(503, b""))
    assert [gateway.send_text(OPENID, "x").outcome for _ in range(5)] == [Outcome.SENT] * 5
    assert peer.count(TOKEN) == 4
    watch.advance(300)
    assert gateway.send_text(OPENID, "x").outcome is Outcome.BACK_OFF


@pytest.mark.parametrize("errcode", [40001, 40014, 42001, 41001])
def test_a_refused_token_is_renewed_once(
    gateway: WeChatGateway, peer: WeChatApi, watch: Watch, errcode: int
) -> None:
    gateway.send_text(OPENID, "warm")
    watch.advance(60)
    if errcode == 42001:
        peer.good.clear()
    peer.fail(SEND, Code(errcode))
    assert gateway.send_text(OPENID, "x").outcome is Outcome.SENT
    assert (peer.count(TOKEN), peer.count(SEND)) == (2, 3)
    assert peer.calls[-2].body["force_refresh"] is (errcode != 42001)


@pytest.mark.parametrize("errcode", [40001, 40014, 42001, 41001])
@pytest.mark.parametrize("calls", [1, 4, 30])
def test_a_token_that_is_always_refused_ends(
    gateway: WeChatGateway, peer: WeChatApi, watch: Watch, errcode: int, calls: int
) -> None:
    gateway.send_text(OPENID, "warm")
    peer.calls.clear()
    peer.fail_always(SEND, Code(errcode))
    results = [gateway.send_text(OPENID, "x") for _ in range(calls)]
    assert {result.outcome for result in results} <= {Outcome.CONFIG, Outcome.BACK_OFF}
    assert len(peer.calls) <= 3 if calls == 1 else len(peer.calls) <= 5


def test_a_cold_start_into_refused_tokens_ends_too(gateway: WeChatGateway, peer: WeChatApi) -> None:
    peer.fail_always(SEND, Code(40001))
    result = gateway.send_text(OPENID, "x")
    assert (result.outcome, result.errcode) == (Outcome.CONFIG, 40001)
    assert peer.counts() == {TOKEN: 2, SEND: 2}


def test_another_systems_forced_token_is_found_without_forcing(
    peer: WeChatApi, engine: Engine, watch: Watch, gateway: WeChatGateway
) -> None:
    gateway.send_text(OPENID, "warm")
    peer.good.clear()
    assert build(peer.base, engine, watch).send_text(OPENID, "x").outcome is Outcome.SENT
    peer.kill_token()
    watch.advance(5)
    assert gateway.send_text(OPENID, "within 30 s of our own force").outcome is Outcome.SENT
    assert peer.forced == 1


def test_a_day_of_refusals_stays_within_the_ration(gateway: WeChatGateway, peer: WeChatApi, watch: Watch) -> None:
    watch.at = datetime(2026, 11, 20, 16, 0, tzinfo=UTC)  # midnight in Shanghai
    gateway.send_text(OPENID, "warm")
    peer.fail_always(SEND, Code(40001))
    forced_at: list[datetime] = []
    for _ in range(24 * 6):
        gateway.send_text(OPENID, "x")
        forced_at += [watch.at] * (peer.forced - len(forced_at))
        watch.advance(600)
    assert len(forced_at) == 20
    assert min(b - a for a, b in pairwise(forced_at)) >= timedelta(seconds=30)
    gateway.send_text(OPENID, "the next day")
    assert peer.forced == 21


def test_forced_refreshes_are_half_a_minute_apart(gateway: WeChatGateway, peer: WeChatApi, watch: Watch) -> None:
    gateway.send_text(OPENID, "warm")
    peer.fail(SEND, Code(40001), Code(40001))
    assert gateway.send_text(OPENID, "x").outcome is Outcome.CONFIG
    watch.advance(29)
    peer.fail(SEND, Code(40001))
    result = gateway.send_text(OPENID, "x")
    assert (result.outcome, result.retry_at, peer.forced) == (Outcome.BACK_OFF, watch.at + timedelta(seconds=30), 1)
    watch.advance(31)
    peer.fail(SEND, Code(40001))
    assert gateway.send_text(OPENID, "x").outcome is Outcome.SENT
    assert peer.forced == 2


def test_a_forced_refresh_without_an_answer_is_not_repeated(
    patient: Callable[[Fault], WeChatGateway], peer: WeChatApi, watch: Watch
) -> None:
    gateway = patient(Hang())
    gateway.send_text(OPENID, "warm")
    watch.advance(60)
    peer.fail(SEND, Code(40001))
    peer.fail(TOKEN, Hang())
    assert gateway.send_text(OPENID, "x").outcome is Outcome.BACK_OFF
    assert peer.forced == 1
    watch.advance(11)
    assert gateway.send_text(OPENID, "x").outcome is Outcome.SENT
    assert peer.forced == 1


@pytest.mark.parametrize(
    ("errcode", "errmsg", "detail"),
    [
        (40164, "invalid ip 203.0.113.9 ipv6 ::ffff:203.0.113.9, not in whitelist", "ip 203.0.113.9"),
        (40243, "frozen", ""),
        (40013, "invalid appid CANARY", ""),
        (40125, "invalid appsecret CANARY", ""),
        (40001, "invalid credential", ""),
        (89506, "refused by an administrator", ""),
    ],
)
def test_what_only_a_person_can_mend_is_said_once_and_rested(
    gateway: WeChatGateway, peer: WeChatApi, watch: Watch, errcode: int, errmsg: str, detail: str
) -> None:
    peer.fail_always(TOKEN, Code(errcode, errmsg))
    results = {gateway.send_text(OPENID, "x") for _ in range(5)}
    (result,) = results
    assert (result.outcome, result.errcode, result.detail, result.retry_at) == (Outcome.CONFIG, errcode, detail, None)
    assert peer.counts() == {TOKEN: 1}
    with pytest.raises(GatewayError) as refused:
        gateway.ping_token()
    assert (refused.value.result, peer.count(TOKEN)) == (result, 2)
    watch.advance(31)
    gateway.send_text(OPENID, "x")
    assert peer.count(TOKEN) == 3


def test_a_ping_after_the_repair_opens_the_way_at_once(
    gateway: WeChatGateway, peer: WeChatApi, watch: Watch
) -> None:
    peer.fail(TOKEN, Code(40164, "invalid ip 203.0.113.9, not in whitelist"))
    assert gateway.send_text(OPENID, "x").outcome is Outcome.CONFIG
    health = gateway.ping_token()
    assert health.expires_at == watch.at + timedelta(hours=2)
    assert health.skew_seconds is not None
    peer.fail(SEND, Code(40001))
    assert gateway.send_text(OPENID, "x").outcome is Outcome.SENT
    assert peer.forced == 1


@pytest.mark.parametrize(
    "body",
    [
        b"{}",
        b'{"access_token":"","expires_in":7200}',
        b'{"access_token":"a b","expires_in":7200}',
        b'{"access_token":"abc","expires_in":"7200"}',
        b'{"access_token":"abc","expires_in":-1}',
        b'{"access_token":["abc"],"expires_in":7200}',
    ],
)
def test_an_odd_token_is_not_taken(gateway: WeChatGateway, peer: WeChatApi, body: bytes) -> None:
    peer.fail(TOKEN, Raw(200, body))
    assert gateway.send_text(OPENID, "x").outcome is Outcome.BACK_OFF
    assert peer.count(SEND) == 0


def test_the_database_holds_no_readable_token_and_another_key_starts_anew(
    peer: WeChatApi, engine: Engine, watch: Watch, gateway: WeChatGateway
) -> None:
    gateway.send_text(OPENID, "x")
    with engine.connect() as db:
        sealed = db.execute(text("select sealed from platform_token")).scalar_one()
    assert b"CANARY" not in sealed
    other = build(peer.base, engine, watch, key=b"z" * 32)
    assert other.send_text(OPENID, "x").outcome is Outcome.SENT
    assert peer.count(TOKEN) == 2


def test_the_token_call_carries_no_secret_in_its_url(gateway: WeChatGateway, peer: WeChatApi) -> None:
    gateway.send_text(OPENID, "x")
    call = peer.calls[0]
    assert (call.api, call.query, call.body["secret"]) == (TOKEN, {}, SECRET)


SENDER = """
import sys
from datetime import UTC, datetime
from sqlalchemy import create_engine
from bot.runtime.gateways.account import AccountConfig
from bot.runtime.gateways.wechat import WeChatGateway
url, base, app_id, secret, openid = sys.argv[1:]
gateway = WeChatGateway(AccountConfig("main", app_id, secret, base), create_engine(url), b"k" * 32)
sys.stdin.readline()
print(gateway.send_image(openid, b"the same picture").outcome)
"""


def test_real_processes_share_one_token_and_one_upload(peer: WeChatApi, engine: Engine) -> None:
    peer.delay = 0.1
    url = engine.url.render_as_string(hide_password=False)
    arguments = [sys.executable, "-c", SENDER, url, peer.base, peer.app_id, peer.secret, OPENID]
    running = [subprocess.Popen(arguments, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) for _ in range(4)]
    for process in running:
        assert process.stdin
        process.stdin.write("go\n")
        process.stdin.flush()
    said = [process.communicate(timeout=60)[0].strip() for process in running]
    assert said == ["sent"] * 4
    assert peer.counts() == {TOKEN: 1, "media/upload": 1, SEND: 4}


def test_a_forked_job_opens_connections_of_its_own(peer: WeChatApi, engine: Engine, watch: Watch) -> None:
    gateway = build(peer.base, create_engine(engine.url, poolclass=NullPool), watch)
    gateway.send_text(OPENID, "parent")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        child = os.fork()
    if child == 0:
        os._exit(0 if gateway.send_text(OPENID, "child").outcome is Outcome.SENT else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    gateway.send_text(OPENID, "parent again")
    first, second, third = (call.connection for call in peer.calls if call.api == SEND)
    assert first == third != second
