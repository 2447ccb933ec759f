"""What comes in and what goes out, whatever the channel. Frozen, plain, JSON-friendly."""

from dataclasses import field
from datetime import datetime
from typing import Any

from bot.kit.records import record


@record
class Incoming:
    """One message or event of one sender, after verification and decryption.

    ``kind``: text, image, voice, video, location, link, or event.
    ``event`` (kind event only): follow, unfollow, scan, menu, view, location_report, other.
    ``text``: what was typed (text) or what the platform heard (voice, '' if it does not listen), '' otherwise.
    ``key``: menu key, or the scene of a scan or follow ('' if none), already without the platform's prefix.
    ``sent_at`` is the platform's own stamp.
    ``dedupe_key`` is the same for a retry and different for anything else, per account.
    ``data`` holds what only few handlers need (media_id, latitude, msgmenu id, raw event name).
    """

    channel: str
    account: str
    sender: str
    kind: str
    dedupe_key: str
    sent_at: datetime
    text: str = ""
    event: str = ""
    key: str = ""
    data: dict[str, Any] = field(default_factory=dict)

    @property
    def may_hold_words(self) -> bool:
        """Whether somebody said or typed something: what is private may be in it."""
        return self.kind in ("text", "voice")

    def to_json(self) -> dict[str, Any]:
        """A dict that json can write; ``from_json`` reads it back. ``data`` is shared, not copied."""
        return {"channel": self.channel, "account": self.account, "sender": self.sender, "kind": self.kind,
                "dedupe_key": self.dedupe_key, "sent_at": self.sent_at.isoformat(), "text": self.text,
                "event": self.event, "key": self.key, "data": self.data}

    @classmethod
    def from_json(cls, raw: dict[str, Any]) -> "Incoming":
        return cls(**{**raw, "sent_at": datetime.fromisoformat(raw["sent_at"])})


@record
class Reply:
    """What leaves as the passive reply of the same HTTP response. ``kind``: text, image, nothing, or transfer."""

    kind: str
    text: str = ""
    media_id: str = ""

    def to_json(self) -> dict[str, Any]:
        return {"kind": self.kind, "text": self.text, "media_id": self.media_id}


NOTHING = Reply("nothing")
"""Acknowledge and stay silent."""

TRANSFER = Reply("transfer")
"""Hand the person over to the platform's own customer service, where it has one (Official Accounts)."""


def text(content: str) -> Reply:
    return Reply("text", text=content)


def image(media_id: str) -> Reply:
    return Reply("image", media_id=media_id)
