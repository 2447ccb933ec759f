"""A whole shop for dialogue tests: people who say things and see things, orders that come in.

Everything goes through the real doors (encrypted callbacks, signed events) of the real application on a real
database. Only the way out is a fake gateway, the bell is silent, and the clock stands still until moved.
"""

import atexit
import base64
import hashlib
import hmac
import io
import itertools
import json
import secrets
import shutil
import tempfile
import time
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any

import xmltodict
import zxingcpp
from flask.testing import FlaskClient
from PIL import Image
from wechatpy.crypto import WeChatCrypto

from bot.kit.pay import PayGateways
from bot.pictures.studio import Studio
from bot.runtime import bootstrap, journeys, settings, work
from bot.runtime.app import create_app
from bot.runtime.bell import SilentBell
from bot.runtime.demo import seed_runtime
from bot.runtime.demo_keys import make_demo_pairs
from bot.runtime.voice import Voice
from domain.shared.clock import FixedClock
from tests import engines
from tests.fakes.gateway import FakeGateway
from tests.fakes.pay import FakePay
from tests.fakes.sketches import sketch_certificates, sketch_studio

ACCOUNT, SOURCE = "demo", "mall"
PATIENCE = timedelta(minutes=5)
"""Recurring work that fell due less than this ago is not done after each word and each order: half of all statements
went into it. It is done when time is told to pass, and whenever a test asks for all work."""


@cache
def studio() -> Studio:
    """One studio a test run: reading the styles and fonts costs a second."""
    return Studio(bootstrap.ASSETS / "posters")


@cache
def voice() -> Voice:
    """One voice a test run."""
    return Voice(bootstrap.ASSETS / "copy")


@cache
def demo_pairs() -> Path:
    """A home with nothing but the keys of a demo, made once a test run: RSA takes its time to find primes."""
    home = Path(tempfile.mkdtemp(prefix="huitou-pairs-"))
    atexit.register(shutil.rmtree, home, ignore_errors=True)
    make_demo_pairs(home)
    return home


def without_templates(config: settings.Settings) -> settings.Settings:
    """The same shop before it has added templates on the platform: every notice needs a window."""
    wechat = {name: replace(one, templates={}, subscriptions={}) for name, one in config.accounts.wechat.items()}
    return replace(config, accounts=replace(config.accounts, wechat=wechat))


def wecom_at(config: settings.Settings, base: str) -> settings.Settings:
    """The same shop whose WeCom is at ``base``."""
    wecom = {name: replace(one, api_base=base) for name, one in config.accounts.wecom.items()}
    return replace(config, accounts=replace(config.accounts, wecom=wecom))


