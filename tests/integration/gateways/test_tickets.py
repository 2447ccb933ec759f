"""The ticket that signs pages: one for all, fetched once and early, kept while a refresh fails, sealed at rest."""

from concurrent.futures import ThreadPoolExecutor

import pytest
from sqlalchemy import Engine, text

from bot.kit.gateway import GatewayError, Outcome
from bot.runtime.gateways.tickets import signature
from tests.fakes.gateway import TICKET
from tests.fakes.wechat_api import Code, Hang, Raw, WeChatApi
from tests.integration.gateways.conftest import HASTY, Watch, build

API = "ticket/getticket"


def test_the_documented_example() -> None:
    """developers.weixin.qq.com, JS-SDK, appendix 1."""
    made = signature(TICKET, "Wm3WZYTPz0wzccnW", 1_414_587_457, "http://mp.weixin.qq.com?params=value")
    assert made == "0f9de62fce790f9a083d5c99e95740ceb90c27ed"


def test_many_cold_callers_fetch_one(peer: WeChatApi, engine: Engine, watch: Watch) -> None:
    peer.delay = 0.05
    processes = [build(peer.base, engine, watch) for _ in range(3)]
    with ThreadPoolExecutor(12) as pool:
        tickets = set(pool.map(lambda n: processes[n % 3].page_ticket(), range(12)))
    assert len(tickets) == 1
    assert peer.count(API) == 1


def test_it_is_fetched_again_before_its_end_and_by_nobody_before(peer: WeChatApi, engine: Engine, watch: Watch) -> None:
    gateway = build(peer.base, engine, watch)
    first = gateway.page_ticket()
    watch.advance(7_200 - 301)
    assert (gateway.page_ticket(), peer.count(API)) == (first, 1)
    watch.advance(2)
    assert (gateway.page_ticket() != first, peer.count(API)) == (True, 2)


@pytest.mark.parametrize("fault", [Code(45009), Code(-1), Raw(500, b""), Raw(200, b'{"errcode": 0}'), Hang()])
def test_a_refresh_that_fails_leaves_the_old_one_until_its_end(
    peer: WeChatApi, engine: Engine, watch: Watch, fault: Code | Raw | Hang
) -> None:
    gateway = build(peer.base, engine, watch, timeouts=HASTY)
    first = gateway.page_ticket()
    watch.advance(7_200 - 200)
    peer.fail_always(API, fault)
    assert gateway.page_ticket() == first
    watch.advance(201)
    with pytest.raises(GatewayError) as refusal:
        gateway.page_ticket()
    assert refusal.value.result.outcome in (Outcome.BACK_OFF, Outcome.UNKNOWN)


def test_a_token_that_was_killed_is_renewed_for_it(peer: WeChatApi, engine: Engine, watch: Watch) -> None:
    gateway = build(peer.base, engine, watch)
    gateway.get_menu()
    peer.kill_token()
    assert gateway.page_ticket()


def test_nobody_reads_it_in_the_database(peer: WeChatApi, engine: Engine, watch: Watch) -> None:
    ticket = build(peer.base, engine, watch).page_ticket()
    with engine.connect() as db:
        sealed = db.execute(text("select sealed from platform_ticket")).scalar_one()
    assert ticket.encode() not in sealed
    assert build(peer.base, engine, watch, key=b"x" * 32).page_ticket() != "", "another key asks anew"
    assert peer.count(API) == 2
