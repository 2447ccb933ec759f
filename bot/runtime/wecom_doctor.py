"""What the doctor looks at of WeCom: keys, callback, token and address, the right to customers, what has stopped."""

import time
from collections.abc import Iterator, Mapping
from typing import Any

import requests
from sqlalchemy import Engine, text

from bot.kit.gateway import GatewayError
from bot.runtime.accounts import WeComAccount
from bot.runtime.findings import LOOK_UP, TIMEOUT, UNANSWERED, Away, Finding, always_there, counted
from bot.runtime.service_doctor import signed_by_wecom
from bot.runtime.settings import Settings

VERIFIED_WITHIN = 1.0
"""Seconds that the platform gives the answer to its verification."""

REMEDIES: Mapping[int, str] = {
    -1: "the platform is busy: calls are repeated by themselves, nothing is to mend; if it lasts for over an hour, "
        "see the platform's announcements",
    **dict.fromkeys((40014, 42001), "check that no other system fetches tokens with this secret, and the clock"),
    45009: "too many calls in a minute, an hour or a day: they are repeated by themselves; if it repeats, see who else "
           "calls with this application",
    45033: "too many calls at a time: they are repeated by themselves; if this repeats, run fewer workers",
    41050: "the code that customers are welcomed with came too late or was used already: see how long callbacks take "
           "(huitou_ack_seconds)",
    41051: "the customer has begun to talk already: a welcome is not needed any more, nothing is to mend",
    41096: "another application is welcoming this customer: only one of a corp should send welcomes",
    84061: "customer and employee are no friends any more: nothing is to mend",
    40001: "compare secret: 管理后台 → 应用管理 → the application → Secret",
    40013: "compare corp_id: 管理后台 → 我的企业 → 企业ID",
    40056: "compare agent_id: 管理后台 → 应用管理 → the application → AgentId",
    48002: "管理后台 → 客户联系 → 客户 → API → 可调用接口的应用: tick it; employees must be in 可见范围",
    60011: "add the employee to the application (应用管理 → 可见范围) and let them have customers (客户联系)",
    60020: "add this address to 企业可信IP of the application; it takes a minute",
    81013: "the employee is not in 可见范围 of the application",
    701008: "the licence (互通账号) is missing: ask the sales of WeCom",
    41054: "the employee has not activated WeCom or not given their real name",
    40003: "there is no such userid, or it is not in 可见范围 of the application",
}
"""Error code of WeCom -> what a person can mend, or that nothing is to mend."""

PASSING = frozenset({-1, 45009, 45033})
"""What is over within minutes by itself: WeCom counts calls by the minute too."""


def remedy(errcode: int) -> str:
    """What to do about an error code, '' when only the platform's documentation knows."""
    return REMEDIES.get(errcode, "")


def findings(settings: Settings, engine: Engine, gateway: Any, away: Away = always_there) -> Iterator[Finding]:
    """Every check for every application. ``gateway(account)`` gives its ``WeComGateway``."""
    for name, account in settings.wecom.items():
        yield from _keys(name, account)
        if not away(f"callback (wecom.{name})", settings.public_url):
            yield _callback(name, account, f"{settings.public_url}/wecom/{name}")
        if not away(f"token and rights (wecom.{name})", account.api_base):
            yield from _rights(name, gateway(name))
    if settings.wecom:
        yield from _stopped(engine)


def _keys(name: str, account: WeComAccount) -> Iterator[Finding]:
    """Lengths as the platform hands them out."""
    wanted = (("corp_id", len(account.corp_id), 18), ("secret", len(account.secret.reveal()), 43))
    odd = [f"{key} has {length} characters, not {right}" for key, length, right in wanted if length != right]
    key = account.encoding_aes_key.reveal()
    odd += [] if key.isalnum() else ["encoding_aes_key is letters and digits only"]
    token = account.token.reveal()
    odd += [] if token.isalnum() and len(token) <= 32 else ["token is 1 to 32 letters and digits"]
    if odd:
        yield Finding(f"keys (wecom.{name})", "yellow", "; ".join(odd), "copy it again, without spaces or quotes")
    else:
        yield Finding(f"keys (wecom.{name})", "green", "lengths are right")


