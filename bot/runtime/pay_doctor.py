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
    "SIGN_ERROR": "mch_id、serial_no 与 private_key_file 必须是同一套：商户平台 → 账户中心 → API安全",
    "NO_AUTH": "在商户平台开通商家转账，场景选佣金报酬（1005）",
    "NOT_ENOUGH": "给商户号的运营账户充值",
    "APPID_MCHID_NOT_MATCH": "在商户平台把公众号 AppID 绑定到商户号（AppID账号管理）",
    "CERTIFICATES_401": "mch_id、serial_no 与 private_key_file 必须是同一套：商户平台 → 账户中心 → API安全",
    "CERTIFICATES_UNREADABLE": "api_v3_key 必须与商户平台上设置的 APIv3 密钥一致",
    "CERTIFICATES_404": "这个商户号使用微信支付公钥：请设置 public_key_file 与 public_key_id",
    "UNVERIFIED": "public_key_file 与 public_key_id 必须是微信支付公钥，不是商户自己的",
}


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
        yield Finding(f"pay.{name}.serial_no", "yellow", f"有 {len(account.serial_no)} 位，应为 40 位",
                      "填商户 API 证书（apiclient_cert.pem）的序列号")
    if account.app_id not in {one.app_id for one in settings.wechat.values()}:
        yield Finding(f"pay.{name}.app_id", "red", "不是这里任何公众号的 AppID：谁也收不到钱",
                      "填 [wechat.…] 的 app_id，并在商户平台绑定（AppID账号管理）")
    if not settings.demo and urlsplit(settings.public_url).scheme != "https":
        yield Finding(f"notifications (pay.{name})", "yellow",
                      "没有通知地址：PUBLIC_URL 不是 https，微信支付不会通知我们",
                      "把 PUBLIC_URL 设为 https 地址；在此之前只靠查询，结果会晚一些")


def _own_certificate(name: str, account: PayAccount) -> Iterator[Finding]:
    """The merchant's own: it belongs to the serial, and it runs out after five years. Only where its file is named."""
    if not account.certificate:
        return
    own, label = x509.load_pem_x509_certificate(account.certificate.encode()), f"merchant certificate (pay.{name})"
    left = own.not_valid_after_utc - datetime.now(UTC)
    if f"{own.serial_number:X}" != account.serial_no.upper().lstrip("0"):
        yield Finding(label, "red", "序列号与 serial_no 不一致", "certificate_file 与 serial_no 必须是同一张证书")
    elif left > RENEW_SOON:
        yield Finding(label, "green", f"还有 {left.days} 天到期")
    else:
        runs = left > timedelta(0)
        cause = f"还有 {left.days} 天到期" if runs else f"已过期 {-left.days} 天：微信支付不再认我们的签名"
        yield Finding(label, "yellow" if runs else "red", cause,
                      "商户平台 → 账户中心 → API安全：申请新证书，换 private_key_file、certificate_file、serial_no")


def _accepted(name: str, result: PayResult) -> Finding:
    label = f"merchant keys (pay.{name})"
    if result.outcome in (PayOutcome.NOT_FOUND, PayOutcome.ANSWERED):
        return Finding(label, "green", "微信支付认我们的签名，我们也认它的")
    remedy = _REMEDIES.get(result.code, "检查 mch_id、密钥、api_base，以及防火墙是否允许外发 https")
    return Finding(label, "red", f"{result.outcome.value}: {result.code} {result.detail}".strip(), remedy)


def _certificates(name: str, held: Any) -> Iterator[Finding]:
    """Certificates are renewed by themselves; one that runs out soon says that fetching has failed for long."""
    ends = max((one.until for one in held if one.until is not None), default=None)
    if ends is None:
        return
    left = ends - datetime.now(UTC)
    state: State = "green" if left > EXPIRES_SOON else "yellow" if left > timedelta(0) else "red"
    cause = f"还有 {left.days} 天到期" if left > timedelta(0) else f"已过期 {-left.days} 天：对方的回答都不再可信"
    yield Finding(f"platform certificate (pay.{name})", state, cause,
                  "" if state == "green" else "到商户平台换用微信支付公钥（public_key_file 与 public_key_id）")


def _stopped(name: str, engine: Engine, now: datetime) -> Iterator[Finding]:
    with Session(engine) as session:
        switch, open_ones = queries.switch(session), channel.open_incidents(session, name)
        late, troubles = reconcile.due_days(session, name, now), list(pay_watch.findings(session, name, now))
    if open_ones:
        kinds = ", ".join(sorted({one.kind for one in open_ones}))
        yield Finding(f"paying (pay.{name})", "red", f"已停止打款：{len(open_ones)} 处与账单不符（{kinds}）",
                      "python -m bot pay status 看是哪一笔，查明后 pay explain，由第二个人同意")
    elif switch.stopped_at is not None:
        yield Finding(f"paying (pay.{name})", "red", f"{switch.changed_by} 已停止打款：{switch.reason}",
                      "查明原因后 python -m bot payouts go --as 姓名 --reason 原因")
    else:
        yield Finding(f"paying (pay.{name})", "green", "账本与微信支付一致")
    if len(late) >= LATE_DAYS:
        yield Finding(f"fund bill (pay.{name})", "yellow", f"从 {late[0]} 起没有核对资金账单",
                      "python -m bot pay reconcile；并为商户号开通下载资金账单")
    yield from troubles
