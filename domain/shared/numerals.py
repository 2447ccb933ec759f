"""Small whole numbers as people write them: ``3``, ``３``, ``三``, ``十二``; and choices: ``第二个``, ``2号``. Pure."""

import re
import unicodedata

MOST = 9_999
_DIGITS = {sign: value for value, signs in enumerate(("零〇", "一", "二两", "三", "四", "五", "六", "七", "八", "九"))
           for sign in signs}
_WRITTEN = "[0-9]{1,4}|[零〇一二两三四五六七八九十]{1,3}"
_CHOICE = re.compile(rf"(?:第\s*)(?P<counted>{_WRITTEN})\s*(?:个|号|项|款|种|样|件|张|条)?|"
                     rf"(?:选择?|#|no\.?)?\s*(?P<bare>{_WRITTEN})\s*号?")
_DRESS = " \t\r\n。，,.!！、~～;；?？)）"


def number(written: str) -> int | None:
    """``21``, ``九``, ``二十一`` as a number; None for what is none, or none below ten thousand."""
    if written.isdecimal():
        return int(written) if len(written) <= 4 else None
    tens, ten, ones = written.rpartition("十")
    if not ten:
        return _DIGITS.get(written)
    if any(part and part not in _DIGITS for part in (tens, ones)):
        return None
    return (_DIGITS[tens] if tens else 1) * 10 + (_DIGITS[ones] if ones else 0)


def undressed(said: str) -> str:
    """What was said without signs and 吧 around it: ``全部吧！`` → ``全部``."""
    return unicodedata.normalize("NFKC", said).strip(_DRESS).removesuffix("吧").strip(_DRESS)


def choice(said: str) -> int | None:
    """The number of a numbered list that somebody chose, None when ``said`` is no such choice. A counting word makes an
    order of it (``第二个``), not a quantity (``两个``)."""
    plain = unicodedata.normalize("NFKC", said).strip(_DRESS).lower()
    found = _CHOICE.fullmatch(plain)
    return number(found["counted"] or found["bare"]) if found else None
