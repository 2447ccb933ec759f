"""What the doctor looks at about paying out: keys that the platform accepts, the address it calls, what has stopped."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import urlsplit

from cryptography import x509
from sqlalchemy import Engine
from sqlalchemy.orm import Session

from bot.kit.pay import PayOutcome, PayResult
from bot.runtime import pay_watch
from bot.runtime.accounts import PayAccount
from bot.runtime.findings import Away, Finding, State, always_there
from bot.runtime.settings import Settings
from domain.paychannel import service as channel
from domain.payouts import queries, reconcile

PROBE = "HTdoctor0000000000000000"
"""A bill that was never made. That the platform does not know it proves number, serial, key, clock and signature."""
SERIAL_LENGTH = 40
RENEW_SOON = timedelta(days=45)
"""A new certificate is asked for by hand, by somebody who has the administrator's phone."""
EXPIRES_SOON = timedelta(days=14)
LATE_DAYS = 2

_REMEDIES = {
    "SIGN_ERROR": "mch_id, serial_no and private_key_file must be of one set: 商户平台 → 账户中心 → API安全",
    "NO_AUTH": "apply for 商家转账 on 商户平台, scene 佣金报酬 (1005)",
    "NOT_ENOUGH": "top up 运营账户 of the merchant",
    "APPID_MCHID_NOT_MATCH": "bind the AppID to the merchant on 商户平台 (AppID账号管理)",
    "CERTIFICATES_401": "mch_id, serial_no and private_key_file must be of one set: 商户平台 → 账户中心 → API安全",
    "CERTIFICATES_UNREADABLE": "api_v3_key must be the APIv3密钥 that was set on 商户平台",
    "CERTIFICATES_404": "this merchant uses 微信支付公钥: set public_key_file and public_key_id",
    "UNVERIFIED": "public_key_file and public_key_id must be 微信支付公钥, not the merchant's own",
}

_PASSING = frozenset({"SYSTEM_ERROR", "FREQUENCY_LIMIT_EXCEED", "FREQUENCY_LIMITED", "RATELIMIT_EXCEEDED"})
"""What is over by itself, as HTTP 5xx is."""


def findings(settings: Settings, engine: Engine, gateway: Any, now: datetime,
             away: Away = always_there) -> Iterator[Finding]:
    """Every check for every merchant account. ``gateway(account)`` gives its ``WeChatPay``; calls the platform once."""
    for name, account in settings.pay.items():
        yield from _settings(name, account, settings)
        yield from _own_certificate(name, account)
        if not away(f"merchant keys (pay.{name})", account.api_base):
            yield _accepted(name, gateway(name).query(PROBE))
        yield from _certificates(name, gateway(name).keys.held())
        yield from _stopped(name, engine, now)


def _settings(name: str, account: PayAccount, settings: Settings) -> Iterator[Finding]:
    if len(account.serial_no) != SERIAL_LENGTH:
        yield Finding(f"pay.{name}.serial_no", "yellow", f"has {len(account.serial_no)} characters, not 40",
                      "use the serial number of apiclient_cert.pem")
    if account.app_id not in {one.app_id for one in settings.wechat.values()}:
        yield Finding(f"pay.{name}.app_id", "red", "is the AppID of no account here: nobody can be paid",
                      "use the app_id of a [wechat.…], and bind it on 商户平台 (AppID账号管理)")
    if not settings.demo and urlsplit(settings.public_url).scheme != "https":
        yield Finding(f"notifications (pay.{name})", "yellow",
                      "PUBLIC_URL is not https, so WeChat Pay does not notify us",
                      "set PUBLIC_URL to an https address; until then results are asked for, and come later")


def _own_certificate(name: str, account: PayAccount) -> Iterator[Finding]:
    """The merchant's own: it belongs to the serial, and it runs out after five years. Only where its file is named."""
    if not account.certificate:
        return
    own, label = x509.load_pem_x509_certificate(account.certificate.encode()), f"merchant certificate (pay.{name})"
    left = own.not_valid_after_utc - datetime.now(UTC)
    if f"{own.serial_number:X}" != account.serial_no.upper().lstrip("0"):
        yield Finding(label, "red", "has another serial number than serial_no",
                      "certificate_file and serial_no must be of the same certificate")
    elif left > RENEW_SOON:
        yield Finding(label, "green", f"runs out in {left.days} days")
    else:
        runs = left > timedelta(0)
        cause = (f"runs out in {left.days} days" if runs else
                 f"ran out {-left.days} days ago: WeChat Pay takes our signatures no more")
        yield Finding(label, "yellow" if runs else "red", cause,
                      "ask for a new one (商户平台 → 账户中心 → API安全); both files and serial_no change")


def _accepted(name: str, result: PayResult) -> Finding:
    label = f"merchant keys (pay.{name})"
    if result.outcome in (PayOutcome.NOT_FOUND, PayOutcome.ANSWERED):
        return Finding(label, "green", "WeChat Pay takes our signatures, and we take its")
    if result.code in _PASSING or result.code.startswith("HTTP_5"):
        return Finding(f"WeChat Pay (pay.{name})", "yellow", f"{result.code} {result.detail}".strip(),
                       "its own fault or load, no key of ours: calls are repeated by themselves; if it lasts for over "
                       "an hour, see the announcements on 商户平台")
    remedy = _REMEDIES.get(result.code, "check mch_id, keys, api_base, and the firewall for outgoing https")
    return Finding(label, "red", f"{result.outcome.value}: {result.code} {result.detail}".strip(), remedy)


def _certificates(name: str, held: Any) -> Iterator[Finding]:
    """Certificates are renewed by themselves; one that runs out soon says that fetching has failed for long."""
    ends = max((one.until for one in held if one.until is not None), default=None)
    if ends is None:
        return
    left = ends - datetime.now(UTC)
    state: State = "green" if left > EXPIRES_SOON else "yellow" if left > timedelta(0) else "red"
    cause = (f"runs out in {left.days} days" if left > timedelta(0) else
             f"ran out {-left.days} days ago: no answer can be believed any more")
    yield Finding(f"platform certificate (pay.{name})", state, cause,
                  "" if state == "green" else "change to 微信支付公钥 on 商户平台 (public_key_file and public_key_id)")


def _stopped(name: str, engine: Engine, now: datetime) -> Iterator[Finding]:
    with Session(engine) as session:
        switch, open_ones = queries.switch(session), channel.open_incidents(session, name)
        late, troubles = reconcile.due_days(session, name, now), list(pay_watch.findings(session, name, now))
    if open_ones:
        kinds = ", ".join(sorted({one.kind for one in open_ones}))
        yield Finding(f"paying (pay.{name})", "red", f"stopped: {len(open_ones)} differences from the bill ({kinds})",
                      "python -m bot pay status says which; then pay explain, and a second person agrees")
    elif switch.stopped_at is not None:
        yield Finding(f"paying (pay.{name})", "red", f"stopped by {switch.changed_by}: {switch.reason}",
                      "once it is explained: python -m bot payouts go --as NAME --reason WHY")
    else:
        yield Finding(f"paying (pay.{name})", "green", "the books and WeChat Pay agree")
    if len(late) >= LATE_DAYS:
        yield Finding(f"fund bill (pay.{name})", "yellow", f"not compared since {late[0]}",
                      "python -m bot pay reconcile; the merchant must be allowed to download 资金账单")
    yield from troubles
