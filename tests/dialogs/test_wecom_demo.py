"""The demo as a whole: a phone scans an employee's code; platform and service, written apart, talk over HTTP."""

import io
import socket
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import requests
import zxingcpp
from PIL import Image
from sqlalchemy import text
from werkzeug.serving import make_server

from bot.simulator import openid_for
from domain.audit.rules import Actor
from domain.shared.clock import FixedClock
from handlers.jobs import contact_ways
from tests.fakes.shop import Shop

NAME = "阿珍"


@dataclass
class Street:
    """A shop that is served, with the simulator's WeCom beside it."""

    shop: Shop
    url: str

    def sim(self, path: str, **body: Any) -> Any:
        answer = requests.post(f"{self.url}/sim/api{path}", json=body, timeout=10)
        assert answer.ok, answer.text
        return answer.json()

    def corp(self) -> Any:
        return requests.get(f"{self.url}/sim/api/wecom", timeout=10).json()["corps"][0]

    def chat(self, openid: str) -> list[str]:
        """What stands in the chats of a phone."""
        feed = requests.get(f"{self.url}/sim/api/feed?after=0", timeout=10).json()["bubbles"]
        return [str(one["body"].get("content", "")) for one in feed if one["openid"] == openid]

    def ended(self) -> str:
        with self.shop.runtime.sessions() as session:
            return session.execute(text("select ended_by from contact where ended_at is not null")).scalar() or ""

    def until(self, there: Callable[[], Any]) -> Any:
        """The platform tells in its own threads; what the workers would do is done here. Business time moves on, since
        what waits for a follower to be known falls due a moment later; but not while the platform is still telling, or
        a welcome, which lives for seconds, would be too late before anybody has heard of whom it is for."""
        give_up = time.monotonic() + 60
        while not (found := there()):
            assert time.monotonic() < give_up, self.corp()
            if not self.telling():
                self.shop.wait(seconds=1)
            time.sleep(0.02)
        return found

    def telling(self) -> bool:
        with self.shop.runtime.sessions() as session:
            return bool(session.scalar(text("select exists (select from sim.deliveries where state = 'sending')")))


@pytest.fixture
def street(tmp_path: Path, database_url: str) -> Iterator[Street]:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    shop = Shop.open(tmp_path, database_url, FixedClock(datetime.now(UTC)), port=port)
    server = make_server("127.0.0.1", port, shop.client.application, threaded=True)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    yield Street(shop, f"http://127.0.0.1:{port}")
    server.shutdown()
    thread.join()
    server.server_close()
    shop.close()


def test_a_phone_scans_the_code_of_an_employee(street: Street) -> None:
    shop = street.shop
    li = shop.person("李姐")
    account = shop.runtime.settings.wechat["demo"]
    openid = openid_for(account.app_id, NAME)
    street.sim("/people", name=NAME)
    sharer = shop.get(f"/people?openid={li.openid}&app_id={account.app_id}")["id"]
    member = street.corp()["staff"][0]["userid"]
    way = contact_ways.make(shop.runtime.context, "main", member, sharer, "RICE-5KG", Actor("lin", "owner"))
    assert street.sim("/wecom/verify")["ok"]
    picture = requests.get(way.url, timeout=10).content
    # A welcome waits five seconds for what is to be said in it, by business time and by the real one: however slow this
    # machine is, let the first be the one that counts.
    shop.clock.advance((datetime.now(UTC) - shop.clock.now()).total_seconds() + 30)
    street.sim("/scan", openid=openid, url=zxingcpp.read_barcodes(Image.open(io.BytesIO(picture)))[0].text)
    chat = street.until(lambda: [one for one in street.chat(openid) if "推荐" in one])
    assert "来自@李姐的推荐" in chat[0]
    assert "新人礼包" in chat[0]
    street.until(lambda: {tag["name"] for tag in street.corp()["tags"]} >= {"李姐推荐", "兴趣-日用食品"})
    street.until(lambda: len(street.corp()["staff"][0]["contacts"][0]["tags"]) == 2)
    street.sim("/wecom/delete", openid=openid)
    assert street.until(lambda: street.ended()) == "customer"
