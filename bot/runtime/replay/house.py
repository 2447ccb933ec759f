"""The rehearsed shop: the real application behind its real doors, on a database of its own that is gone afterwards.

People's messages come as encrypted callbacks, orders as signed events, coupons are burnt through the API. Only the
platform (``phones``, ``bank``), the pictures and the clock are played.
"""

import json
import random
import secrets
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from itertools import count
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as Xml

from flask.testing import FlaskClient
from sqlalchemy import create_engine, text

from bot.kit.pay import PayGateways
from bot.runtime import bootstrap, embedded, journeys, settings
from bot.runtime.app import create_app
from bot.runtime.bell import SilentBell
from bot.runtime.chores import ChoreRunner
from bot.runtime.demo import seed_runtime
from bot.runtime.replay.bank import Bank
from bot.runtime.replay.phones import Phones
from bot.runtime.replay.sketches import sketches
from bot.simulator.crypto import CallbackCipher, signature, webhook_headers
from domain import migrations
from domain.journeys.document import Journey
from domain.shared.clock import FixedClock
from handlers.jobs import CHORES

ACCOUNT, SOURCE = settings.DEMO_ACCOUNT, settings.DEMO_SOURCE


class RehearsalFault(RuntimeError):
    """A door answered otherwise than a shop's door may."""


@dataclass
class House:
    """``phones``: everybody's. Times are those of ``clock``, except in signatures."""

    runtime: bootstrap.Runtime
    client: FlaskClient
    phones: Phones
    bank: Bank
    clock: FixedClock
    numbers: Iterator[int] = field(default_factory=lambda: count(1))
    told: list[tuple[datetime, dict[str, Any]]] = field(default_factory=list)
    """The shop system's events that the shop took, and when."""

    def __post_init__(self) -> None:
        config = self.runtime.settings.wechat[ACCOUNT]
        assert config.encoding_aes_key is not None
        self.subscriptions = dict(config.subscriptions)
        self.app_id, self._token, self._original = config.app_id, config.token.reveal(), config.original_id
        self._cipher = CallbackCipher(config.encoding_aes_key.reveal(), config.app_id)
        source = self.runtime.settings.api[SOURCE]
        self._secret = source.webhook_secrets[0].reveal()
        self._key = {"Authorization": f"Bearer {source.api_key.reveal()}"}

    def says(self, openid: str, words: str) -> None:
        self.phones.acts(openid, "said", words)
        self._call_back(openid, {"MsgType": "text", "Content": words, "MsgId": str(next(self.numbers))})

    def taps(self, openid: str, key: str) -> None:
        self.phones.acts(openid, "tapped", key)
        self._event(openid, "CLICK", key)

    def follows(self, openid: str, scene: str = "") -> None:
        """They follow, by scanning a poster when there is a ``scene``."""
        self.phones.acts(openid, "followed", scene)
        self._event(openid, "subscribe", f"qrscene_{scene}" if scene else "")

    def allows(self, openid: str, names: list[str]) -> None:
        """The sheet of the platform is answered with yes to these notices: one message each."""
        items = []
        for name in names:
            self.phones.allows(openid, self.subscriptions[name])
            items.append({"TemplateId": self.subscriptions[name], "SubscribeStatusString": "accept", "PopupScene": "1"})
        self._call_back(openid, {"MsgType": "event", "Event": "subscribe_msg_popup_event"},
                        {"SubscribeMsgPopupEvent": items})

    def bank_tells(self, luck: random.Random) -> None:
        """What became of bills reaches the shop's door; one of ten never does, some come twice."""
        while self.bank.told < len(self.bank.notices):
            number, self.bank.told = self.bank.told, self.bank.told + 1
            for _ in range(luck.choice((0, 1, 1, 1, 1, 1, 1, 1, 1, 2))):
                answer = self.client.post(f"/pay/{self.bank.account}/notify", data=str(number))
                if answer.status_code != 200:
                    raise RehearsalFault(f"notification: {answer.status_code} {answer.text[:500]}")

    def leaves(self, openid: str) -> None:
        self.phones.acts(openid, "left", "")
        self._event(openid, "unsubscribe", "")

    def tell(self, events: list[dict[str, Any]]) -> None:
        """Events of the shop system, in this order, at most a few hundred."""
        if not events:
            return
        raw = json.dumps({"events": events}).encode()
        headers = webhook_headers(self._secret, f"msg_{next(self.numbers)}", int(time.time()), raw)
        answer = self.client.post(f"/api/v1/events/{SOURCE}", data=raw, headers=headers)
        if answer.status_code != 202 or answer.get_json().get("rejected"):
            raise RehearsalFault(f"events: {answer.status_code} {answer.text[:500]}")
        self.told += [(self.clock.now(), event) for event in events]

    def get(self, path: str) -> Any:
        return self._api(self.client.get(f"/api/v1{path}", headers=self._key))

    def post(self, path: str, body: dict[str, Any]) -> Any:
        return self._api(self.client.post(f"/api/v1{path}", json=body, headers=self._key))

    def _api(self, answer: Any) -> Any:
        if answer.status_code >= 500:
            raise RehearsalFault(f"api: {answer.status_code} {answer.text[:500]}")
        return answer.get_json() if answer.status_code < 400 else None

    def _event(self, openid: str, event: str, key: str) -> None:
        self._call_back(openid, {"MsgType": "event", "Event": event, "EventKey": key})

    def _call_back(self, openid: str, fields: dict[str, str],
                   lists: dict[str, list[dict[str, str]]] | None = None) -> None:
        """One encrypted callback, answered within the call as the platform wants it."""
        stamp, nonce = str(int(time.time())), secrets.token_hex(8)
        sent_at = str(int(self.clock.now().timestamp()) + next(self.numbers) % 60)
        tags = {"ToUserName": self._original, "FromUserName": openid, "CreateTime": sent_at, **fields}
        inner = Xml.Element("xml")
        for name, value in tags.items():
            Xml.SubElement(inner, name).text = value
        for name, items in (lists or {}).items():
            branch = Xml.SubElement(inner, name)
            for item in items:
                leaf = Xml.SubElement(branch, "List")
                for part, value in item.items():
                    Xml.SubElement(leaf, part).text = value
        sealed = self._cipher.encrypt(Xml.tostring(inner, encoding="unicode"))
        answer = self.client.post(
            f"/wechat/{ACCOUNT}",
            data=f"<xml><ToUserName>{self._original}</ToUserName><Encrypt>{sealed}</Encrypt></xml>",
            query_string={"timestamp": stamp, "nonce": nonce, "encrypt_type": "aes", "openid": openid,
                          "signature": signature(self._token, stamp, nonce),
                          "msg_signature": signature(self._token, stamp, nonce, sealed)})
        if answer.status_code != 200:
            raise RehearsalFault(f"callback: {answer.status_code} {answer.text[:500]}")
        if answer.data != b"success":
            self._answered(openid, answer.text)

    def _answered(self, openid: str, body: str) -> None:
        sealed = Xml.fromstring(body).findtext("Encrypt", "")  # noqa: S314 - our own answer
        opened = Xml.fromstring(self._cipher.decrypt(sealed))  # noqa: S314
        self.phones.answered(openid, opened.findtext("Content", "") or f"[{opened.findtext('MsgType', '')}]")


