"""What a chat or event handler sees: the message, the person, the time, a voice, and nothing else."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, TypeVar

from bot.kit.conversation import STAY, Answer, Place, State
from bot.kit.copy import Copy
from bot.kit.messages import NOTHING, Incoming, text
from bot.kit.records import record

T = TypeVar("T")


@record
class Speaker:
    """The person on the other side, as the dispatcher found them. ``followed_before``: ever, on this account."""

    id: int
    nickname: str
    referral_code: str
    identity_id: int = 0
    followed_before: bool = False


@dataclass(frozen=True, slots=True)
class Shop:
    """The few facts of the shop that texts and handlers need. ``public_url`` has no trailing slash."""

    name: str
    public_url: str
    app_id: str
    """The account that the message came to."""
    styles: tuple[tuple[str, str], ...] = ()
    """Poster styles as (key, name), in the order in which they are numbered."""


@dataclass
class Context:
    """One message on its way. ``session`` is handed to the domain; handlers never look inside it."""

    message: Incoming
    speaker: Speaker
    session: Any
    now: datetime
    copy: Copy
    shop: Shop
    place: Place = field(default_factory=Place)
    intent: str = ""
    argument: str = ""
    typed_exactly: bool = False
    candidates: tuple[str, ...] = ()
    confirm: bool = False
    redirect: Callable[["Context"], Answer] | None = None
    tools: Mapping[type[Any], Any] = field(default_factory=dict)

    def tool(self, kind: type[T]) -> T:
        """The one instance of ``kind`` that this process holds (the shop's programme …)."""
        found = self.tools[kind]
        assert isinstance(found, kind)
        return found

    def say(self, key: str, **facts: object) -> Answer:
        """Answer with a text and end the dialogue."""
        return Answer(text(self.copy.render(key, **facts)))

    def ask(self, key: str, then: State, remember: dict[str, Any] | None = None, **facts: object) -> Answer:
        """Answer with a question and wait at ``then`` for what comes next (30 minutes of business time)."""
        return Answer(text(self.copy.render(key, **facts)), then, remember or {})

    def silent(self) -> Answer:
        """Acknowledge without a word; whatever dialogue was open stays as it is."""
        return Answer(NOTHING, STAY)

    @property
    def asks_else(self) -> bool:
        """Was something understood, sure or not, that is more than a yes or no: 看一下明细吧, 提100, 海报和佣金?"""
        return self.intent not in ("", "yes", "no") or bool(self.candidates)

    def follow(self, intent: str, argument: str = "") -> Answer:
        """Answer as if ``intent`` had been typed exactly (after a confirmation or a choice)."""
        assert self.redirect is not None
        self.intent, self.argument, self.typed_exactly = intent, argument, True
        self.candidates, self.confirm, self.place = (), False, Place()
        return self.redirect(self)

    def undecided(self) -> Answer:
        """Ask which of the candidates was meant: the first of them was tried, and was not it."""
        self.intent, self.argument, self.typed_exactly = "", "", False
        return self.afresh()

    def afresh(self) -> Answer:
        """Answer as if no question had been open: what is only supposed is still asked about, money still confirmed."""
        assert self.redirect is not None
        self.place = Place()
        return self.redirect(self)
