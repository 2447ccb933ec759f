"""Log lines: canaries planted in every way never come out; the id of a request does."""

import io
import json
import logging
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import structlog
from flask import Flask

from bot.runtime import logs
from bot.runtime.secret import Secret
from bot.runtime.settings import Settings, load

OPENID = "oVwx2Yz01AbCdEfGhIjKlMnOpQrS"
EXTERNAL = "wmAbCdEfGhIjKlMnOpQrStUvWxYz0123"
AES = "jWmYm7qr5nMoAUwZRjGtBxmz3KA1tkAj3ykkR6q2B2C"
CANARIES = ("13800138000", "11010519491231002X", OPENID, EXTERNAL, AES, "sesame", "QUJDREVGR0hJSktM")


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return load({"LOG_FORMAT": "json"}, tmp_path)


@pytest.fixture
def written(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Iterator[io.StringIO]:
    """Logging as a process has it; what it writes is in the value. Put back afterwards."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    monkeypatch.setattr(sys, "stderr", io.StringIO())
    logs.configure(settings)
    assert isinstance(sys.stderr, io.StringIO)
    yield sys.stderr
    structlog.reset_defaults()
    root.handlers[:], root.level = handlers, level


def lines(written: io.StringIO) -> list[dict[str, object]]:
    return [json.loads(line) for line in written.getvalue().splitlines()]


def test_canaries_never_come_out(written: io.StringIO) -> None:
    log = structlog.get_logger("test")
    log.info("by.key", phone=13800138000, openid=OPENID, app_secret="sesame", Authorization="Bearer sesame",
             nested={"access_token": "sesame", "list": [{"id_card": "11010519491231002X"}]}, secret=Secret("sesame"))
    log.info("by shape 13800138000", where=f"https://x/cgi?access_token=sesame&openid={OPENID}",
             note=f"called +8613800138000, {OPENID}, {EXTERNAL}; key {AES}; whsec_QUJDREVGR0hJSktM",
             database="postgresql+psycopg://shop:sesame@db/huitou", person=("11010519491231002X",), raw=b"sesame")
    log.warning("positional", **{OPENID: "as a key", "number": 13800138000})
    try:
        raise ValueError(f"no such person {OPENID} with 13800138000")
    except ValueError:
        log.exception("with.traceback")
    logging.getLogger("library").error("GET /token?secret=sesame for %s", OPENID)
    raw, found = written.getvalue(), lines(written)
    assert [canary for canary in CANARIES if canary in raw] == []
    assert len(found) == 5 and "ValueError" in str(found[3]["exception"])
    assert found[4]["logger"] == "library" and found[4]["level"] == "error"


def test_the_secrets_of_the_settings_are_known_by_heart(
    settings: Settings, written: io.StringIO,
) -> None:
    secrets = list(logs.secrets_of(settings))
    assert settings.wechat["demo"].token.reveal() in secrets and settings.secret_key.reveal() in secrets
    for secret in secrets:
        structlog.get_logger().info("oops", stuff=f"<{secret}>")
    raw = written.getvalue()
    assert [secret for secret in secrets if secret and secret in raw] == []


def test_ordinary_facts_stay_readable(written: io.StringIO) -> None:
    structlog.get_logger().info("order.booked", order_id="A1001", fen=9900, rate_bps=800, ok=True, none=None,
                                at="2026-11-22T10:00:00+08:00", digest="0b5f2a", amount=123_456_789_012)
    (found,) = lines(written)
    assert {key: found[key] for key in ("event", "order_id", "fen", "rate_bps", "ok", "none", "at", "amount")} == {
        "event": "order.booked", "order_id": "A1001", "fen": 9900, "rate_bps": 800, "ok": True, "none": None,
        "at": "2026-11-22T10:00:00+08:00", "amount": 123_456_789_012}
    assert found["level"] == "info" and str(found["timestamp"]).endswith("Z")


def test_a_person_can_be_followed_without_being_known() -> None:
    one, other = logs.Redactor(b"key one", []), logs.Redactor(b"key two", [])
    line = one(None, "info", {"event": "x", "openid": OPENID, "note": f"also {OPENID}"})
    assert line["note"] == f"also {line['openid']}" and len(line["openid"]) == 11
    assert other(None, "info", {"openid": OPENID})["openid"] != line["openid"]


def test_requests_get_an_id_and_only_trouble_is_logged(written: io.StringIO) -> None:
    app = Flask("test")
    logs.watch_requests(app)

    @app.get("/good/<name>")
    def good(name: str) -> str:
        structlog.get_logger().info("inside")
        return name

    @app.get("/bad/<name>")
    def bad(name: str) -> tuple[str, int]:
        return name, 500

    client = app.test_client()
    kept = client.get("/good/x", headers={"X-Request-ID": "abcdef-12345"}).headers["X-Request-ID"]
    made = client.get("/good/x", headers={"X-Request-ID": "<script>alert()</script>"}).headers["X-Request-ID"]
    client.get(f"/bad/{OPENID}")
    found = lines(written)
    assert (kept, len(made)) == ("abcdef-12345", 32)
    assert [line.get("request_id") for line in found[:2]] == [kept, made]
    assert (found[2]["event"], found[2]["route"], found[2]["status"]) == ("web.request", "/bad/<name>", 500)
