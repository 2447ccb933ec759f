"""The gateway and the simulator, written apart, understand each other."""

from collections.abc import Iterator
from io import BytesIO

import pytest
from PIL import Image
from sqlalchemy import Engine

from bot.kit.gateway import Card, Outcome
from bot.runtime.gateways.account import AccountConfig
from bot.runtime.gateways.wechat import WeChatGateway
from bot.simulator import SimTemplate
from tests.integration.gateways.conftest import KEY
from tests.integration.simulator.conftest import Client, server, sim, sim_database, sim_home  # noqa: F401
from tests.integration.simulator.echo import ACCOUNT, Server


@pytest.fixture
def met(engine: Engine, sim: Client) -> Iterator[WeChatGateway]:  # noqa: F811
    config = AccountConfig("main", ACCOUNT.app_id, ACCOUNT.app_secret, f"{sim.server.url}/sim/weixin")
    gateway = WeChatGateway(config, engine, KEY)
    yield gateway
    gateway.close()


def picture() -> bytes:
    file = BytesIO()
    Image.new("RGB", (60, 60), "red").save(file, "JPEG")
    return file.getvalue()


def test_a_chat_with_every_call(met: WeChatGateway, sim: Client) -> None:  # noqa: F811
    openid = sim.person()
    met.typing(openid)
    assert met.send_text(openid, "你好🌸").outcome is Outcome.SENT
    assert met.send_image(openid, picture()).outcome is Outcome.SENT
    assert sim.wait(lambda: "你好🌸" in sim.said(openid))
    assert met.create_scene("r.k7Qm2x", 600).url
    assert met.user_info(openid).following
    menu = {"button": [{"type": "click", "name": "海报", "key": "poster"}]}
    met.push_menu(menu)
    assert met.get_menu()
    assert met.page_ticket() == met.page_ticket()
    skew = met.ping_token().skew_seconds
    assert skew is None or isinstance(skew, float)


def test_a_window_that_is_used_up_and_a_stranger(met: WeChatGateway, sim: Client) -> None:  # noqa: F811
    openid = sim.person()
    outcomes = [met.send_text(openid, str(n)).outcome for n in range(8)]
    assert outcomes[-1] is Outcome.QUOTA_USED
    assert met.send_text("oNobodyNobodyNobodyNobody123", "x").outcome is Outcome.UNFOLLOWED


def test_cards_and_every_way_in_which_they_are_refused(engine: Engine, sim_database: str) -> None:  # noqa: F811
    desk = Server(sim_database, templates=(SimTemplate("TM1", "发货", {"thing1": "商品"}, offered=True),))
    talk = Client(desk)
    gateway = WeChatGateway(AccountConfig("main", ACCOUNT.app_id, ACCOUNT.app_secret, f"{desk.url}/sim/weixin"),
                            engine, KEY)
    openid, card = talk.person(), Card("TM1", {"thing1": "有机大米"}, "https://example.com/me")
    sent = gateway.send_template(openid, card, "huitou1")
    assert (sent.outcome, len(sent.message_id) > 10) == (Outcome.SENT, True)
    refused = gateway.send_subscription(openid, card)
    assert (refused.outcome, refused.errcode) == (Outcome.NOT_ALLOWED, 43101)
    talk.act("/api/subscribe", openid=openid, accept=["TM1"])
    assert gateway.send_subscription(openid, card).outcome is Outcome.SENT
    for bad, code in ((Card("TM1", {"thing1": "长" * 21}), 47003), (Card("TM9", {}), 40037),
                      (Card("TM1", {"thing1": "x"}, "pages/x"), 41030)):
        answer = gateway.send_template(openid, bad, "huitou2")
        assert (answer.outcome, answer.errcode) == (Outcome.BAD_TEMPLATE, code)
    assert gateway.templates() == {"TM1": "商品:{{thing1.DATA}}"}
    gateway.close()
    talk.http.close()
    desk.stop()
