"""What of a message is not written down: numbers that identify a person, and all that is said at a secret place."""

import re
from dataclasses import replace

from bot.kit.messages import Incoming, Reply

_ID_NUMBER = re.compile(r"(?<![0-9A-Za-z])([1-9][0-9]{3})[0-9]{10}([0-9]{3}[0-9Xx])(?![0-9A-Za-z])")


_SHOWN = rf"\g<1>{'*' * 10}\g<2>"
# Seventeen digits in a row have four at every fourth place: a quarter of the text shows whether it can hold a number.
_MANY_DIGITS = re.compile(r"[0-9]{4}").search


def hide_numbers(text: str) -> str:
    """``text`` with the middle of every ID number starred."""
    return _ID_NUMBER.sub(_SHOWN, text) if _MANY_DIGITS(text[::4]) else text


def discreet(message: Incoming) -> Incoming:
    """The message as it is kept: nobody needs the ID number that somebody typed without being asked."""
    hidden = hide_numbers(message.text)
    return message if hidden == message.text else replace(message, text=hidden)


def without_text(message: Incoming) -> Incoming:
    """What is kept of an answer to a question for something private: that there was one."""
    return replace(message, text="", data={})


def as_kept(message: Incoming, *, secret: bool) -> Incoming:
    """The message as it is kept after it was handled; ``secret``: it was said at a secret place."""
    return without_text(message) if secret and message.may_hold_words else discreet(message)


def reply_as_kept(reply: Reply) -> Reply:
    """The reply as it is kept."""
    hidden = hide_numbers(reply.text)
    return reply if hidden == reply.text else replace(reply, text=hidden)