@dataclass
class Shop:
    """The shop under test. ``work()`` does what the workers would have done by now; what follows at once from a message
    or an event is done by itself."""

    runtime: bootstrap.Runtime
    client: FlaskClient
    gateway: FakeGateway
    clock: FixedClock
    people: dict[str, "Person"] = field(default_factory=dict)
    numbers: "itertools.count[int]" = field(default_factory=lambda: itertools.count(1))
    pay: FakePay = field(kw_only=True)
    began: int = field(default_factory=lambda: int(time.time()), kw_only=True)
    tended: datetime = field(default=datetime.min.replace(tzinfo=UTC), kw_only=True)
    """When recurring work was last looked at."""

    @classmethod
    def open(cls, home: Path, database_url: str, clock: FixedClock, *, pay_port: int = 0, port: int = 0,
             cards: bool = False, wecom: str = "", seeded: bool = False, drawn: bool = False) -> "Shop":
        """``port``: where a test serves this shop. ``pay_port``: the same, paid by the simulator's WeChat Pay.
        ``cards``: the account has templates, so that some notices leave without a window. ``wecom``: where WeCom is.
        ``seeded``: it has been opened before, on this home and database. ``drawn``: its pictures are drawn in full,
        not sketched."""
        given = {"HUITOU_HOME": str(home), "DATABASE_URL": database_url, "HUITOU_DEMO": "1"}
        if pay_port or port:
            given["PORT"] = str(pay_port or port)
        if pay_port:
            shutil.copytree(demo_pairs(), home, dirs_exist_ok=True)
        config = settings.load(given, home)
        if not cards:
            config = without_templates(config)
        if wecom:
            config = wecom_at(config, wecom)
        gateway = FakeGateway(ACCOUNT)
        pay = FakePay(clock, "main", config.wechat[ACCOUNT].app_id)
        engine = engines.lend(database_url, engines.house)
        runtime = bootstrap.build(config, engine=engine, clock=clock, bell=SilentBell(), gateways={ACCOUNT: gateway},
                                  studio=studio() if drawn else sketch_studio(), voice=voice(),
                                  certificates=None if drawn else sketch_certificates(),
                                  pay=None if pay_port else PayGateways({"main": pay}))
        if not seeded:
            seed_runtime(runtime)
        shop = cls(runtime, create_app(runtime=runtime).test_client(), gateway, clock, pay=pay)
        if seeded:
            shop.tended = clock.now()
        return shop

    def close(self) -> None:
        engines.take_back(self.runtime.engine, engines.house)

    def person(self, name: str, invited_by: str = "", follows: bool = True) -> "Person":
        """Somebody by name; on first mention they follow (by scanning ``invited_by``'s poster) and get their name."""
        if name in self.people:
            return self.people[name]
        person = Person(self, name, f"o{hashlib.sha256(name.encode()).hexdigest()[:27]}")
        self.people[name] = person
        self.event("customer.upserted", {"identities": person.identity, "nickname": name})
        if invited_by:
            person.scans(self.people[invited_by].poster())
        elif follows:
            person.happens("subscribe")
        return person

    def journeys(self, *keys: str) -> None:
        """Let these shipped journeys run, with nobody held out: a test asks about one person."""
        wanted = [replace(one, holdout_bps=0) for one in journeys.shipped() if one.key in keys]
        assert len(wanted) == len(keys), keys
        with self.runtime.sessions.begin() as session:
            journeys.install(session, wanted, self.runtime.voice, self.clock.now(), live=True)

    def work(self) -> None:
        """Everything that is due. The slow ones end when they find nothing more: they are asked again only after the
        fast ones have found something behind them."""
        self.tended = self.clock.now()
        work.answer(self.runtime, "fast")
        for _ in range(20):
            if not (work.answer(self.runtime, "slow") and work.answer(self.runtime, "fast")):
                return self.deliver()
        raise AssertionError("the work never ends")

    def follow_up(self) -> None:
        """What follows at once from a message or an event."""
        if self.clock.now() - self.tended > PATIENCE:
            return self.work()
        for _ in range(20):
            work.answer(self.runtime, "fast")
            if not self.runtime.outbox.run("slow", limit=8, threads=work.POSTER_THREADS):
                return self.deliver()  # nor is there anything for the fast ones, who had done all
        raise AssertionError("the work never ends")

    def deliver(self) -> None:
        """Hand what the gateway sent to the phones."""
        by_openid = {person.openid: person for person in self.people.values()}
        while self.gateway.sent:
            openid, _, content = self.gateway.sent.pop(0)
            by_openid[openid].heard.append(content)

    def wait(self, **by: float) -> None:
        """Business time moves on; what fell due is done."""
        self.clock.advance(sum(by.get(unit, 0) * seconds for unit, seconds in SECONDS.items()))
        self.work()

    def event(self, kind: str, data: dict[str, Any], event_id: str = "") -> dict[str, Any]:
        """A commerce event, signed as the mall signs it; done at once. Returns the answer."""
        body = {"id": event_id or f"evt_{next(self.numbers)}", "type": kind, "data": data,
                "occurred_at": self.clock.now().isoformat()}
        return self.events([body])

    def events(self, bodies: list[dict[str, Any]], expect: int = 202) -> dict[str, Any]:
        raw = json.dumps({"events": bodies}).encode()
        name, at = f"msg_{secrets.token_hex(8)}", str(int(time.time()))
        secret = self.runtime.settings.api[SOURCE].webhook_secrets[0].reveal()
        key = base64.b64decode(secret.removeprefix("whsec_"))
        mac = base64.b64encode(hmac.digest(key, f"{name}.{at}.".encode() + raw, "sha256")).decode()
        answer = self.client.post(f"/api/v1/events/{SOURCE}", data=raw, content_type="application/json", headers={
            "webhook-id": name, "webhook-timestamp": at, "webhook-signature": f"v1,{mac}"})
        assert answer.status_code == expect, (answer.status_code, answer.text)
        self.follow_up()
        return answer.get_json()

    def paid(self, order: str, by: "Person", fen: int, sku: str = "RICE-5KG", category: str = "fmcg",
             share_code: str = "", channel: str = "mall") -> None:
        self.event("order.paid", {
            "order_id": order, "channel": channel, "currency": "CNY", "paid_at": self.clock.now().isoformat(),
            "buyer": by.identity, "share_code": share_code, "paid_fen": fen, "shipping_fen": 0,
            "lines": [{"line_id": "1", "sku": sku, "title": "有机大米 5kg", "category": category, "quantity": 3,
                       "paid_fen": fen}]})

    def received(self, order: str) -> None:
        self.event("order.received", {"order_id": order, "channel": "mall",
                                      "received_at": self.clock.now().isoformat()})

    def refunded(self, order: str, fen: int, quantity: int = 1) -> None:
        self.event("order.refunded", {
            "order_id": order, "channel": "mall", "refund_id": f"r{next(self.numbers)}",
            "refunded_at": self.clock.now().isoformat(),
            "lines": [{"line_id": "1", "refund_fen": fen, "quantity": quantity}]})

    def get(self, path: str, expect: int = 200) -> Any:
        """A read of the results API with the mall's key."""
        key = self.runtime.settings.api[SOURCE].api_key.reveal()
        answer = self.client.get(f"/api/v1{path}", headers={"Authorization": f"Bearer {key}"})
        assert answer.status_code == expect, (answer.status_code, answer.text)
        return answer.get_json()


SECONDS = {"seconds": 1.0, "minutes": 60.0, "hours": 3_600.0, "days": 86_400.0}


