"""WeChat Pay as our peer plays it for whole services: keeps every bill, holds calls at gates, notifies until heard."""

import http.client
import secrets
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Literal

from tests.e2e.wire import Keys
from tests.fakes.pay_keys import API_V3_KEY, merchant, platform
from tests.fakes.pay_peer import MCH_ID, Answer, Cut, Heard, PayPeer, Says, notification, signature_headers

PUBLIC_KEY_ID = "PUB_KEY_ID_0000000000000024101100397200000006"
Match = Callable[[Heard], bool]
CANCELLABLE = ("ACCEPTED", "PROCESSING", "WAIT_USER_CONFIRM")


@dataclass
class PayGate:
    """Stops the first call that matches: before the peer acts upon it, or after, but always before its answer."""

    match: Match
    acted: bool
    reached: threading.Event = field(default_factory=threading.Event)
    opened: threading.Event = field(default_factory=threading.Event)
    answers: bool = False

    def wait(self, seconds: float = 30) -> "PayGate":
        assert self.reached.wait(seconds), "no such call came"
        return self

    def hang_up(self) -> None:
        """Let go without an answer."""
        self.opened.set()

    def answer(self) -> None:
        """Let go with the answer that the caller waited for."""
        self.answers = True
        self.opened.set()


@dataclass
class Taken:
    """A bill as the peer keeps it: the body it was taken with, its state, and how often it was sent."""

    body: dict[str, Any]
    number: str
    state: str = "WAIT_USER_CONFIRM"
    sent: int = 1
    at: datetime = field(default_factory=lambda: datetime.now(UTC))