_WATCH = """
    create table rehearsal_wait (effect_id bigint, reason text, at timestamptz, primary key (effect_id, reason));
    create function rehearsal_note() returns trigger language plpgsql as $$
    begin
        insert into rehearsal_wait values (new.id, split_part(new.reason, ':', 1), new.due_at) on conflict do nothing;
        return null;
    end $$;
    create trigger rehearsal_note after update on outbox for each row
        when (new.state = 'waiting' and new.reason <> '' and new.queue in ('notice', 'slow'))
        execute function rehearsal_note();
"""
"""What waited and why is forgotten when it leaves; here it is kept, on the database of the rehearsal alone."""


@contextmanager
def opened(start: datetime, luck: random.Random, wanted: list[Journey] | None = None, url: str = "") -> Iterator[House]:
    """A shop that opens at ``start`` with all shipped journeys (or ``wanted``) live. ``url``: an empty database at head
    to use instead of a server of its own."""
    with tempfile.TemporaryDirectory(prefix="huitou-replay-") as name:
        home = Path(name)
        home.chmod(0o755)
        server = None if url else embedded.start_postgres(home, settings=embedded.FAST_BUT_UNSAFE)
        try:
            if server is not None:
                engine = create_engine(server.url)
                migrations.upgrade(engine)
                engine.dispose()
            house = _open(home, url or (server.url if server else ""), start, luck, wanted)
            try:
                yield house
            finally:
                house.runtime.close()
        finally:
            if server is not None:
                server.stop()


def _open(home: Path, url: str, start: datetime, luck: random.Random, wanted: list[Journey] | None) -> House:
    config = settings.load({"HUITOU_HOME": str(home), "DATABASE_URL": url, "HUITOU_DEMO": "1"}, home)
    clock = FixedClock(start)
    account = config.wechat[ACCOUNT]
    phones = Phones(ACCOUNT, clock, luck, templates={code: name for name, code in account.templates.items()},
                    subscriptions={code: name for name, code in account.subscriptions.items()})
    bank = Bank(clock, random.Random(luck.random()), account.app_id)
    studio, certificates = sketches(bootstrap.ASSETS)
    runtime = bootstrap.build(config, clock=clock, bell=SilentBell(), gateways={ACCOUNT: phones}, studio=studio,
                              certificates=certificates, pay=PayGateways({bank.account: bank}))
    runtime = paced(runtime)
    seed_runtime(runtime)
    with runtime.sessions.begin() as session:
        journeys.install(session, journeys.shipped() if wanted is None else wanted, runtime.voice, start, live=True)
        session.execute(text(_WATCH))
    return House(runtime, create_app(runtime=runtime).test_client(), phones, bank, clock)


REST, LONG_REST = timedelta(hours=4), timedelta(hours=24)
TECHNICAL = frozenset({"audit.seal", "books.recent", "approvals.expire", "month.tell", "experiments.tend",
                       "journeys.settle"})
"""Chores that nobody's message waits for."""


def paced(runtime: bootstrap.Runtime) -> bootstrap.Runtime:
    """The same chores, resting at least for hours: what they would do in a hundred small pieces they do at once."""
    slower = CHORES.slower(lambda name: LONG_REST if name in TECHNICAL else REST)
    return replace(runtime, chores=ChoreRunner(slower, runtime.context, runtime.engine))
