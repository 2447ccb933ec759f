"""Hours in which somebody wants to be left alone, as people write them: ``晚上8点后别发``, ``免打扰 21点到9点``. Pure.

``find`` reads a wish out of a short message; ``settle`` makes whole hours of it. What has no part of the day is read by
what it is for: nobody who says "not after 8" means the morning. The answer says back what was understood.
"""

import re
import unicodedata
from datetime import time
from typing import Literal

from domain.shared.numerals import number
from domain.shared.records import record

LONGEST = 30
"""A longer message tells a story; it is no command."""
OPEN_MINUTES = 120
"""Somebody who wants to hear less than two hours a day wants 退订."""

Hours = tuple[time, time]


@record
class Wish:
    """Quiet from and until, local; None: as before. Both None never happens."""

    start: time | None
    end: time | None


@record
class Impossible:
    """A wish about an hour that no day has, as it was written: ``晚上25点``."""

    said: str


@record
class Unclear:
    """From an hour until the same one, ``9点到9点``, and nothing says which of the two is in the evening."""

    said: str
    evening: time
    morning: time


@record
class _Said:
    """A time of day as written. ``part``: '' or the part of the day; ``hour`` 0..24. ``impossible``: no such time."""

    part: Literal["", "early", "noon", "late", "night"]
    hour: int
    minute: int
    impossible: str = ""


_PARTS = {
    "凌晨": "early", "清晨": "early", "早上": "early", "早晨": "early", "明早": "early", "上午": "early", "早": "early",
    "中午": "noon", "下午": "late", "傍晚": "late", "晚上": "night", "晚间": "night", "夜里": "night", "夜间": "night",
    "半夜": "night", "深夜": "night", "晚": "night", "夜": "night",
}
_NUMBER = "[0-9]{1,2}|[零〇一二两三四五六七八九十]{1,3}"
_PART = "|".join(sorted(_PARTS, key=len, reverse=True))
_TIME = re.compile(
    rf"(?:第二天|次日|明天)?的?(?P<part>{_PART})?(?:(?P<clock>[0-9]{{1,2}}:[0-9]{{2}})|"
    rf"(?P<hour>{_NUMBER})(?:点钟|点整|点|时)(?P<minute>半|一刻|三刻|(?:{_NUMBER})分?(?![点时]))?)"
)
_BARE = re.compile(rf"(?P<part>{_PART})?(?P<clock>(?!))?(?P<hour>{_NUMBER})(?P<minute>(?!))?(?=[到至~-]|$)")
"""An hour without its word: only beside a word that can mean nothing else."""

_ALONE = "免打扰|勿扰|别打扰|不打扰|安静时[段间]|静音时[段间]"
_TO = "[到至~-]+"
_AFTER, _BEFORE = "(?:以|之)?后", "(?:以|之)?前"
_NO = "(?:就|都|请|也)*(?:别|不要|不用|不准|不许|不能|不想|勿|停止)(?:再|给我|向我|跟我|来|收到)*"
_SEND = "(?:发(?![货件车票现布生快红工])|推送|推消息|打扰|扰|吵|通知|提醒|烦)"
_SHAPES: tuple[tuple[str, re.Pattern[str]], ...] = tuple((role, re.compile(shape)) for role, shape in (
    ("both", f"T{_AFTER}[和及到至]?T{_BEFORE}(?:{_NO}{_SEND})"),
    ("open", f"[只仅](?:在|能|可以)*T{_TO}T(?:之间|期间|之内)?(?:内|里)?(?:才|再|可以|能|给我)*{_SEND}"),
    ("open", f"T{_TO}T(?:之间|期间|之内)?(?:才|再)(?:可以|能|给我)*{_SEND}"),
    ("both", f"T{_TO}T(?:之间|期间|这段时间)?(?:内|里)?(?:{_NO}{_SEND}|{_ALONE})"),
    ("both", f"(?:{_ALONE})[^T]{{0,6}}T{_TO}T"),
    ("start", f"T{_AFTER}(?:{_NO}{_SEND}|{_ALONE})"),
    ("end", f"T{_BEFORE}(?:{_NO}{_SEND}|{_ALONE})"),
    ("end", f"T{_AFTER}(?:才|再|可以|能|方可)+(?:给我|向我)?{_SEND}"),
))
_ALL_DAY = re.compile(rf"(?:一?整天|全天|一天到晚|每天|天天|每日|24小?时|二十四小?时)(?:{_NO}{_SEND}|{_ALONE})|"
                      rf"(?:{_ALONE})(?:一?整天|全天|24小?时|二十四小?时)")
