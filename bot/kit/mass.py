"""Mass messages of a WeCom corp: tasks that an employee confirms. Nothing leaves until they tap, and nobody tells us
when they do: whoever made a task asks what became of it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Protocol

from bot.kit.gateway import SendResult

MOST_PEOPLE = 10_000
"""Customers of one task."""
TASK_OVER = 41093
"""The task has been sent by everybody, or it was cancelled before."""


class Fate(StrEnum):
    """What became of one customer of a task."""

    WAITS = "waits"
    SENT = "sent"
    NOT_FRIEND = "not_friend"  # the two are no contacts any more
    CAP = "staff_cap"  # had as many mass messages as the platform or the corp allows


@dataclass(frozen=True, slots=True)
class MassTask:
    """A task as it was made. ``strangers``: external_userids that the employee does not have."""

    msgid: str
    strangers: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Received:
    """``at``: when it was sent (business time of the platform); None unless it was."""

    fate: Fate
    at: datetime | None = None


class MassMessages(Protocol):
    """One application's part in it. Methods block for seconds; those without a SendResult raise ``GatewayError``."""

    def ask_to_send(self, userid: str, external_userids: Sequence[str], text: str) -> MassTask:
        """Give the employee a task. Not safe to repeat: after UNKNOWN ask ``tasks_like`` whether it is there."""
        ...

    def tasks_like(self, text: str, since: datetime, until: datetime) -> Sequence[str]:
        """msgids of tasks with exactly this text made between the two (at most a month)."""
        ...

    def asked(self, msgid: str) -> Mapping[str, bool]:
        """The employees of a task: userid -> whether they have sent."""
        ...

    def received(self, msgid: str, userid: str) -> Mapping[str, Received]:
        """external_userid -> what became of them."""
        ...

    def remind(self, msgid: str) -> SendResult:
        """Remind whoever has not sent; three a day at most."""
        ...

    def cancel(self, msgid: str) -> SendResult:
        """What is not sent never will be; what is sent stays. ``TASK_OVER`` when there was nothing left."""
        ...
