"""Places in a dialogue. A handler's answer names the next place; saying something plain ends the dialogue."""

from dataclasses import field
from typing import Any

from bot.kit.messages import Reply
from bot.kit.records import record

PRIVATE = "*"
"""Ends the written name of a secret place. Alone it is a secret place that has expired: late answers are private too.
"""


@record
class State:
    """A place in a dialogue: ``group`` is the topic, ``name`` the question that was asked.

    What is answered at a ``secret`` place is for the handler alone: the message is kept without its text, and is not
    kept for another try when its handler fails. The handler seals it, and never says it back.
    """

    group: str
    name: str
    secret: bool = False

    def __str__(self) -> str:
        return f"{self.group}:{self.name}{PRIVATE if self.secret else ''}"


STAY = State("", "stay")
"""As an answer's ``goto``: remain where the dialogue is."""


@record
class Answer:
    """What a handler returns: the reply, the next place (None ends the dialogue), and what to remember there."""

    reply: Reply
    goto: State | None = None
    remember: dict[str, Any] = field(default_factory=dict)


@record
class Place:
    """Where the person stands now: '' outside any dialogue. ``memory`` is what was remembered."""

    state: str = ""
    memory: dict[str, Any] = field(default_factory=dict)

    @property
    def secret(self) -> bool:
        return self.state.endswith(PRIVATE)
