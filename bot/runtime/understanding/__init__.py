"""Understanding what people type: from a message to an intent, an argument and a degree of certainty.

The words are in assets/intents.toml, the reasons in docs/adr/0004-understanding.md.
"""

from functools import cache
from pathlib import Path

from bot.runtime.understanding import normalise
from bot.runtime.understanding.lexicon import LexiconError, load
from bot.runtime.understanding.matcher import Matcher
from bot.runtime.understanding.result import Certainty, Understanding

__all__ = ["Certainty", "LexiconError", "Understanding", "understand", "warm_up"]

_INTENTS = Path(__file__).resolve().parents[3] / "assets" / "intents.toml"


MOST_WORDS, LONGEST_WORD = 2_000, 24
_WORDS: dict[str, Understanding] = {}
"""Words that mean one thing whoever types them, as they were typed; what is said in sentences is not kept."""


@cache
def _matcher() -> Matcher:
    return Matcher(load(_INTENTS))


def understand(text: str) -> Understanding:
    """What ``text`` means; see Understanding. Never raises on any str; work is bounded.

    The first call loads the tables (see ``warm_up``) and raises LexiconError if the words are unusable.
    """
    if (known := _WORDS.get(text)) is not None:
        return known
    found = _matcher().understand(text)
    if found.certainty == "exact" and not found.argument and len(text) <= LONGEST_WORD and len(_WORDS) < MOST_WORDS:
        _WORDS[text] = found
    return found


def warm_up() -> None:
    """Loads words, pinyin and character tables, once per process. Raises LexiconError with all faults.

    Best before anything large is imported: reading the tables leaves 5 MB of holes, which that fills.
    """
    normalise.warm_up()
    _matcher()
