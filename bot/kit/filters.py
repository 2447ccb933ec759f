"""Filters are values: small, typed, comparable. A handler runs when all of its filters match."""

from dataclasses import dataclass
from typing import NamedTuple, Protocol, runtime_checkable

from bot.kit.context import Context
from bot.kit.conversation import State


class Filter(Protocol):
    def matches(self, ctx: Context) -> bool: ...


class Moment(NamedTuple):
    """What many messages have in common: the intent, the kind of message, the event, the place of the dialogue."""

    intent: str
    kind: str
    event: str
    place: str


@runtime_checkable
class Early(Protocol):
    """A filter that can tell by the moment alone that a message will not pass."""

    def may_match(self, moment: Moment) -> bool: ...


@dataclass(frozen=True, slots=True)
class Intent:
    """What was typed or tapped means ``name`` and nothing has to be confirmed first."""

    name: str

    def may_match(self, moment: Moment) -> bool:
        return moment.intent == self.name

    def matches(self, ctx: Context) -> bool:
        return ctx.intent == self.name and not ctx.confirm


@dataclass(frozen=True, slots=True)
class NeedsConfirmation:
    """The words were understood, but not typed exactly, and money would move: ask before acting."""

    def may_match(self, moment: Moment) -> bool:
        return bool(moment.intent)

    def matches(self, ctx: Context) -> bool:
        return bool(ctx.intent) and ctx.confirm


@dataclass(frozen=True, slots=True)
class Unsure:
    """Several things may have been meant: ``ctx.candidates`` names them."""

    def matches(self, ctx: Context) -> bool:
        return bool(ctx.candidates)


@dataclass(frozen=True, slots=True)
class Event:
    """A platform event: follow, unfollow, scan, menu, view …"""

    name: str

    def may_match(self, moment: Moment) -> bool:
        return moment.kind == "event" and moment.event == self.name

    def matches(self, ctx: Context) -> bool:
        return ctx.message.kind == "event" and ctx.message.event == self.name


@dataclass(frozen=True, slots=True)
class PlatformEvent:
    """An event that is not our own word: one of the platform's names, in small letters (subscribe_msg_popup_event)."""

    names: tuple[str, ...]

    def may_match(self, moment: Moment) -> bool:
        return moment.event == "other"

    def matches(self, ctx: Context) -> bool:
        return ctx.message.event == "other" and str(ctx.message.data.get("raw_event", "")).lower() in self.names


@dataclass(frozen=True, slots=True)
class Kind:
    """The kind of message: text, image, voice, location, event …"""

    name: str

    def may_match(self, moment: Moment) -> bool:
        return moment.kind == self.name

    def matches(self, ctx: Context) -> bool:
        return ctx.message.kind == self.name


@dataclass(frozen=True, slots=True)
class AnyKind:
    """One of several kinds of message."""

    names: tuple[str, ...]

    def may_match(self, moment: Moment) -> bool:
        return moment.kind in self.names

    def matches(self, ctx: Context) -> bool:
        return ctx.message.kind in self.names


@dataclass(frozen=True, slots=True)
class InState:
    """The dialogue stands at ``state``, and the person typed something that is not a command of its own.

    An exactly typed command always leaves the dialogue: nobody is trapped in a question.
    """

    state: State

    def may_match(self, moment: Moment) -> bool:
        return moment.kind == "text" and moment.place == str(self.state)

    def matches(self, ctx: Context) -> bool:
        if ctx.place.state != str(self.state) or ctx.message.kind != "text":
            return False
        return not (ctx.typed_exactly and ctx.intent not in {"", "yes", "no"})


@dataclass(frozen=True, slots=True)
class BrokenOff:
    """取消 while the dialogue stands at ``state``, where it has to mean more than that nothing else is wanted."""

    state: State

    def may_match(self, moment: Moment) -> bool:
        return moment.kind == "text" and moment.place == str(self.state)

    def matches(self, ctx: Context) -> bool:
        return ctx.place.state == str(self.state) and ctx.intent == "cancel" and ctx.message.kind == "text"


@dataclass(frozen=True, slots=True)
class PictureAt:
    """A picture came while the dialogue stands at ``state``."""

    state: State

    def may_match(self, moment: Moment) -> bool:
        return moment.kind == "image" and moment.place == str(self.state)

    def matches(self, ctx: Context) -> bool:
        return ctx.message.kind == "image" and ctx.place.state == str(self.state)