def _callback(name: str, account: WeComAccount, url: str) -> Finding:
    """The platform's own verification, from here to PUBLIC_URL and back."""
    label = f"callback (wecom.{name})"
    query, echo = signed_by_wecom(account)
    began = time.monotonic()
    try:
        answer = requests.get(url, query, timeout=TIMEOUT, allow_redirects=False)
    except requests.RequestException as error:
        return Finding(label, "red", f"{url} does not answer ({type(error).__name__})",
                       "start the service; check PUBLIC_URL, DNS, proxy and firewall")
    seconds = time.monotonic() - began
    if answer.status_code == 403:
        return Finding(label, "red", "the instance that answers has another token or key",
                       "PUBLIC_URL leads to another instance, or it was not restarted after a change")
    if answer.status_code != 200 or answer.text != echo:
        return Finding(label, "red", f"status {answer.status_code} instead of the echo",
                       "the proxy must pass path and query unchanged, without redirect or login")
    if seconds > VERIFIED_WITHIN:
        return Finding(label, "yellow", f"answers after {seconds:.1f} s; the platform waits 1 s when it is saved",
                       "save the address again at a quiet moment, or run the service nearer")
    return Finding(label, "green", f"{url} answers as the platform expects")


def _rights(name: str, app: Any) -> Iterator[Finding]:
    """A token proves corp id, secret and address; the list of employees proves the right to customers."""
    try:
        app.ping_token()
    except GatewayError as error:
        yield _trouble(f"token (wecom.{name})", error, f"check corp_id and secret; {LOOK_UP}")
        return
    yield Finding(f"token (wecom.{name})", "green", "the platform gives one")
    try:
        staff = app.staff()
    except GatewayError as error:
        yield _trouble(f"customer contact (wecom.{name})", error, LOOK_UP)
        return
    yield (Finding(f"customer contact (wecom.{name})", "green",
                   counted(len(staff), "employee", "employees") + " may have customers") if staff
           else Finding(f"customer contact (wecom.{name})", "yellow", "no employee may have customers",
                        "add employees in 管理后台 → 客户联系 → 权限配置 → 使用范围, and to its 可见范围"))


def _trouble(label: str, error: GatewayError, otherwise: str) -> Finding:
    code = error.result.errcode
    return Finding(label, "yellow" if code in PASSING else "red",
                   f"{code or error.result.outcome}: {error.result.detail}".strip(": "),
                   (remedy(code) or otherwise) if code else UNANSWERED)


def _stopped(engine: Engine) -> Iterator[Finding]:
    """Welcomes and tags that did not come about in the last days, by reason."""
    with engine.connect() as db:
        rows = db.execute(text("""
            select kind, reason, count(*) as number from outbox
             where kind in ('contact.welcome', 'contact.tag') and state in ('refused', 'dead')
               and reason not in ('ended', 'unfollowed:84061') and ended_at > now() - interval '3 days'
             group by 1, 2 order by 3 desc limit 5""")).all()
    for row in rows:
        code = row.reason.rpartition(":")[2]
        yield Finding(f"wecom {row.kind.partition('.')[2]}", "yellow", f"{row.number}× {row.reason} in the last 3 days",
                      remedy(int(code)) if code.removeprefix("-").isdecimal() else _ADVICE.get(row.reason, ""))
    if not rows:
        yield Finding("wecom effects", "green", "welcomes and tags went through")


_ADVICE = {
    "tags_full": "the corp has 3000 tags, which is all it may: delete some in 管理后台",
    "too_late": "twenty seconds were over: check the load and the network; a welcome set in 管理后台 excludes ours",
}
