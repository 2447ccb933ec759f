"""Filters are values: small, typed, comparable. A handler runs when all of its filters match."""

from dataclasses import dataclass
from typing import Protocol

from bot.kit.context import Context
from bot.kit.conversation import State


class Filter(Protocol):
    def matches(self, ctx: Context) -> bool: ...


@dataclass(frozen=True, slots=True)
class Intent:
    """What was typed or tapped means ``name`` and nothing has to be confirmed first."""

    name: str

    def matches(self, ctx: Context) -> bool:
        return ctx.intent == self.name and not ctx.confirm


@dataclass(frozen=True, slots=True)
class NeedsConfirmation:
    """The words were understood, but not typed exactly, and money would move: ask before acting."""

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

    def matches(self, ctx: Context) -> bool:
        return ctx.message.kind == "event" and ctx.message.event == self.name


@dataclass(frozen=True, slots=True)
class PlatformEvent:
    """An event that is not our own word: one of the platform's names, in small letters (subscribe_msg_popup_event)."""

    names: tuple[str, ...]

    def matches(self, ctx: Context) -> bool:
        return ctx.message.event == "other" and str(ctx.message.data.get("raw_event", "")).lower() in self.names


@dataclass(frozen=True, slots=True)
class Kind:
    """The kind of message: text, image, voice, location, event …"""

    name: str

    def matches(self, ctx: Context) -> bool:
        return ctx.message.kind == self.name


@dataclass(frozen=True, slots=True)
class AnyKind:
    """One of several kinds of message."""

    names: tuple[str, ...]

    def matches(self, ctx: Context) -> bool:
        return ctx.message.kind in self.names


@dataclass(frozen=True, slots=True)
class InState:
    """The dialogue stands at ``state``, and the person typed something that is not a command of its own.

    An exactly typed command always leaves the dialogue: nobody is trapped in a question.
    """

    state: State

    def matches(self, ctx: Context) -> bool:
        if ctx.place.state != str(self.state) or ctx.message.kind != "text":
            return False
        return not (ctx.typed_exactly and ctx.intent not in {"", "yes", "no"})


@dataclass(frozen=True, slots=True)
class PictureAt:
    """A picture came while the dialogue stands at ``state``."""

    state: State

    def matches(self, ctx: Context) -> bool:
        return ctx.message.kind == "image" and ctx.place.state == str(self.state)
