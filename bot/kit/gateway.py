"""What the outside can do for us, and how it may refuse. Implemented in bot.runtime.gateways, faked in tests."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any, Protocol


class Outcome(StrEnum):
    """What became of a call to the platform. Only SENT is success; each other value has one remedy."""

    SENT = "sent"
    WINDOW_CLOSED = "window_closed"      # 45015: no right until the person acts again
    QUOTA_USED = "quota_used"            # 45047: this window's messages are used up
    UNFOLLOWED = "unfollowed"            # 43004, 40003: the person left
    MUTED = "muted"                      # 48002: the person switched messages off
    BACK_OFF = "back_off"                # 45009, 45011, -1, 5xx: try again at ``retry_at``
    CONFIG = "config"                    # 40164, 40243, 40013, 40125, 48001, 48004, 50002, bad token: a person must act
    NOT_ALLOWED = "not_allowed"          # 43101: the person said no to this template, or the token was used up
    BAD_TEMPLATE = "bad_template"        # 47003, 40036, 40037, 41030 of a card: a person must mend the template
    REJECTED = "rejected"                # 45002, 45008, 40007 after re-upload, 47003: our own fault
    UNKNOWN = "unknown"                  # timed out after sending: may have arrived, never repeat blindly


@dataclass(frozen=True, slots=True)
class SendResult:
    outcome: Outcome
    errcode: int = 0
    detail: str = ""                     # safe for logs and console: no token, no personal data
    retry_at: datetime | None = None     # real time, for BACK_OFF
    message_id: str = ""                 # the platform's, of a card: it reports by it


@dataclass(frozen=True, slots=True)
class Card:
    """A notice as the fields of a template. ``values`` fit their fields; ``page``: what a tap opens, '' for nothing."""

    template_id: str
    values: Mapping[str, str]
    page: str = ""


@dataclass(frozen=True, slots=True)
class SceneCode:
    """A parametric QR of the platform: draw ``url`` ourselves; dead after ``expires_at``."""

    ticket: str
    url: str
    expires_at: datetime


class GatewayError(Exception):
    """A call that returns something could not: carries the same outcome as a send. Never holds a secret."""

    def __init__(self, result: SendResult) -> None:
        super().__init__(f"{result.outcome}: {result.errcode} {result.detail}")
        self.result = result

    def __reduce__(self) -> "tuple[type[GatewayError], tuple[SendResult]]":
        """Workers and error reporters pickle exceptions; the message alone would not build one again."""
        return GatewayError, (self.result,)


class Gateway(Protocol):
    """One account of one platform. Methods block; connect 3 s, read 8 s at most per try."""

    account: str

    def send_text(self, openid: str, content: str) -> SendResult: ...

    def send_image(self, openid: str, jpeg: bytes) -> SendResult:
        """Uploads (or takes the media cache) and sends; a stale media id is uploaded again once."""
        ...

    def send_template(self, openid: str, card: Card, client_id: str) -> SendResult:
        """A template message; ``client_id`` (32 characters at most) lets the platform drop a repetition."""
        ...

    def send_subscription(self, openid: str, card: Card) -> SendResult:
        """A subscription notice: uses up one permission that the person gave."""
        ...

    def upload_image(self, jpeg: bytes) -> str:
        """Temporary media id of these bytes, cached by content for 60 h. Raises GatewayError."""
        ...

    def picture(self, media_id: str) -> bytes:
        """The bytes of a picture that somebody sent us, as they came: open them with suspicion. The platform keeps them
        for three days. Raises GatewayError; REJECTED when there is no such picture any more."""
        ...

    def create_scene(self, scene: str, ttl_seconds: int) -> SceneCode:
        """Temporary string-scene QR, scene 1..64 ASCII, ttl <= 2 592 000. Raises GatewayError."""
        ...

    def unionid(self, openid: str) -> str:
        """What a follower is called on all accounts of the same open platform, '' if the platform does not tell. Raises
        GatewayError."""
        ...

    def push_menu(self, menu: dict[str, Any]) -> None:
        """Replace the menu below the chat; ``menu`` is the body of menu/create. Raises GatewayError."""
        ...

    def page_ticket(self) -> str:
        """What signs pages for the platform's JS-SDK; secret, cached, shared. Raises GatewayError."""
        ...

    def typing(self, openid: str) -> None:
        """Show 'typing' if the platform lets us; never raises."""
        ...