class PayPlatform(PayPeer):
    """The oracle of what was really paid: ``bills`` by number. A number that comes with another body is a complaint."""

    def __init__(self, app_id: str) -> None:
        super().__init__()
        self.app_id = app_id
        self.bills: dict[str, Taken] = {}
        self._gates: list[PayGate] = []
        self._keeping = threading.RLock()

    def __enter__(self) -> "PayPlatform":
        super().__enter__()
        return self

    def accounts(self, keys: Keys) -> str:
        """The part of the accounts file that names this merchant."""
        return (f"[pay.main]\nmch_id = \"{MCH_ID}\"\napp_id = \"{keys.app_id}\"\nserial_no = \"{merchant().serial}\"\n"
                f"private_key = '''{merchant().pem}'''\napi_v3_key = \"{API_V3_KEY}\"\n"
                f"public_key = '''{platform().public_pem}'''\npublic_key_id = \"{PUBLIC_KEY_ID}\"\n"
                f"api_base = \"{self.base}\"\n")

    # What the service calls

    def default(self, heard: Heard) -> Answer:
        gate = next((gate for gate in self._gates if gate.match(heard)), None)
        if gate is None:
            return self._act(heard)
        self._gates.remove(gate)
        answer = self._act(heard) if gate.acted else None
        gate.reached.set()
        gate.opened.wait(60)
        if not gate.answers:
            return Cut()
        return answer or self._act(heard)

    def _act(self, heard: Heard) -> Answer:
        with self._keeping:
            if heard.kind == "transfer":
                return self._transfer(heard.body)
            if heard.kind in ("query", "cancel"):
                number = heard.path.split("out-bill-no/")[1].split("/")[0]
                kept = self.bills.get(number)
                if kept is None:
                    return Says(404, {"code": "NOT_FOUND", "message": "记录不存在"})
                return self._cancel(kept) if heard.kind == "cancel" else self._query(kept)
        return super().default(heard)

    def _transfer(self, body: dict[str, Any]) -> Answer:
        kept = self.bills.get(body["out_bill_no"])
        if kept is None:
            kept = self.bills[body["out_bill_no"]] = Taken(body, f"13300{secrets.randbelow(10**20):020d}")
        elif kept.body == body:
            kept.sent += 1
        else:
            self.complaints.append(f"{body['out_bill_no']} came with another body")
            return Says(400, {"code": "ALREADY_EXISTS", "message": "商户单号已存在"})
        return Says(body={name: value for name, value in self._shown(kept).items()
                          if name in ("out_bill_no", "transfer_bill_no", "create_time", "state", "package_info")})

    def _query(self, kept: Taken) -> Answer:
        if kept.state == "CANCELING":
            kept.state, kept.at = "CANCELLED", datetime.now(UTC)
        return Says(body=self._shown(kept))

    def _cancel(self, kept: Taken) -> Answer:
        if kept.state not in (*CANCELLABLE, "CANCELING"):
            return Says(400, {"code": "INVALID_REQUEST", "message": "单据状态不允许撤销"})
        kept.state = "CANCELING"
        return Says(body={name: self._shown(kept)[name] for name in ("out_bill_no", "transfer_bill_no", "state",
                                                                    "update_time")})

    def _shown(self, kept: Taken) -> dict[str, Any]:
        shown = {"mch_id": MCH_ID, "appid": self.app_id, "out_bill_no": kept.body["out_bill_no"],
                 "transfer_bill_no": kept.number, "openid": kept.body["openid"], "state": kept.state,
                 "transfer_amount": kept.body["transfer_amount"], "create_time": kept.at.isoformat(),
                 "update_time": kept.at.isoformat()}
        return shown | ({"package_info": f"package of {kept.number}"} if kept.state == "WAIT_USER_CONFIRM" else {})

    # What the world does

    @contextmanager
    def gated(self, kind: str, openid: str, when: Literal["received", "acted"]) -> Iterator[PayGate]:
        """Stop the next call of ``kind`` about a bill of this person."""
        gate = PayGate(lambda heard: heard.kind == kind and self._whose(heard) == openid, when == "acted")
        self._gates.append(gate)
        try:
            yield gate
        finally:
            if gate in self._gates:
                self._gates.remove(gate)
            gate.hang_up()

    def _whose(self, heard: Heard) -> str:
        if heard.kind == "transfer":
            return str(heard.body["openid"])
        number = heard.path.partition("out-bill-no/")[2].split("/")[0]
        return str(self.bills[number].body["openid"]) if number in self.bills else ""

    def of_person(self, openid: str) -> dict[str, Taken]:
        with self._keeping:
            return {number: kept for number, kept in self.bills.items() if kept.body["openid"] == openid}

    def paid_to(self, openid: str) -> int:
        """Fen that this person really has."""
        return sum(kept.body["transfer_amount"] for kept in self.of_person(openid).values() if kept.state == "SUCCESS")

    def confirms(self, openid: str) -> list[str]:
        """The person takes all that waits for them; returns the numbers. Nobody is notified yet."""
        with self._keeping:
            waiting = [number for number, kept in self.of_person(openid).items() if kept.state == "WAIT_USER_CONFIRM"]
            for number in waiting:
                self.bills[number].state, self.bills[number].at = "SUCCESS", datetime.now(UTC)
            return waiting

    def notice(self, number: str, notice_id: str = "") -> bytes:
        """The body of a notification about a bill; with one ``notice_id`` it is the same notification again."""
        shown = {name: value for name, value in self._shown(self.bills[number]).items() if name != "appid"}
        return notification(shown, notice_id=notice_id or f"notice-of-{number}")

    def notifies(self, port: int, number: str, tries: int = 60) -> int:
        """Post the notification until it is taken, every second at first as the platform does; how often it took."""
        raw = self.notice(number)
        for count in range(1, tries + 1):
            if posted(port, raw) == 200:
                return count
            time.sleep(0.5)
        raise AssertionError(f"nobody took the notification about {number}")


def posted(port: int, raw: bytes, seconds: float = 5.0) -> int:
    """One try; 0 when nobody answered in the five seconds that WeChat Pay waits."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=seconds)
    try:
        connection.request("POST", "/pay/main/notify", raw, {
            **signature_headers(raw, serial=PUBLIC_KEY_ID), "Content-Type": "application/json"})
        return connection.getresponse().status
    except (OSError, http.client.HTTPException):
        return 0
    finally:
        connection.close()
