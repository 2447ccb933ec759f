"""What was typed, brought to one form: width, script, case of letters, dress around the edges.

Total over any str: lone surrogates, NULs and kilobytes of combining marks come out as storable text.
"""

import re
import unicodedata
from functools import cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import opencc

LONGEST = 2048
"""Characters looked at; a message of the platform has at most 2 048 bytes."""

# Never text, and PostgreSQL refuses both.
_UNSTORABLE = re.compile("[\x00\ud800-\udfff]")
# Invisible: soft hyphen, joiners, direction marks, variation selectors, keycap, tags.
_INVISIBLE = re.compile(
    "[\u00ad\u061c\u180e\u200b-\u200f\u202a-\u202e\u2060-\u206f\ufe00-\ufe0f\ufeff\u20e3\U000e0000-\U000e0fff]"
)
_CONTROL = re.compile("[\x01-\x1f\x7f-\x9f]")
# How the app's own stickers arrive inside a text: [微笑] and the older /::) shape.
_STICKER_AT_END = re.compile(r"(?:\[[^\[\]\s]{1,10}\]|/:[:,!@<>*|~'\-)(&\w]{1,5})$")
_STICKER_AT_START = re.compile(r"^(?:\[[^\[\]\s]{1,10}\]|/:[:,!@<>*|~'\-)(&]{1,5})")
# Signs that carry meaning beside a number (- + % # ¥ $ @ & * / =) are not dress.
_PUNCTUATION = frozenset(" !\"'`()[]{}<>,.;:?~^_|\\。、，！？；：“”‘’（）【】《》〈〉「」『』〔〕…—–～·•￣")
_DRESS_CATEGORIES = frozenset({"So", "Sk", "Cf", "Cc", "Co", "Cn", "Mn", "Me", "Zs", "Zl", "Zp"})
_LOWER = str.maketrans("ABCDEFGHIJKLMNOPQRSTUVWXYZ", "abcdefghijklmnopqrstuvwxyz")

SEPARATORS = " :,、;。!?~|)]】」』》”’\"'"
"""What may stand between a word and its argument (closing brackets: 【反馈】…).

No point: ".5" is half a yuan, not five.
"""


@cache
def _to_simplified() -> "opencc.OpenCC":
    import opencc  # only in processes to which people talk

    return opencc.OpenCC("t2s")


def storable(text: str) -> str:
    """``text`` as typed, cut to ``LONGEST``, without what no database stores."""
    return _UNSTORABLE.sub("", text[:LONGEST])


def fold(text: str) -> str:
    """Width, script and white space evened out; the edges stay. At most ``LONGEST`` characters."""
    text = _UNSTORABLE.sub(" ", text[:LONGEST])
    text = _INVISIBLE.sub("", text)
    # A single compatibility character may unfold to eighteen, so it is cut again.
    text = unicodedata.normalize("NFKC", text)[:LONGEST]
    text = " ".join(_CONTROL.sub(" ", text).split())
    return text if text.isascii() else str(_to_simplified().convert(text))


def lower(text: str) -> str:
    """ASCII letters in lower case; every position stays where it was (str.lower may change the length)."""
    return text.translate(_LOWER)


def is_dress(char: str) -> bool:
    """Punctuation, emoji or invisible: nothing a word begins or ends with."""
    return char in _PUNCTUATION or (char > "\x7f" and unicodedata.category(char) in _DRESS_CATEGORIES)


def undress(text: str) -> str:
    """Takes emoji, stickers, brackets and punctuation off both ends."""
    bare = text
    while len(shorter := _STICKER_AT_START.sub("", _STICKER_AT_END.sub("", bare))) < len(bare):
        bare = shorter.strip()
    # "[海报]" looks like a sticker but is somebody copying our brackets.
    return _strip_edges(bare) or _strip_edges(text)


def _strip_edges(text: str) -> str:
    start, end = 0, len(text)
    while start < end and is_dress(text[start]):
        start += 1
    while end > start and is_dress(text[end - 1]):
        end -= 1
    return text[start:end]


def plain(text: str) -> str:
    """``fold`` and ``undress`` in one: the form everything else compares."""
    return undress(fold(text))


def warm_up() -> None:
    """Loads the conversion tables (about 10 ms)."""
    _to_simplified().convert("")
