"""The shop's own system: reports what happens to orders, reads results. Speaks HTTP and JSON only."""

import http.client
import itertools
import json
import secrets
import time
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from tests.e2e import wire
from tests.e2e.peer import Phone
from tests.e2e.wire import Keys

Event = dict[str, Any]


def moment(ago: timedelta = timedelta(0)) -> str:
    return (datetime.now(UTC) - ago).isoformat()


@dataclass
class Mall:
    """``accepted`` has the id of every event that was answered with 202; ``net`` what each order is still worth."""

    keys: Keys
    port: int
    accepted: set[str] = field(default_factory=set)
    _numbers: "itertools.count[int]" = field(default_factory=lambda: itertools.count(1))
    _run: str = field(default_factory=lambda: secrets.token_hex(3))

    def event(self, kind: str, data: dict[str, Any], event_id: str = "") -> Event:
        return {"id": event_id or f"evt_{self._run}_{next(self._numbers)}", "type": kind, "occurred_at": moment(),
                "data": data}

    def post(self, *events: Event) -> tuple[int, dict[str, Any]]:
        """One signed request, one try: (status, answer); status 0 when there was no answer."""
        body = json.dumps({"events": list(events)}).encode()
        status, answer = self.request("POST", f"/events/{self.keys.source}", body,
                                      wire.webhook_headers(self.keys.webhook_secret, body))
        if status == 202:
            self.accepted |= {event["id"] for event in events}
        return status, answer

    def tells(self, *events: Event, seconds: float = 60.0) -> dict[str, Any]:
        """Report until it is taken, as every sender of webhooks does."""
        deadline = time.monotonic() + seconds
        while True:
            status, answer = self.post(*events)
            if status == 202:
                return answer
            assert (status == 0 or status >= 500) and time.monotonic() < deadline, (status, answer)
            time.sleep(0.2)

    def request(self, method: str, path: str, body: bytes = b"", headers: dict[str, str] | None = None,
                seconds: float = 20.0) -> tuple[int, dict[str, Any]]:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=seconds)
        try:
            # A server may refuse a body that it has not read to its end: then the answer is there all the same.
            with suppress(BrokenPipeError, ConnectionResetError):
                connection.request(method, f"/api/v1{path}", body, headers or {})
            response = connection.getresponse()
            raw = response.read()
            return response.status, json.loads(raw) if raw.startswith(b"{") else {}
        except (OSError, http.client.HTTPException):
            return 0, {}
        finally:
            connection.close()

    def reads(self, path: str) -> dict[str, Any]:
        status, answer = self.request("GET", path, headers={"Authorization": f"Bearer {self.keys.api_key}"})
        assert status == 200, (path, status, answer)
        return answer

    def person(self, phone: Phone) -> dict[str, Any]:
        return self.reads(f"/people?openid={phone.openid}&app_id={self.keys.app_id}")

    def wallet(self, phone: Phone) -> dict[str, Any]:
        return self.reads(f"/people/{self.person(phone)['id']}/wallet")

    def names(self, phone: Phone) -> Event:
        return self.event("customer.upserted", {"identities": phone.identity, "nickname": phone.name})

    def product(self, sku: str, title: str, category: str, price_fen: int) -> Event:
        return self.event("product.upserted",
                          {"sku": sku, "title": title, "category": category, "price_fen": price_fen})

    def paid(self, order: str, buyer: Phone, fen: int, share_code: str = "") -> Event:
        return self.event("order.paid", {
            "order_id": order, "channel": "mall", "currency": "CNY", "paid_at": moment(), "buyer": buyer.identity,
            "share_code": share_code, "paid_fen": fen, "shipping_fen": 0,
            "lines": [{"line_id": "1", "sku": "RICE-5KG", "title": "有机大米 5kg", "category": "fmcg", "quantity": 3,
                       "paid_fen": fen}]})

    def refunded(self, order: str, fen: int) -> Event:
        return self.event("order.refunded", {
            "order_id": order, "channel": "mall", "refund_id": f"R{next(self._numbers)}", "refunded_at": moment(),
            "lines": [{"line_id": "1", "refund_fen": fen, "quantity": 1}]})

    def shipped(self, order: str) -> Event:
        return self.event("order.shipped", {"order_id": order, "channel": "mall", "shipped_at": moment(),
                                            "carrier": "", "tracking_no": f"SF{order}"})

    def received(self, order: str, ago: timedelta = timedelta(0)) -> Event:
        return self.event("order.received", {"order_id": order, "channel": "mall", "received_at": moment(ago)})
