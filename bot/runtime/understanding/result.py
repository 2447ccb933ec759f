"""What was understood."""

from typing import Literal

from domain.shared.records import record

Certainty = Literal["exact", "contained", "sound", "close", "ask", "none"]

MOST_CANDIDATES = 5
"""A chat menu of more choices is not read."""


@record
class Understanding:
    """One typed message, understood.

    ``intent``: name in assets/intents.toml, '' when ``certainty`` is ask or none.
    ``argument``: what came with the word, in the characters typed ('' if nothing): a product or a number,
    an amount such as ``7块9毛2``, an order number. Free text (feedback) is verbatim, the others are in
    simplified characters and normal width.
    ``certainty``: exact (the whole message is the word, or word and argument), contained (inside a
    sentence), sound (equal pinyin), close (similar pinyin), ask (offer ``candidates``), none.
    ``candidates``: up to five intent names, best first: with ask, and where the name that was taken for the argument is
    a word of ours itself (海报 佣金): whoever finds nothing called so asks which was meant.
    ``confirm``: the intent moves money and was not typed exactly: ask before acting.
    ``normalised``: the message in simplified characters and normal width, without politeness and emoji.
    """

    intent: str
    argument: str
    certainty: Certainty
    candidates: tuple[str, ...]
    confirm: bool
    normalised: str
