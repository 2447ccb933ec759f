"""B7: a hundred order events a request through ``POST /api/v1/events``, to 202, stored and committed.

The floor is a bare Flask view on the same kind of server that reads the same body and parses it with ``json``. Every
request of ours is verified, checked field by field and written as a hundred new rows on a database that flushes its
log. ``value`` is events a second, ``cpu_us`` what the server, and of ours the database, used for one, ``web_us`` the
server alone: a busy machine disturbs them less.
"""

import base64
import functools
import hashlib
import hmac
import itertools
import json
import os
import socket
import sys
import threading
import time
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # run as a file, from anywhere

from flask import Flask, request
from sqlalchemy import create_engine
from sqlalchemy.orm import sessionmaker

from bench import figures, servers
from bot.runtime import embedded
from bot.runtime.express import EventLane
from domain import migrations
from handlers.web import api

EVENTS = 100
STOCK = 400
CONNECTIONS = 4
SECONDS = 2.0
KEY = b"thirty-two bytes of bench secret"
SECRET = "whsec_" + base64.b64encode(KEY).decode()
OURS_PORT, FLOOR_PORT = 18_461, 18_462

@functools.cache
def _ours() -> Flask:
    engine = create_engine(os.environ["BENCH_DATABASE_URL"], pool_size=8)
    app = Flask("ours", static_folder=None)
    context = api.ApiContext(
        sessionmaker(engine, expire_on_commit=False), lambda: datetime.now(UTC), lambda bells: None,
        b"a pepper of at least sixteen bytes", {"mall": api.Source("mall", (SECRET,), "key")})
    door = api.EventDoor(context)
    app.register_blueprint(api.blueprint(context, door))
    app.add_url_rule("/", "ready", lambda: "ready")
    app.wsgi_app = EventLane(door, app.wsgi_app)  # type: ignore[method-assign]
    return app


@functools.cache
def _floor() -> Flask:
    app = Flask("floor", static_folder=None)

    @app.post("/api/v1/events/mall")
    def take() -> tuple[dict[str, int], int]:
        return {"accepted": len(json.loads(request.get_data())["events"]), "duplicate": 0}, 202

    app.add_url_rule("/", "ready", lambda: "ready")
    return app


def ours(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
    """The service's event door, as a WSGI target."""
    return _ours()(environ, start_response)


def floor(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
    """The bare view, as a WSGI target."""
    return _floor()(environ, start_response)


def requests(first: int) -> Iterator[bytes]:
    """Whole HTTP requests, every event new; ``first`` numbers the first of them."""
    for number in range(first, first + STOCK):
        body = json.dumps({"events": [_event(number * EVENTS + n) for n in range(EVENTS)]}).encode()
        stamp = str(int(time.time()))
        mac = hmac.digest(KEY, f"m{number}.{stamp}.".encode() + body, hashlib.sha256)
        head = (
            "POST /api/v1/events/mall HTTP/1.1", "Host: 127.0.0.1", "Content-Type: application/json",
            f"Content-Length: {len(body)}", f"webhook-id: m{number}", f"webhook-timestamp: {stamp}",
            f"webhook-signature: v1,{base64.b64encode(mac).decode()}", "", "")
        yield "\r\n".join(head).encode() + body


def _event(number: int) -> dict[str, Any]:
    at = "2026-11-22T10:00:00+08:00"
    line = {"line_id": "1", "sku": "RICE-5KG", "title": "有机大米 5kg", "category": "fmcg", "quantity": 2,
            "paid_fen": 9900}
    return {"id": f"evt_{number}", "type": "order.paid", "occurred_at": at, "data": {
        "order_id": f"A{number}", "channel": "mall", "currency": "CNY", "paid_at": at,
        "buyer": {"openid": f"o{number}", "app_id": "wx0123456789abcdef"}, "share_code": "k7Qm2xYp", "region": "530102",
        "lines": [line], "paid_fen": 9900, "shipping_fen": 0}}


def press(port: int, stock: list[bytes], *servers_used: int) -> figures.Round:
    """Send from a few keep-alive connections for ``SECONDS`` or until the stock is out; events a second, and what the
    processes (ids: the web server's first) and their descendants used."""
    cpu = [servers.cpu_seconds(pid) for pid in servers_used]
    queue, waits, wrong = iter(stock), list[float](), list[bytes]()
    lock, begun = threading.Lock(), time.perf_counter()

    def work() -> None:
        with socket.create_connection(("127.0.0.1", port), timeout=30) as line:
            line.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            while time.perf_counter() < begun + SECONDS and not wrong:
                with lock:
                    one = next(queue, None)
                if one is None:
                    return
                asked = time.perf_counter()
                line.sendall(one)
                answer = _answer(line)
                waits.append(time.perf_counter() - asked)
                if b" 202 " not in answer[:20] or f'"accepted":{EVENTS}'.encode() not in answer.replace(b" ", b""):
                    wrong.append(answer[:300])

    threads = [threading.Thread(target=work) for _ in range(CONNECTIONS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    used = time.perf_counter() - begun
    if wrong or not waits:
        raise RuntimeError(f"wrong answers: {wrong[:1]}")
    waits.sort()
    spent = [servers.cpu_seconds(pid) - before for pid, before in zip(servers_used, cpu, strict=True)]
    return {"value": len(waits) * EVENTS / used, "p99_ms": waits[len(waits) * 99 // 100] * 1e3,
            "cpu_us": sum(spent) / len(waits) / EVENTS * 1e6, "web_us": sum(spent[:1]) / len(waits) / EVENTS * 1e6}


def _answer(line: socket.socket) -> bytes:
    """One whole answer with a Content-Length. Raises RuntimeError when the server hangs up."""
    answer = b""
    while True:
        part = line.recv(65_536)
        if not part:
            raise RuntimeError("the server hung up")
        answer += part
        head, gap, body = answer.partition(b"\r\n\r\n")
        if gap:
            fields = dict(field.lower().split(b":", 1) for field in head.split(b"\r\n")[1:])
            length = int(fields[b"content-length"])
            if len(body) >= length:
                return answer


def run(rounds: int = 5) -> list[dict[str, Any]]:
    """The row B7."""
    with servers.home() as folder, servers.on_core(servers.LOAD_CORE):
        database = embedded.start_postgres(folder)
        try:
            migrations.upgrade(create_engine(database.url))
            return [_measure(folder, database, rounds)]
        finally:
            database.stop()


def _measure(folder: Path, database: embedded.Server, rounds: int) -> dict[str, Any]:
    env = {"BENCH_DATABASE_URL": database.url}
    targets = (("bench.event_door:ours", OURS_PORT), ("bench.event_door:floor", FLOOR_PORT))
    commands = [(servers.granian(target, port, sys.executable), port) for target, port in targets]
    with (servers.serving(*commands[0], env, folder, "/") as ours_web,
          servers.serving(*commands[1], env, folder, "/") as floor_web):
        batches = itertools.count(0, STOCK)
        press(OURS_PORT, list(requests(next(batches)))[:40])
        sides = {"ours": lambda: press(OURS_PORT, list(requests(next(batches))), ours_web.process.pid,
                                       database.process.pid),
                 "floor": lambda: press(FLOOR_PORT, list(requests(next(batches))) * 8, floor_web.process.pid)}
        return figures.row("B7 event door", "events/s", figures.taking_turns(sides, rounds), more_is_better=True)


if __name__ == "__main__":
    print(json.dumps(run(), indent=2))
