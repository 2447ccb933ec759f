"""A mall that speaks to the API over real Flask, behind its event lane, and PostgreSQL. Signs with hmac alone."""

import base64
import hashlib
import hmac
import itertools
import json
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import Engine, text
from sqlalchemy.orm import sessionmaker
from werkzeug.test import TestResponse

from bot.runtime import demo_team
from bot.runtime.express import EventLane
from bot.runtime.routes import Application
from domain import workflows
from domain.commissions import plans
from domain.commissions import service as commissions
from domain.people import service as people
from domain.people.rules import IdentityRef
from domain.shared.clock import FixedClock
from handlers.web import api

ASSETS = Path(__file__).parents[2] / "assets"
PEPPER = b"a pepper of at least sixteen bytes"
SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
OLD_SECRET = "whsec_" + base64.b64encode(b"an older secret of 32 bytes long").decode()
API_KEY = "key-of-the-mall-0123456789abcdef"
EVENTS = "/api/v1/events/mall"


def mac(secret: str, name: str, at: str, body: bytes) -> str:
    key = base64.b64decode(secret.removeprefix("whsec_"))
    digest = hmac.new(key, f"{name}.{at}.".encode() + body, hashlib.sha256).digest()
    return "v1," + base64.b64encode(digest).decode()


def signed(body: bytes, secret: str = SECRET, name: str = "msg_1", at: float | None = None) -> dict[str, str]:
    stamp = str(int(time.time() if at is None else at))
    return {"webhook-id": name, "webhook-timestamp": stamp, "webhook-signature": mac(secret, name, stamp, body),
            "Content-Type": "application/json"}


@dataclass
class Mall:
    """``rings`` are the bells that were rung."""

    app: Flask
    client: FlaskClient
    engine: Engine
    clock: FixedClock
    rings: list[frozenset[str]]
    numbers: "itertools.count[int]" = field(default_factory=lambda: itertools.count(1))

    @classmethod
    def open(cls, engine: Engine, clock: FixedClock) -> "Mall":
        rings: list[frozenset[str]] = []
        sources = {"mall": api.Source("mall", (SECRET, OLD_SECRET), API_KEY),
                   "other": api.Source("other", (OLD_SECRET,), "another key")}
        app = Application("test", static_folder=None, template_folder=str(ASSETS / "templates"))
        context = api.ApiContext(sessionmaker(engine, expire_on_commit=False), clock.now, rings.append, PEPPER, sources)
        door = api.EventDoor(context)
        app.register_blueprint(api.blueprint(context, door))
        app.wsgi_app = EventLane(door, app.wsgi_app)  # type: ignore[method-assign]
        return cls(app, app.test_client(), engine, clock, rings)

    def publish_plan(self, name: str = "two-level") -> None:
        with sessionmaker(self.engine).begin() as session:
            demo_team.allow_levels(session, self.clock.now())
            commissions.ensure_plan(session, plans.load(ASSETS / "plans" / f"{name}.toml"), self.clock.now())

    def person(self, mall_user_id: str) -> int:
        with sessionmaker(self.engine).begin() as session:
            return people.resolve(session, [IdentityRef("mall_user_id", mall_user_id)], self.clock.now(), pepper=PEPPER)

    def event(self, kind: str = "order.closed", event_id: str = "", **data: Any) -> dict[str, Any]:
        return {"id": event_id or f"evt_{next(self.numbers)}", "type": kind,
                "occurred_at": self.clock.now().isoformat(), "data": data or {"order_id": "A1", "channel": "mall"}}

    def paid(self, order: str, by: str, fen: int = 9_900, **more: Any) -> dict[str, Any]:
        return self.event("order.paid", **{
            "order_id": order, "channel": "mall", "currency": "CNY", "paid_at": self.clock.now().isoformat(),
            "buyer": {"mall_user_id": by}, "paid_fen": fen, "lines": [
                {"line_id": "1", "sku": "RICE", "title": "有机大米", "category": "fmcg", "quantity": 1,
                 "paid_fen": fen}]} | more)

    def send(self, content: Any, path: str = EVENTS, **how: Any) -> TestResponse:
        body = content if isinstance(content, bytes) else json.dumps(content).encode()
        return self.client.post(path, data=body, headers=signed(body, **how))

    def tell(self, *events: dict[str, Any]) -> dict[str, Any]:
        """Send and let the workers run."""
        answer = self.send({"events": list(events)})
        assert answer.status_code == 202, answer.text
        sessions = sessionmaker(self.engine, expire_on_commit=False)
        while workflows.apply_events(sessions, self.clock.now(), PEPPER, 100):
            pass
        told: dict[str, Any] = answer.get_json()
        return told

    def get(self, path: str, key: str | None = API_KEY) -> TestResponse:
        headers = {} if key is None else {"Authorization": f"Bearer {key}"}
        return self.client.get(f"/api/v1{path}", headers=headers)

    def rows(self) -> int:
        with self.engine.connect() as db:
            return int(db.execute(text("select count(*) from commerce_event")).scalar_one())
