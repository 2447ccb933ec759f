"""Amounts of money as people write them in a sentence (``5000``, ``¥1,280.50``, ``3.5万``, ``一万二``) or say them
(``7块9毛2``, ``九块九``). Pure."""

import re
import unicodedata

from domain.shared.numerals import number, undressed

MOST_FEN = 10_000_000_000
"""A hundred million yuan: more is a slip of the finger."""

_UNITS = {"十": 10, "百": 100, "千": 1_000, "k": 1_000, "万": 10_000, "w": 10_000, "亿": 100_000_000}
_DIGITS = {name: value for value, names in enumerate(("零〇", "一", "二两", "三", "四", "五", "六", "七", "八", "九"))
           for name in names}
_ARABIC = r"(?P<whole>\d{1,3}(?:,\d{3})+|\d{1,12})(?:\.(?P<part>\d{1,4}))?\s*(?P<unit>[百千万亿]|[kw](?![a-z]))?"
_ANY = "[零〇一二两三四五六七八九十百千万亿]"
_AMOUNT = re.compile(
    rf"(?<![\d.a-z_-])(?:{_ARABIC}|(?P<chinese>{_ANY}{{1,20}})(?=\s*[元块])|(?P<bare>{_ANY}*[百千万亿]{_ANY}*))"
    r"(?!e\d|\s*[%\d次个单天月级档位])"
)

_SIGN = "[0-9零〇一二三四五六七八九]"
_SPOKEN = re.compile(
    rf"¥?(?P<yuan>\d{{1,9}}|{_ANY}{{1,20}})\s*[块元圆](?:(?P<jiao>{_SIGN})[毛角]?(?:(?P<fen>{_SIGN})分?)?)?[钱整]?"
)
_WITH_JIAO = re.compile(rf"(?:\d{{1,9}}|{_ANY}{{1,20}})\s*[块元圆]{_SIGN}[毛角](?:{_SIGN}分?(?![\d个单件斤]))?")
"""Such an amount within a sentence: only 毛 tells it from five yuan for three pounds (5块3斤)."""


_SHARE = re.compile(rf"(?P<half>一?半|二分之一)|百分之(?P<percent>{_ANY}{{1,4}}|\d{{1,2}})|"
                    rf"(?P<parts>[三四五六七八九十])分之(?P<taken>[一二两三四五六七八九])")

_FRACTION = re.compile(rf"(?<!{_ANY}|\d)(?:{_ANY}|\d)+分之(?:{_ANY}|[\d.点])*")


def without_fractions(said: str) -> str:
    """A sentence without its shares (``百分之150``, ``五百分之一``): their numbers are no amounts."""
    return _FRACTION.sub(" ", said)


def share(said: str) -> tuple[int, int] | None:
    """A share of a whole that was said and nothing else, as numerator and denominator: ``一半``, ``三分之一``,
    ``百分之五十``. None for anything else, for nothing of it, and for more than all of it."""
    match = _SHARE.fullmatch(undressed(said))
    if match is None:
        return None
    if match["half"]:
        return 1, 2
    if match["percent"]:
        percent = match["percent"]
        taken, parts = (int(percent) if percent.isdecimal() else (_chinese(percent) or 0) // 100), 100
    else:
        taken, parts = _digit(match["taken"]), number(match["parts"]) or 0
    return (taken, parts) if 0 < taken <= parts else None


def spoken_fen(text: str) -> int | None:
    """An amount said in units and nothing else, in fen: ``7块9毛2``, ``九块九``, ``3块``; None for anything else, and
    for 0."""
    match = _SPOKEN.fullmatch(unicodedata.normalize("NFKC", text).strip())
    if match is None:
        return None
    yuan = match["yuan"]
    whole = int(yuan) * 100 if yuan.isdecimal() else _chinese(yuan)
    if whole is None:
        return None
    jiao, fen = (_digit(match[name] or "0") for name in ("jiao", "fen"))
    return whole + jiao * 10 + fen or None


def _digit(sign: str) -> int:
    return int(sign) if sign.isdecimal() else _DIGITS[sign]


def find_fen(text: str) -> int | None:
    """The first amount in a sentence, in fen; None when there is none, or none that makes sense. Counts (``3单``),
    shares and numbers inside of codes are no amounts; Chinese numerals need a unit (``三百``) or ``元``."""
    plain = without_fractions(unicodedata.normalize("NFKC", text).lower())
    for match in _AMOUNT.finditer(plain):
        said = _WITH_JIAO.match(plain, match.start())
        if said:
            fen = spoken_fen(said.group())
        else:
            fen = _arabic(match) if match["whole"] else _chinese(match["chinese"] or match["bare"])
        if fen is not None and 0 < fen <= MOST_FEN:
            return fen
    return None


def _arabic(match: re.Match[str]) -> int | None:
    part = match["part"] or ""
    scale = _UNITS.get(match["unit"] or "", 1)
    fen, rest = divmod(int(match["whole"].replace(",", "") + part) * scale * 100, 10 ** len(part))
    return fen if not rest else None


def _chinese(numerals: str) -> int | None:
    """``一万二`` → 12 000 yuan in fen: a last digit without a unit counts as a tenth of the unit before it."""
    total = section = digit = 0
    last = 1
    for place, sign in enumerate(numerals):
        if sign in _DIGITS:
            if digit and numerals[place - 1] in _DIGITS:
                return None
            digit = _DIGITS[sign]
            last = 1 if sign in "零〇" else last
            continue
        unit = _UNITS[sign]
        if unit >= 10_000:
            total, section = (total + section + digit or 1) * unit, 0
        else:
            section += (digit or 1) * unit
        digit, last = 0, unit
    return (total + section + digit * (last // 10 if last > 10 else 1)) * 100
