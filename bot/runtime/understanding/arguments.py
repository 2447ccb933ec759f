"""What may follow a word, by kind of argument, kept in the characters that were typed."""

import re
from collections.abc import Sequence

from bot.runtime.understanding import normalise
from bot.runtime.understanding.lexicon import Argument, Chatter
from domain.shared.amounts import share, without_fractions
from domain.shared.numerals import choice

_LONGEST_NAME = 60
_NUMERALS = "0-9零〇一二两三四五六七八九十百千万亿半"
# Signs stay in: "-100" and "50%" must reach the one who reads amounts, and be refused there.
_AMOUNT = re.compile(
    rf"[-+]?[¥$]?[-+]?[{_NUMERALS}.,]+[{_NUMERALS}.,%元块圆钱整毛角分 ]*(?:rmb|cny|yuan|kuai)?", re.IGNORECASE
)
_SUM = re.compile(rf"¥?[{_NUMERALS}][{_NUMERALS}.,]*(?:元|[块圆](?:[{_NUMERALS}][毛角分{_NUMERALS}]{{0,3}})?)?[钱整]?")
_BEFORE_UNIT = re.compile(r"(?<=\d) +(?=[元块圆])")
_NUMERAL = re.compile(f"[{_NUMERALS}]")
_REFERENCE = re.compile(r"[-+]?[¥$#]?[-+]?[A-Za-z0-9][-A-Za-z0-9_.,]*(?:[块元圆毛角分]\d*)*%?")
_NUMBER_INSIDE = re.compile(
    r"[-+]?[¥$]?(?:[A-Za-z]{1,8}[-_]?)?\d[-A-Za-z0-9_.,]*(?:[块元圆毛角分]\d*)*%?|"
    r"[零一二两三四五六七八九十百千万]+[块元圆](?:钱|[零一二三四五六七八九](?![斤个单次月天件张瓶袋盒])(?:[毛角](?:[一二三四五六七八九]分?)?)?)?"
)
_YEAR = r"(?:[12]\d\d\d ?[-年./]|(?<!\d)\d\d ?年|[今去前]年) ?"
_MONTH = re.compile(
    rf"(?:{_YEAR})?(?<!\d)(?:1[0-2]|0?[1-9]) ?月份?|20\d\d[-./]?(?:1[0-2]|0?[1-9])|"
    rf"(?:{_YEAR})?(?:十[一二]?|[一二三四五六七八九])月份?|(?:上|本|这)个?月"
)
_LIKE_A_MONTH = re.compile(rf"(?:{_YEAR})?\d{{1,2}} ?月份?|20\d\d ?[-年./] ?\d{{1,2}}")
"""Written as one, whether or not a year has it: whoever reads it says so."""
_MONTH_INSIDE = re.compile(rf"(?:{_MONTH.pattern})(?!\d)")
_LETTERS = re.compile(r"[A-Za-z][A-Za-z0-9_-]{1,29}")
"""What might be an order's number, and is in any case no answer to another question."""
_RAW_PREFIX = 80


def after_word(kind: Argument, rest: str, chatter: Chatter, everything: Sequence[str]) -> str | None:
    """The argument in ``rest``, all that follows the word; None if this does not look like one.

    ``rest`` is folded text, not empty. Texts and ASCII need a separator unless a number follows at once. Behind a
    separator anything but a question is a name, known or not.
    """
    argument = rest.lstrip(normalise.SEPARATORS)
    parted = len(argument) < len(rest)
    if not argument or kind == "none":
        return None
    if kind in ("content", "saying"):
        return argument
    if kind == "amount":
        return argument if _is_amount(argument, everything) else None
    if kind == "month":
        said = argument.replace("的", "")
        return argument if _MONTH.fullmatch(said) or _LIKE_A_MONTH.fullmatch(said) else None
    if kind == "reference":
        referred = _is_reference(argument) or _LIKE_A_MONTH.fullmatch(argument) or _MONTH.fullmatch(argument) or choice(
            argument)
        return argument if referred or (parted and _LETTERS.fullmatch(argument)) else None
    if kind == "hours":
        return None  # wishes about hours are read as a whole, before any word is looked for
    if parted:
        return argument if is_name(argument, chatter.questions) else None
    numbered = argument[0] in "0123456789#" or choice(argument) is not None
    return argument if numbered and is_name(argument, chatter.words) else None


def _is_amount(text: str, everything: Sequence[str]) -> bool:
    if text in everything or share(text):
        return True
    return len(text) <= _LONGEST_NAME and bool(_AMOUNT.fullmatch(text)) and bool(_NUMERAL.search(text))


def is_sum(text: str) -> bool:
    """An amount without a sign or a percent sign: 100, 三百块, 50 块, ¥50.5, 一半, 三分之一."""
    joined = _BEFORE_UNIT.sub("", text)
    return bool(share(text)) or (bool(_SUM.fullmatch(joined)) and bool(_NUMERAL.search(joined)))


def _is_reference(text: str) -> bool:
    return len(text) <= _LONGEST_NAME and bool(_REFERENCE.fullmatch(text)) and any("0" <= c <= "9" for c in text)


def is_name(text: str, chatter: Sequence[str]) -> bool:
    """Could this be what a product is called? Not if it talks."""
    return 0 < len(text) <= _LONGEST_NAME and not any(word in text for word in chatter)


def number_inside(text: str) -> str:
    """The first amount or order number in a sentence, or ''."""
    found = _NUMBER_INSIDE.search(without_fractions(text))
    return found.group().rstrip(".,-_") if found else ""


def month_inside(text: str) -> str:
    """The first month in a sentence (``10月``, ``2026年3月``, ``上个月``), or ''."""
    found = _MONTH_INSIDE.search(text)
    return found.group() if found else ""


def as_typed(raw: str, head: str) -> str:
    """What follows ``head`` in the text as it was typed: emoji, width and script untouched.

    ``head`` is the folded text up to and with the word. '' if it cannot be found again near the start.
    """
    raw = normalise.storable(raw)
    for end in range(1, min(len(raw), _RAW_PREFIX) + 1):
        if normalise.lower(normalise.fold(raw[:end])).endswith(head):
            return raw[end:].lstrip(normalise.SEPARATORS + "：，！？。\u3000\t\r\n").strip()
    return ""
