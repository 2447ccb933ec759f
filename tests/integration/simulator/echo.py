"""A tiny service for the simulator to talk to, built only on wechatpy's crypto: the oracle of the simulator's own.

It echoes texts, welcomes followers, and lets a test put any answer in place of its own.
"""

import hmac
import threading
import time
from base64 import b64decode, b64encode
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import xmltodict
from flask import Flask, Response, request
from wechatpy.crypto import WeChatCrypto
from wechatpy.enterprise.crypto import WeChatCrypto as WeComCrypto
from wechatpy.utils import check_signature
from werkzeug.serving import make_server

from bot.simulator import SimAccount, SimConfig, SimCorp, SimPerson, SimStaff, blueprint

ACCOUNT = SimAccount(
    account="main", app_id="wx2c2769f8efd9abc2", app_secret="4f1d2c3b5a69788796a5b4c3d2e1f001",
    token="spamtest", encoding_aes_key="abcdefghijklmnopqrstuvwxyz0123456789ABCDEFG",
    original_id="gh_7f083739789a", name="李记有机")
CORP = SimCorp(
    account="main", corp_id="ww0test000corp0001", agent_id=1000002, token="wecomtest",
    secret="n6Z2JQ2o9c1qN0wcXb3tqQd1l8fUPy5Tq4d9gVb8cYk",
    encoding_aes_key="0123456789abcdefghijklmnopqrstuvwxyzABCDEFG", name="李记有机",
    staff=(SimStaff("xiaozhushou", "小助手"), SimStaff("xiaomei", "小美")), monthly=3)
WEBHOOK_SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
PRODUCTS = [
    {"sku": "RICE-5KG", "title": "五常有机稻花香大米 5kg", "category": "fmcg", "price_fen": 9_900},
    {"sku": "OIL-5L", "title": "物理压榨菜籽油 5L", "category": "fmcg", "price_fen": 12_900},
    {"sku": "EGG-30", "title": "散养土鸡蛋 30 枚", "category": "fmcg", "price_fen": 5_880},
    {"sku": "TEA-250", "title": "云南古树普洱 250g", "category": "fmcg", "price_fen": 16_800},
    {"sku": "HONEY-500", "title": "高山百花蜜 500g", "category": "fmcg", "price_fen": 6_900},
    {"sku": "SCALE-01", "title": "智能厨房秤", "category": "digital", "price_fen": 7_900},
]
FIRST_PEOPLE = (SimPerson("李姐"), SimPerson("小王"), SimPerson("新客", follows=False))


@dataclass
class Times:
    """Both clocks of a simulator under test."""

    business: datetime = datetime(2026, 11, 20, 2, 0, tzinfo=UTC)
    real_offset: timedelta = timedelta(0)

    def advance(self, seconds: int) -> datetime:
        self.business += timedelta(seconds=seconds)
        return self.business

    def real(self) -> datetime:
        return datetime.now(UTC) + self.real_offset


@dataclass
class Echo:
    """What the service received, and what it is told to answer instead of echoing."""

    account: SimAccount = ACCOUNT
    received: list[dict[str, Any]] = field(default_factory=list)
    events: list[dict[str, Any]] = field(default_factory=list)
    names: list[dict[str, Any]] = field(default_factory=list)
    """What the mall told of its customers; kept apart from the orders."""
    queries: list[dict[str, str]] = field(default_factory=list)
    instead: Callable[[dict[str, Any]], Response | str | None] | None = None
    event_status: int = 202
    handshake: str = ""
    payments: list[tuple[dict[str, str], bytes]] = field(default_factory=list)
    payment_status: int = 200
    contacts: list[dict[str, Any]] = field(default_factory=list)
    """Events of the corp, deciphered; with what came around them under ``_outer`` and ``_query``."""
    contact_answer: Callable[[dict[str, Any]], Response | str] | None = None
    _guard: threading.Lock = field(default_factory=threading.Lock)

    def seal(self, plain: str) -> str:
        crypto = WeChatCrypto(self.account.token, self.account.encoding_aes_key, self.account.app_id)
        return str(crypto.encrypt_message(plain, "nonce", str(int(time.time()))))

    def text_reply(self, message: dict[str, Any], content: str) -> str:
        return (f"<xml><ToUserName><![CDATA[{message['FromUserName']}]]></ToUserName>"
                f"<FromUserName><![CDATA[{message['ToUserName']}]]></FromUserName><CreateTime>{int(time.time())}"
                f"</CreateTime><MsgType><![CDATA[text]]></MsgType><Content><![CDATA[{content}]]></Content></xml>")

    def open(self, body: bytes) -> dict[str, Any]:
        query = request.args
        check_signature(self.account.token, query["signature"], query["timestamp"], query["nonce"])
        if self.account.mode == "plain":
            return dict(xmltodict.parse(body)["xml"])
        crypto = WeChatCrypto(self.account.token, self.account.encoding_aes_key, self.account.app_id)
        plain = crypto.decrypt_message(body, query["msg_signature"], query["timestamp"], query["nonce"])
        return dict(xmltodict.parse(plain)["xml"])

    def answer(self, message: dict[str, Any]) -> Response | str:
        with self._guard:
            self.received.append(message)
        if self.instead is not None:
            told = self.instead(message)
            if told is not None:
                return told
        if message["MsgType"] == "text":
            return self._closed(self.text_reply(message, f"你说：{message['Content']}"))
        if message.get("Event") == "subscribe":
            return self._closed(self.text_reply(message, f"欢迎 {message.get('EventKey') or ''}"))
        return "success"

    def _closed(self, plain: str) -> str:
        return plain if self.account.mode == "plain" else self.seal(plain)


