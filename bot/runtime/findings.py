"""What a check of the doctor says, and what an error code of the platform asks a person to do."""

from collections.abc import Callable
from typing import Literal

from domain.shared.records import record

State = Literal["green", "yellow", "red", "skipped"]

Away = Callable[[str, str], bool]
"""Given what would be asked, and where: whether that address is known to be dead, so that asking is of no use."""

TIMEOUT = (3.0, 8.0)
"""Seconds to connect and to read, for every call out of the doctor."""


def always_there(_what: str, _url: str) -> bool:
    """Nothing is known to be dead."""
    return False


def counted(number: int, one: str, many: str) -> str:
    """``1 effect waits`` or ``2 effects wait``: ``number``, and what is said of one or of many (or none)."""
    return f"{number} {one if number == 1 else many}"


@record
class Finding:
    """``cause`` says what was found; ``remedy`` is empty when there is nothing to do."""

    check: str
    state: State
    cause: str
    remedy: str = ""


REMEDIES = {
    40001: "check app_secret, and that no other system fetches tokens for this account",
    **dict.fromkeys((40014, 41001, 42001), "check that no other system fetches tokens for this account, and the clock"),
    40013: "correct app_id", 40125: "correct app_secret (it changes when somebody resets it)",
    40164: "add this address to the IP list (基本配置 → IP白名单)",
    40243: "unfreeze the AppSecret on the platform",
    40037: "compare the template id with 模板消息 on the platform; correct [wechat.<account>.templates]",
    41030: "links of templates must be at a registered domain (业务域名)",
    47003: "the template's fields differ from assets/notice_templates.toml: correct them, then notice mended",
    45009: "the day's quota is used up and returns at midnight in Shanghai; if this repeats, ask the platform for more",
    48001: "the account may not use this interface: see 接口权限 on the platform",
    50002: "the account is limited: see the platform's notices",
    89503: "an administrator of the account must confirm this address on the platform",
}
"""Error code -> remedy. What a person can mend; all else the service settles itself."""
