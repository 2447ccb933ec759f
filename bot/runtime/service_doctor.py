"""What the doctor looks at from outside: whether PUBLIC_URL leads to this service, and the callbacks of its accounts.

An address that nobody of ours answers is one cause, not one for each thing that lies there: the demo's platforms are at
the same address as its callbacks.
"""

import hashlib
import secrets
import time
from collections.abc import Iterator
from typing import Literal
from urllib.parse import urlsplit

import requests

from bot.runtime.accounts import WeChatAccount, WeComAccount
from bot.runtime.channels.crypto import Envelope, signature
from bot.runtime.findings import TIMEOUT, Finding
from bot.runtime.settings import LAST_PORT, Settings


def missed(settings: Settings) -> Finding | None:
    """Why PUBLIC_URL does not lead to this service; None when it does, or when the callbacks tell it better."""
    url, who = settings.public_url, _who_answers(settings)
    if who == "nobody":
        return Finding("service", "red", f"nothing answers at {url}", _where(settings) or
                       "start it: python -m bot up; if it runs, check PUBLIC_URL, DNS, proxy and firewall")
    if who == "stranger" and any(same_address(one.api_base, url) for one in settings.wechat.values()):
        return Finding("service", "red", f"what answers at {url} is not this shop", _where(settings) or
                       "give doctor the HUITOU_HOME and PORT of the running service; after a change, restart it")
    return None


def callbacks(settings: Settings) -> Iterator[Finding]:
    """The platform's own verification of each Official Account, from here to PUBLIC_URL and back."""
    for name, account in settings.wechat.items():
        url, label = f"{settings.public_url}/wechat/{name}", f"callback ({name})"
        query, echo = _signed_by_wechat(account)
        try:
            answer = requests.get(url, query, timeout=TIMEOUT, allow_redirects=False)
        except requests.RequestException as error:
            yield Finding(label, "red", f"{url} does not answer ({type(error).__name__})",
                          "start the service; check PUBLIC_URL, DNS, proxy and firewall")
            continue
        if answer.status_code == 200 and answer.text == echo:
            yield Finding(label, "green", f"{url} answers as the platform expects")
        elif answer.status_code == 403:
            yield Finding(label, "red", "the instance that answers has another token",
                          "PUBLIC_URL leads to another instance, or it was not restarted after a change")
        else:
            yield Finding(label, "red", f"status {answer.status_code} instead of the echo",
                          "the proxy must pass path and query unchanged, without redirect or login")


def signed_by_wecom(account: WeComAccount) -> tuple[dict[str, str], str]:
    """Parameters of WeCom's GET verification, and the echo that it expects."""
    echo = secrets.token_hex(10)
    sealed = Envelope(account.encoding_aes_key.reveal(), account.corp_id).seal(echo.encode())
    stamp, nonce = str(int(time.time())), secrets.token_hex(6)
    signed = signature((account.token.reveal().encode(), stamp.encode(), nonce.encode(), sealed))
    return {"msg_signature": signed, "timestamp": stamp, "nonce": nonce, "echostr": sealed.decode()}, echo


def same_address(one: str, other: str) -> bool:
    """Whether two URLs are at the same host and port."""
    return _address(one) == _address(other)


def _who_answers(settings: Settings) -> Literal["we", "nobody", "stranger"]:
    """By the verification that only this shop's keys answer; the first account's stands for all."""
    knocks = [(f"wechat/{name}", *_signed_by_wechat(account)) for name, account in settings.wechat.items()]
    knocks += [(f"wecom/{name}", *signed_by_wecom(account)) for name, account in settings.wecom.items()]
    for path, query, echo in knocks[:1]:
        try:
            answer = requests.get(f"{settings.public_url}/{path}", query, timeout=TIMEOUT, allow_redirects=False)
        except requests.RequestException:
            return "nobody"
        return "we" if answer.status_code == 200 and answer.text == echo else "stranger"
    return "we"


def _where(settings: Settings) -> str:
    """What to do when the service of this home was started at another port."""
    try:
        port = int((settings.home / LAST_PORT).read_text())
    except (OSError, ValueError):
        return ""
    if port == settings.port:
        return ""
    return f"the service of this home was last started with PORT={port}: run doctor with the same"


def _signed_by_wechat(account: WeChatAccount) -> tuple[dict[str, str], str]:
    timestamp, nonce, echo = str(int(time.time())), secrets.token_hex(6), secrets.token_hex(10)
    parts = sorted([account.token.reveal(), timestamp, nonce])
    signed = hashlib.sha1("".join(parts).encode()).hexdigest()  # noqa: S324 - the platform's scheme
    return {"signature": signed, "timestamp": timestamp, "nonce": nonce, "echostr": echo}, echo


def _address(url: str) -> tuple[str | None, int | None]:
    parts = urlsplit(url)
    return parts.hostname, parts.port or (443 if parts.scheme == "https" else 80)