def add_corp(app: Flask, echo: Echo) -> None:
    """The corp's callback address, built on wechatpy's enterprise crypto."""
    def crypto() -> Any:
        return WeComCrypto(CORP.token, CORP.encoding_aes_key, CORP.corp_id)

    @app.get("/wecom/<account>")
    def wecom_handshake(account: str) -> str:
        query = request.args
        plain: str = crypto().check_signature(
            query["msg_signature"], query["timestamp"], query["nonce"], query["echostr"])
        return echo.handshake or plain

    @app.post("/wecom/<account>")
    def wecom(account: str) -> Response | str:
        query, body = request.args, request.get_data()
        plain = crypto().decrypt_message(body, query["msg_signature"], query["timestamp"], query["nonce"])
        told = dict(xmltodict.parse(plain)["xml"])
        with echo._guard:
            echo.contacts.append({**told, "_outer": dict(xmltodict.parse(body)["xml"]), "_query": query.to_dict()})
        return echo.contact_answer(told) if echo.contact_answer else ""


def verify_webhook(secret: str, headers: Any, body: bytes) -> bool:
    """Standard Webhooks, from the published recipe."""
    signed = f"{headers['webhook-id']}.{headers['webhook-timestamp']}.".encode() + body
    good = b64encode(hmac.new(b64decode(secret.removeprefix("whsec_")), signed, "sha256").digest()).decode()
    return headers["webhook-signature"] == f"v1,{good}"


def make_app(echo: Echo, config: SimConfig) -> Flask:
    app = Flask("echo")
    app.config["MAX_CONTENT_LENGTH"] = 1024 * 1024
    app.register_blueprint(blueprint(config))

    @app.get("/wechat/<account>")
    def handshake(account: str) -> str:
        query = request.args
        check_signature(echo.account.token, query["signature"], query["timestamp"], query["nonce"])
        return echo.handshake or query["echostr"]

    @app.post("/wechat/<account>")
    def wechat(account: str) -> Response | str:
        with echo._guard:
            echo.queries.append(request.args.to_dict())
        return echo.answer(echo.open(request.get_data()))

    @app.post("/api/v1/events/<source>")
    def events(source: str) -> Response:
        if not verify_webhook(WEBHOOK_SECRET, request.headers, request.get_data()):
            return Response(status=403)
        with echo._guard:
            event = request.get_json()
            (echo.names if event["type"] == "customer.upserted" else echo.events).append(event)
        return Response('{"accepted":1,"duplicate":0}', status=echo.event_status)

    add_corp(app, echo)

    @app.post("/pay/<account>/notify")
    def paid(account: str) -> Response:
        with echo._guard:
            echo.payments.append((dict(request.headers), request.get_data()))
        return Response(status=echo.payment_status)

    return app


class Server:
    """The simulator and the echo service in one real threaded server, as the demo runs them."""

    def __init__(self, database_url: str, *, account: SimAccount = ACCOUNT, port: int = 0, **settings: Any) -> None:
        self.times = Times()
        self.echo = Echo(account)
        self.members: set[str] = set()
        self.config = SimConfig(
            base_url=lambda: self.url, database_url=database_url, accounts=(account,),
            webhook_secret=WEBHOOK_SECRET, webhook_source="mall", now=lambda: self.times.business,
            advance_clock=self.times.advance, real_now=self.times.real,
            **{"products": lambda: PRODUCTS, "people": (), "benefits": self._benefits, **settings})
        self._server = make_server("127.0.0.1", port, make_app(self.echo, self.config), threaded=True)
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
        self._thread.start()

    def _benefits(self, _app_id: str, openid: str) -> list[str]:
        """What somebody whose openid is among the ``members`` is entitled to; nobody is at first."""
        return ["discount:9500"] if openid in self.members else []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_port}"

    def stop(self) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()
