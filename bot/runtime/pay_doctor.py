"""What the doctor looks at about paying out: keys that the platform accepts, the address it calls, what has stopped."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import urlsplit

from sqlalchemy import Engine
from sqlalchemy.orm import Session

from bot.kit.pay import PayOutcome, PayResult
from bot.runtime.accounts import PayAccount
from bot.runtime.findings import Finding, State
from bot.runtime.settings import Settings
from domain.paychannel import service as channel
from domain.payouts import queries, reconcile

PROBE = "HTdoctor0000000000000000"
"""A bill that was never made. That the platform does not know it proves number, serial, key, clock and signature."""
SERIAL_LENGTH = 40
EXPIRES_SOON = timedelta(days=14)
LATE_DAYS = 2

_REMEDIES = {
    "SIGN_ERROR": "mch_id, serial_no and private_key_file must belong together: 商户平台 → 账户中心 → API安全",
    "NO_AUTH": "apply for 商家转账 with the scene 佣金报酬 (1005) in the merchant platform",
    "CERTIFICATES_401": "mch_id, serial_no and private_key_file must belong together: 商户平台 → 账户中心 → API安全",
    "CERTIFICATES_UNREADABLE": "set the same api_v3_key here and in the merchant platform",
    "CERTIFICATES_404": "this merchant has a public key: set public_key_file and public_key_id",
    "UNVERIFIED": "public_key_file and public_key_id must be the platform's (微信支付公钥), not your own",
}


def findings(settings: Settings, engine: Engine, gateway: Any, now: datetime) -> Iterator[Finding]:
    """Every check for every merchant account. ``gateway(account)`` gives its ``WeChatPay``; calls the platform once."""
    for name, account in settings.pay.items():
        yield from _settings(name, account, settings)
        yield _accepted(name, gateway(name).query(PROBE))
        yield from _certificates(name, gateway(name).keys.held())
        yield from _stopped(name, engine, now)


def _settings(name: str, account: PayAccount, settings: Settings) -> Iterator[Finding]:
    if len(account.serial_no) != SERIAL_LENGTH:
        yield Finding(f"pay.{name}.serial_no", "yellow", f"has {len(account.serial_no)} characters, not 40",
                      "copy the serial number of the merchant API certificate (apiclient_cert.pem)")
    if account.app_id not in {one.app_id for one in settings.wechat.values()}:
        yield Finding(f"pay.{name}.app_id", "red", "is not that of an Official Account here: nobody can be paid",
                      "use the app_id of [wechat.…], and bind it to the merchant (AppID账号管理)")
    if not settings.demo and urlsplit(settings.public_url).scheme != "https":
        yield Finding(f"notifications (pay.{name})", "yellow", "are not asked for: PUBLIC_URL is not https",
                      "set PUBLIC_URL to the https address; until then results come by asking, a little later")


def _accepted(name: str, result: PayResult) -> Finding:
    label = f"merchant keys (pay.{name})"
    if result.outcome in (PayOutcome.NOT_FOUND, PayOutcome.ANSWERED):
        return Finding(label, "green", "the platform accepts our signature, and we its")
    remedy = _REMEDIES.get(result.code, "check mch_id, keys, api_base and the firewall for outgoing https")
    return Finding(label, "red", f"{result.outcome.value}: {result.code} {result.detail}".strip(), remedy)


def _certificates(name: str, held: Any) -> Iterator[Finding]:
    """Certificates are renewed by themselves; one that runs out soon says that fetching has failed for long."""
    ends = max((one.until for one in held if one.until is not None), default=None)
    if ends is None:
        return
    left = ends - datetime.now(UTC)
    state: State = "green" if left > EXPIRES_SOON else "yellow"
    yield Finding(f"platform certificate (pay.{name})", state, f"valid for {left.days} more days",
                  "" if state == "green" else "see the merchant platform: switch to the public key (微信支付公钥)")


def _stopped(name: str, engine: Engine, now: datetime) -> Iterator[Finding]:
    with Session(engine) as session:
        switch, open_ones = queries.switch(session), channel.open_incidents(session, name)
        late = reconcile.due_days(session, name, now)
    if open_ones:
        kinds = ", ".join(sorted({one.kind for one in open_ones}))
        yield Finding(f"paying (pay.{name})", "red", f"stopped: {len(open_ones)} differences ({kinds})",
                      "python -m bot pay status, then pay explain")
    elif switch.stopped_at is not None:
        yield Finding(f"paying (pay.{name})", "red", f"stopped: {switch.reason}", "python -m bot payouts --help")
    else:
        yield Finding(f"paying (pay.{name})", "green", "books and channel agree")
    if len(late) >= LATE_DAYS:
        yield Finding(f"fund bill (pay.{name})", "yellow", f"not compared since {late[0]}",
                      "python -m bot pay reconcile; allow 下载资金账单 for this merchant")