_NOISE = re.compile(r"[\s,。.!;、?]+")


def find(text: str) -> Wish | Impossible | Unclear | None:
    """The wish in a message, None when it holds none. One for the whole day is a ``Wish`` of no length."""
    if len(text) > LONGEST:
        return None
    plain = _NOISE.sub("", unicodedata.normalize("NFKC", text))
    if _ALL_DAY.search(plain):
        return Wish(time(0), time(0))
    said: list[_Said] = []
    skeleton = _TIME.sub(lambda found: _take(found, said), plain)
    if not said and re.search(_ALONE, plain):
        skeleton = _BARE.sub(lambda found: _take(found, said), plain)
    if not 1 <= len(said) <= 2:
        return None
    for role, shape in _SHAPES:
        if (found := shape.search(skeleton)) is not None:
            meant = said[skeleton[: found.start()].count("T"):][: found.group().count("T")]
            wrong = next((one.impossible for one in meant if one.impossible), "")
            return Impossible(wrong) if wrong else _wish(role, meant)
    return None


def settle(wish: Wish, before: Hours) -> Hours | None:
    """Whole hours, what was left open taken from ``before``. None when hardly any time is left to write."""
    start, end = wish.start or before[0], wish.end or before[1]
    quiet = (end.hour * 60 + end.minute - start.hour * 60 - start.minute) % (24 * 60)
    return (start, end) if 0 < quiet <= 24 * 60 - OPEN_MINUTES else None


def _take(found: re.Match[str], said: list[_Said]) -> str:
    hour, minute = (_number(part) for part in (found["clock"].split(":") if found["clock"] else
                                               (found["hour"], _minutes(found["minute"] or "0"))))
    wrong = found.group() if hour > 24 or minute > 59 or (hour == 24 and minute) else ""
    said.append(_Said(_PARTS.get(found["part"] or "", ""), hour, minute, wrong))  # type: ignore[arg-type]
    return "T"


def _minutes(written: str) -> str:
    return {"半": "30", "一刻": "15", "三刻": "45"}.get(written, written.removesuffix("分"))


def _number(written: str) -> int:
    """A number below a hundred; 99 for what is none."""
    found = number(written)
    return 99 if found is None else found


def _wish(role: str, said: list[_Said]) -> Wish | Unclear | None:
    if role == "start":
        return Wish(_late(said[0]), None)
    if role == "end":
        return Wish(None, _plain(said[0]))
    if len(said) != 2:
        return None
    if said[0] == said[1] and said[0].part == "" and 1 <= said[0].hour <= 12:
        return Unclear(f"{said[0].hour}点到{said[1].hour}点", _late(said[0]), _plain(said[1]))
    if role == "open":
        first, last = _plain(said[0]), _late(said[1])
        return Wish(last, first)
    return Wish(*_span(said[0], said[1]))


def _span(first: _Said, last: _Said) -> Hours:
    """``10点到8点`` begins in the evening, ``1点到3点`` is a nap, ``晚上8点到10点`` ends in the same evening."""
    if first.part == "" and last.part in ("", "early") and first.hour <= 12 and first.hour >= last.hour:
        return _late(first), _plain(last)
    start = _plain(first)
    if first.part in ("noon", "late", "night") and last.part == "" and last.hour < 12:
        same = time(last.hour + 12, last.minute)
        return start, same if same > start else _plain(last)
    return start, _plain(last)


def _late(said: _Said) -> time:
    """Without a part of the day: the evening's."""
    if said.part == "" and 1 <= said.hour <= 11:
        return time(said.hour + 12, said.minute)
    if said.part == "" and said.hour == 12:
        return time(0, said.minute)
    return _plain(said)


def _plain(said: _Said) -> time:
    hour = said.hour % 24
    if said.part == "early" and hour == 12:
        hour = 0
    elif (said.part == "noon" and 1 <= hour <= 3) or (said.part == "late" and 1 <= hour <= 11):
        hour += 12
    elif said.part == "night":
        hour = 0 if hour == 12 else hour + 12 if 5 <= hour <= 11 else hour
    return time(hour, said.minute)
