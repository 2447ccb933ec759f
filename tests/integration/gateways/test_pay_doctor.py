"""What the doctor says of a merchant account: accepted keys, wrong ones, an address nobody can call, a stop."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.rsa import generate_private_key
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID
from flask import Flask
from sqlalchemy import Engine, text
from sqlalchemy.orm import Session

from bot.runtime import health, pay_doctor
from bot.runtime.findings import Finding
from bot.runtime.gateways.pay_core import PlatformKey
from bot.runtime.gateways.wechat_pay import WeChatPay, merchant_of
from bot.runtime.settings import Settings, load
from domain.paychannel.service import Difference
from domain.payouts import reconcile
from tests.fakes import pay_keys
from tests.fakes.pay_peer import MCH_ID, PayPeer, Says

NOW = datetime(2026, 11, 20, 4, tzinfo=UTC)


@pytest.fixture
def peer() -> Iterator[PayPeer]:
    with PayPeer() as peer:
        yield peer


def settings(home: Path, peer: PayPeer, **changes: str) -> Settings:
    (home / "key.pem").write_text(pay_keys.merchant().pem)
    pay = {"mch_id": MCH_ID, "app_id": "wx0123456789abcdef", "serial_no": pay_keys.merchant().serial,
           "private_key_file": "key.pem", "api_v3_key": pay_keys.API_V3_KEY, "api_base": peer.base} | changes
    (home / "accounts.toml").write_text("\n".join([
        "[shop]", 'name = "x"', "[wechat.main]", 'app_id = "wx0123456789abcdef"', f'app_secret = "{"c0ffee12" * 4}"',
        'token = "sometoken"', f'encoding_aes_key = "{"A" * 21}{"b" * 20}99"', 'original_id = "gh_0123456789ab"',
        "[pay.main]", *(f'{name} = "{value}"' for name, value in pay.items())]))
    return load({"HUITOU_ACCOUNTS": "accounts.toml", "HUITOU_SECRET_KEY": "abcdefghij" * 4,
                 "PUBLIC_URL": "https://shop.example"}, home)


def examined(config: Settings, engine: Engine) -> dict[str, Finding]:
    gateway = WeChatPay(merchant_of(config.pay["main"], config.public_url, config.demo), engine, lambda: NOW)
    return {one.check: one for one in pay_doctor.findings(config, engine, lambda name: gateway, NOW)}


def test_a_healthy_merchant_is_all_green(tmp_path: Path, peer: PayPeer, engine: Engine) -> None:
    found = examined(settings(tmp_path, peer), engine)
    assert {name: one.state for name, one in found.items()} == {
        "merchant keys (pay.main)": "green", "platform certificate (pay.main)": "green", "paying (pay.main)": "green"}


@pytest.mark.parametrize(("changes", "remedy"), [
    ({"serial_no": "5157F09EFDC096DE15EBE81A47057A7299999999"}, "must be of one set"),
    ({"api_v3_key": "f" * 32}, "APIv3密钥"),
])
def test_keys_that_do_not_fit_are_named(
    changes: dict[str, str], remedy: str, tmp_path: Path, peer: PayPeer, engine: Engine
) -> None:
    found = examined(settings(tmp_path, peer, **changes), engine)["merchant keys (pay.main)"]
    assert found.state == "red" and remedy in found.remedy
    assert pay_keys.API_V3_KEY not in repr(found) and "f" * 32 not in repr(found)


@pytest.mark.parametrize("trouble", [
    Says(500, {"code": "SYSTEM_ERROR"}), Says(502, {}), Says(429, {"code": "FREQUENCY_LIMIT_EXCEED"})])
def test_what_passes_by_itself_sends_nobody_to_the_keys(
    trouble: Says, tmp_path: Path, peer: PayPeer, engine: Engine
) -> None:
    peer.will("query", *[trouble] * 4)
    found = examined(settings(tmp_path, peer), engine)
    assert "merchant keys (pay.main)" not in found
    finding = found["WeChat Pay (pay.main)"]
    assert finding.state == "yellow" and "by themselves" in finding.remedy


def test_odd_settings_an_unapproved_scene_and_a_stop(tmp_path: Path, peer: PayPeer, engine: Engine) -> None:
    peer.will("query", Says(403, {"code": "NO_AUTH"}))
    with Session(engine) as session, session.begin():
        reconcile.halt(session, "main", [Difference("paid_twice", "HT1", None, 1, 2)], NOW)
    found = examined(settings(tmp_path, peer, app_id="wxsomebodyelse000"), engine)
    assert found["pay.main.app_id"].state == "red" and "1005" in found["merchant keys (pay.main)"].remedy
    assert found["paying (pay.main)"].cause == "stopped: 1 differences from the bill (paid_twice)"
    with engine.begin() as db:
        db.execute(text("delete from pay_incident"))
        db.execute(text("update payout_switch set stopped_at = null, reason = ''"))


@pytest.mark.parametrize(("days", "state", "cause"), [(15, "green", "in 14 days"), (13, "yellow", "in 12 days"),
                                                      (-2, "red", "ran out")])
def test_a_certificate_that_runs_out_is_told_in_time(days: int, state: str, cause: str) -> None:
    held = [PlatformKey("X", pay_keys.platform().private.public_key(), datetime.now(UTC) + timedelta(days=days))]
    (found,) = pay_doctor._certificates("main", held)
    assert found.state == state and cause in found.cause


def test_without_an_https_address_nobody_is_notified(tmp_path: Path, peer: PayPeer, engine: Engine) -> None:
    found = examined(replace(settings(tmp_path, peer), public_url="http://127.0.0.1:1"), engine)
    missing = found["notifications (pay.main)"]
    assert "PUBLIC_URL" in missing.cause and "https" in missing.remedy


def given_certificate(home: Path, days: int) -> None:
    """The merchant's own certificate as a file, valid for so many days."""
    key, now = generate_private_key(65537, 2048), datetime.now(UTC)
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "merchant")])
    own = (x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
           .serial_number(int(pay_keys.merchant().serial, 16)).not_valid_before(now - timedelta(days=900))
           .not_valid_after(now + timedelta(days=days)).sign(key, SHA256()))
    (home / "cert.pem").write_bytes(own.public_bytes(Encoding.PEM))


@pytest.mark.parametrize(("days", "state", "cause"), [(400, "green", "runs out"), (20, "yellow", "in 19 days"),
                                                      (-3, "red", "ran out")])
def test_the_merchants_own_certificate_runs_out_and_fits_its_serial(
    days: int, state: str, cause: str, tmp_path: Path, peer: PayPeer
) -> None:
    given_certificate(tmp_path, days)
    account = settings(tmp_path, peer, certificate_file="cert.pem").pay["main"]
    (found,) = pay_doctor._own_certificate("main", account)
    assert found.state == state and cause in found.cause
    (found,) = pay_doctor._own_certificate("main", replace(account, serial_no="AB" * 20))
    assert found.state == "red" and "serial_no" in found.cause


def test_how_long_our_own_certificate_lasts_is_a_gauge(tmp_path: Path, peer: PayPeer, engine: Engine) -> None:
    given_certificate(tmp_path, 20)
    config, app = settings(tmp_path, peer, certificate_file="cert.pem"), Flask("metrics", static_folder=None)
    app.register_blueprint(health.blueprint(config, engine))
    page = app.test_client().get("/metrics").get_data(as_text=True)
    (line,) = [line for line in page.splitlines() if line.startswith("huitou_merchant_certificate_seconds{")]
    assert 'account="main"' in line and 19 * 86_400 < float(line.split()[1]) <= 20 * 86_400
