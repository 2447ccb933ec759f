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
    -1: "the platform is busy: calls are repeated by themselves, nothing is to mend; if it lasts for over an hour, "
        "see the platform's announcements",
    40001: "check app_secret, and that no other system fetches tokens for this account",
    **dict.fromkeys((40014, 41001, 42001), "check that no other system fetches tokens for this account, and the clock"),
    40013: "correct app_id", 40125: "correct app_secret (it changes when somebody resets it)",
    40164: "add this address to the IP list (基本配置 → IP白名单)",
    40243: "unfreeze the AppSecret on the platform",
    40037: "compare the template id with 模板消息 on the platform; correct [wechat.<account>.templates]",
    41030: "links of templates must be at a registered domain (业务域名)",
    47003: "the template's fields differ from assets/notice_templates.toml: correct them, then notice mended",
    45009: "the day's quota is used up and returns at midnight in Shanghai; if this repeats, ask the platform for more",
    45011: "too many calls in one minute: the interface rests until the next one by itself; if it returns, another "
           "system may be calling for this account, or per_minute in assets/budgets.toml is too high for it",
    45015: "the person has not written for 48 hours, or has left: what is for them waits until they write; nothing is "
           "to mend",
    45047: "the person has had the 5 messages that the platform allows after each of theirs: what is for them waits "
           "until they write; nothing is to mend",
    43004: "the person does not follow the account: they are not written to until they follow again; if those who do "
           "follow are refused so, compare app_id with the account of the callback",
    43101: "the person has not allowed this notice, or its allowance is used up: it looks for another way by itself",
    48001: "the account may not use this interface: see 接口权限 on the platform",
    50002: "the account is limited: see the platform's notices",
    89503: "an administrator of the account must confirm this address on the platform",
}
"""Error code -> remedy: what a person can mend, or that nothing is to mend because the service settles it itself."""

UNANSWERED = "no answer of the platform came: check api_base, name lookup, firewall and proxy"
LOOK_UP = "see the error code in the platform's documentation"

OF_ONE_PERSON = frozenset({43004, 43101, 45015, 45047})
"""What the platform says about a message to somebody, and about nothing else."""

PASSING = frozenset({-1, 45011})
"""What is over within minutes by itself."""


def remedy_of_call(errcode: int, otherwise: str) -> str:
    """What to do about the refusal of a call that is to nobody (a token, a menu). 0: no error code came at all."""
    if errcode in OF_ONE_PERSON:
        return ("no platform says this of such a call, only of a message: check that api_base is the platform itself "
                "and that nothing in between answers for it (in the simulator: a fault that is switched on)")
    if errcode == 0:
        return UNANSWERED
    return REMEDIES.get(errcode, otherwise)