@dataclass
class Person:
    """One phone. ``heard`` is all that was answered or sent to it, newest last."""

    shop: Shop
    name: str
    openid: str
    heard: list[str | bytes] = field(default_factory=list)
    acted_at: int = 0
    transfers: int = 0
    """How often they were handed over to the platform's own customer service."""

    @property
    def identity(self) -> dict[str, str]:
        return {"openid": self.openid, "app_id": self.shop.runtime.settings.wechat[ACCOUNT].app_id}

    def says(self, text: str, msg_id: str = "") -> "Person":
        return self._post({"MsgType": "text", "Content": text, "MsgId": msg_id or str(next(self.shop.numbers))})

    def speaks(self, heard: str) -> "Person":
        """A voice message in which the platform recognised ``heard``; '' where it does not listen."""
        fields = {"MsgType": "voice", "MediaId": "media_1", "Format": "amr", "MsgId": str(next(self.shop.numbers))}
        return self._post(fields | ({"Recognition": heard} if heard else {}))

    def taps(self, key: str) -> "Person":
        return self.happens("CLICK", key)

    def scans(self, jpeg: bytes) -> "Person":
        """Really reads the QR of the picture; follows by it, or scans it as a follower."""
        found = zxingcpp.read_barcodes(Image.open(io.BytesIO(jpeg)))
        scene = self.shop.gateway.scenes[found[0].text]
        row = self.shop.get(f"/people?openid={self.openid}&app_id={self.identity['app_id']}")
        assert row
        first = not self.heard
        return self.happens("subscribe", f"qrscene_{scene}") if first else self.happens("SCAN", scene)

    def happens(self, event: str, key: str = "") -> "Person":
        return self._post({"MsgType": "event", "Event": event, "EventKey": key})

    def poster(self, text: str = "海报") -> bytes:
        """Ask for a poster and take the picture."""
        self.says(text)
        assert isinstance(self.heard[-1], bytes), self.heard[-2:]
        return self.heard[-1]

    def sees(self, *parts: str) -> "Person":
        """One text since the person's last act holds every part."""
        return self._one_text_has(parts, self.heard[self.acted_at:])

    def saw(self, *parts: str) -> "Person":
        """Some text so far holds every part."""
        return self._one_text_has(parts, self.heard)

    def _one_text_has(self, parts: tuple[str, ...], heard: list[str | bytes]) -> "Person":
        texts = [said for said in heard if isinstance(said, str)]
        assert any(all(part in text for part in parts) for text in texts), f"{parts} not in:\n" + "\n---\n".join(texts)
        return self

    def hears_nothing_new(self, since: int) -> "Person":
        assert len(self.heard) == since, self.heard[since:]
        return self

    def tells(self, fields: dict[str, str], branch: str) -> "Person":
        """An event of the platform with a branch of elements, written out; no two of them in one second."""
        return self._post({"CreateTime": str(1_700_000_000 + next(self.shop.numbers)), **fields}, branch)

    def _post(self, fields: dict[str, str], branch: str = "") -> "Person":
        self.acted_at = len(self.heard)
        config = self.shop.runtime.settings.wechat[ACCOUNT]
        assert config.encoding_aes_key is not None
        stamp = str(int(time.time()))
        tags = {"ToUserName": config.original_id, "FromUserName": self.openid, "CreateTime": stamp, **fields}
        if fields["MsgType"] == "event" and "CreateTime" not in fields:
            # Counted from a moment that stands still: two events of one second would be one to the service.
            tags["CreateTime"] = str(self.shop.began - 3_000 + next(self.shop.numbers))
        inner = "<xml>" + "".join(f"<{k}><![CDATA[{v}]]></{k}>" for k, v in tags.items()) + branch + "</xml>"
        crypto = WeChatCrypto(config.token.reveal(), config.encoding_aes_key.reveal(), config.app_id)
        outer = xmltodict.parse(crypto.encrypt_message(inner, nonce := secrets.token_hex(4), stamp))["xml"]
        answer = self.shop.client.post(f"/wechat/{ACCOUNT}", data=f"<xml><Encrypt>{outer['Encrypt']}</Encrypt></xml>",
                                       query_string={"timestamp": stamp, "nonce": nonce, "encrypt_type": "aes",
                                                     "msg_signature": outer["MsgSignature"], "openid": self.openid})
        assert answer.status_code == 200, answer.status_code
        if answer.data != b"success":
            sealed = xmltodict.parse(answer.data)["xml"]
            opened = crypto.decrypt_message(answer.data, sealed["MsgSignature"], sealed["TimeStamp"], sealed["Nonce"])
            said = xmltodict.parse(opened)["xml"]
            if said["MsgType"] == "transfer_customer_service":
                self.transfers += 1
            elif said["MsgType"] == "image":
                media_id = said["Image"]["MediaId"]  # of a platform elsewhere a phone knows no more than this
                self.heard.append(self.shop.gateway.uploads.get(media_id, media_id.encode()))
            else:
                self.heard.append(said.get("Content", ""))
        self.shop.follow_up()
        return self

