"""A gateway that records what would have been sent, and refuses when it is told to."""

from collections import deque
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from typing import Any

from bot.kit.gateway import Card, GatewayError, Outcome, SceneCode, SendResult

TICKET = "sM4AOVdWfPE4DxkXGEs8VMCPGGVi4C3VM0P37wVUCFvkVAy_90u5h9nbSlYy3-Sl-HhTdfl2fzFy1AOcHKP7qg"


@dataclass
class FakeGateway:
    """Implements ``bot.kit.gateway.Gateway``. ``refusals`` are taken one a call; empty means success."""

    account: str = "demo"
    sent: list[tuple[str, str, str | bytes]] = field(default_factory=list)
    scenes: dict[str, str] = field(default_factory=dict)
    menus: list[dict[str, Any]] = field(default_factory=list)
    unionids: dict[str, str] = field(default_factory=dict)
    refusals: deque[SendResult] = field(default_factory=deque)
    troubles: deque[SendResult] = field(default_factory=deque)
    """What is answered instead of a follower's unionid."""
    pictures: dict[str, bytes] = field(default_factory=dict)
    """What people sent, by media id."""
    uploads: dict[str, bytes] = field(default_factory=dict)
    """What the shop uploaded, by media id."""
    cards: list[tuple[str, str, Card]] = field(default_factory=list)
    """(openid, template or subscription, card) of every card that left."""

    def send_text(self, openid: str, content: str) -> SendResult:
        return self._send(openid, "text", content)

    def send_image(self, openid: str, jpeg: bytes) -> SendResult:
        return self._send(openid, "image", jpeg)

    def send_template(self, openid: str, card: Card, client_id: str) -> SendResult:
        return self._card(openid, "template", card)

    def send_subscription(self, openid: str, card: Card) -> SendResult:
        return self._card(openid, "subscription", card)

    def _card(self, openid: str, kind: str, card: Card) -> SendResult:
        result = self._send(openid, kind, "\n".join([f"[{kind}]", *card.values.values()]))
        if result.outcome is not Outcome.SENT:
            return result
        self.cards.append((openid, kind, card))
        return SendResult(Outcome.SENT, message_id=str(len(self.cards)))

    def upload_image(self, jpeg: bytes) -> str:
        media_id = f"media-{sha256(jpeg).hexdigest()[:16]}"
        self.uploads[media_id] = jpeg
        return media_id

    def picture(self, media_id: str) -> bytes:
        if self.refusals:
            raise GatewayError(self.refusals.popleft())
        if media_id not in self.pictures:
            raise GatewayError(SendResult(Outcome.REJECTED, 40007))
        return self.pictures[media_id]

    def create_scene(self, scene: str, ttl_seconds: int) -> SceneCode:
        if self.refusals:
            raise GatewayError(self.refusals.popleft())
        url = f"http://weixin.qq.com/q/{len(self.scenes):04d}{scene[:6]}"
        self.scenes[url] = scene
        return SceneCode(f"ticket-{scene}", url, datetime.now(UTC) + timedelta(seconds=ttl_seconds))

    def unionid(self, openid: str) -> str:
        if self.troubles:
            raise GatewayError(self.troubles.popleft())
        return self.unionids.get(openid, "")

    def push_menu(self, menu: dict[str, Any]) -> None:
        self.menus.append(menu)

    def page_ticket(self) -> str:
        """The ticket of the platform's documented example."""
        if self.refusals:
            raise GatewayError(self.refusals.popleft())
        return TICKET

    def typing(self, openid: str) -> None:
        """Nobody sees it here."""

    def _send(self, openid: str, kind: str, content: str | bytes) -> SendResult:
        if self.refusals:
            return self.refusals.popleft()
        self.sent.append((openid, kind, content))
        return SendResult(Outcome.SENT)
