"""The phones of everybody, and the platform between them and the shop, with its real rules.

The platform counts rights by itself, from what people do: a message allows 5 customer messages in 48 hours; a follow, a
scan or a tap on the menu 3 within a minute. It refuses whoever left, is busy now and then, loses an answer, and has a
quota a day. What it holds is what an auditor may read: nothing here comes from the shop's tables.
"""

import random
import re
from collections import defaultdict
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from threading import Lock
from typing import Any, Literal

from bot.kit.gateway import Card, GatewayError, Outcome, SceneCode, SendResult
from domain.shared.clock import Clock, business_date, day_starts
from domain.shared.records import record

What = Literal["said", "tapped", "followed", "scanned", "left", "allowed", "reply", "text", "picture", "template",
               "subscription", "lost", "refused"]
ACTS: frozenset[What] = frozenset({"said", "tapped", "followed", "scanned"})
"""What people do that shows them awake and opens a right."""
CARDS: frozenset[What] = frozenset({"template", "subscription"})
"""Notices that need no open window: the content is the template's name and, behind a space, the values."""
PUSHES: frozenset[What] = CARDS.union({"text", "picture"})
"""What the shop sent by itself, outside the answer to a callback. What the platform took and ``lost`` without a word
reached nobody: the shop cannot know, and does not send it again."""

MESSAGE_RIGHTS, MESSAGE_SPAN = 5, timedelta(hours=48)
TAP_RIGHTS, TAP_SPAN = 3, timedelta(minutes=1)
NO_RIGHT, USED_UP, GONE, BUSY, QUOTA, NOT_ALLOWED, NO_TEMPLATE = 45015, 45047, 43004, -1, 45009, 43101, 40037

URL = re.compile(rb"http://weixin\.qq\.com/q/\S+")


@record
class Line:
    """One line of the log of a phone. ``code``: the platform's number when it refused what the shop sent."""

    at: datetime
    openid: str
    what: What
    content: str
    code: int = 0


@dataclass(slots=True)
class _Chat:
    follows: bool = False
    messages: int = 0
    messages_until: datetime | None = None
    taps: int = 0
    taps_until: datetime | None = None
    picture: bytes = b""


@dataclass
class Phones:
    """Implements ``bot.kit.gateway.Gateway``. ``busy`` and ``lost``: shares of the calls that the platform refuses for
    a moment, and whose answer never comes back. ``quotas``: messages on a day of the shop; other days have none."""

    account: str
    clock: Clock
    luck: random.Random
    busy: float = 0.0
    lost: float = 0.0
    quotas: dict[Any, int] = field(default_factory=dict)
    log: list[Line] = field(default_factory=list)
    scenes: dict[str, str] = field(default_factory=dict)
    templates: dict[str, str] = field(default_factory=dict)
    subscriptions: dict[str, str] = field(default_factory=dict)
    """What the account has added on the platform: id → name, apart for the two kinds of cards."""
    _chats: dict[str, _Chat] = field(default_factory=lambda: defaultdict(_Chat))
    _allowed: dict[tuple[str, str], int] = field(default_factory=lambda: defaultdict(int))
    _cards: set[str] = field(default_factory=set)
    _today: dict[Any, int] = field(default_factory=lambda: defaultdict(int))
    _lock: Lock = field(default_factory=Lock)

    def acts(self, openid: str, what: What, content: str) -> None:
        """Somebody does something on their phone: it is logged, and opens what it opens."""
        now, chat = self.clock.now(), self._chats[openid]
        self.log.append(Line(now, openid, what, content))
        if what == "left":
            self._chats[openid] = _Chat(picture=chat.picture)
            return
        if what == "said":
            chat.messages, chat.messages_until = MESSAGE_RIGHTS, now + MESSAGE_SPAN
        else:
            chat.follows |= what == "followed"
            chat.taps, chat.taps_until = TAP_RIGHTS, now + TAP_SPAN

    def answered(self, openid: str, content: str) -> None:
        """The answer to a callback: it needs no right."""
        self.log.append(Line(self.clock.now(), openid, "reply", content))

    def follows(self, openid: str) -> bool:
        return self._chats[openid].follows

    def scene_of(self, openid: str) -> str:
        """The scene behind the last poster on somebody's phone; '' when there is none."""
        found = URL.search(self._chats[openid].picture)
        return self.scenes.get(found[0].decode(), "") if found else ""

    def send_text(self, openid: str, content: str) -> SendResult:
        return self._send(openid, "text", content)

    def send_image(self, openid: str, jpeg: bytes) -> SendResult:
        result = self._send(openid, "picture", jpeg.decode("utf-8", "replace"))
        if result.outcome is Outcome.SENT and URL.search(jpeg):
            self._chats[openid].picture = jpeg
        return result

    def allows(self, openid: str, template_id: str) -> None:
        """Yes on the platform's sheet: one subscription notice more. It opens no window."""
        self._allowed[openid, template_id] += 1
        self.log.append(Line(self.clock.now(), openid, "allowed", self.subscriptions[template_id]))

    def last_reply(self, openid: str) -> str:
        """The last answer in the chat; '' when the last word was not answered."""
        for line in reversed(self.log):
            if line.openid == openid and line.what in ("reply", "said"):
                return line.content if line.what == "reply" else ""
        return ""

    def send_template(self, openid: str, card: Card, client_id: str) -> SendResult:
        """Whoever follows gets it; the same ``client_id`` again is taken and dropped."""
        with self._lock:
            if client_id in self._cards:
                return SendResult(Outcome.SENT, message_id=client_id)
            result = self._card(openid, "template", self.templates.get(card.template_id, ""), card)
            if result.outcome is Outcome.SENT:
                self._cards.add(client_id)
            return result

    def send_subscription(self, openid: str, card: Card) -> SendResult:
        """Uses up one permission; without any the platform refuses."""
        with self._lock:
            name = self.subscriptions.get(card.template_id, "")
            if name and not self._allowed[openid, card.template_id]:
                self.log.append(Line(self.clock.now(), openid, "refused", name, NOT_ALLOWED))
                return SendResult(Outcome.NOT_ALLOWED, NOT_ALLOWED)
            result = self._card(openid, "subscription", name, card)
            if result.outcome is Outcome.SENT:
                self._allowed[openid, card.template_id] -= 1
            return result

    def _card(self, openid: str, what: What, name: str, card: Card) -> SendResult:
        now, content = self.clock.now(), " ".join((name, *card.values.values()))
        if not name or not self._chats[openid].follows:
            code = GONE if name else NO_TEMPLATE
            self.log.append(Line(now, openid, "refused", content, code))
            return SendResult(Outcome.UNFOLLOWED if name else Outcome.BAD_TEMPLATE, code)
        self.log.append(Line(now, openid, what, content))
        return SendResult(Outcome.SENT, message_id=f"{len(self.log)}")

    def upload_image(self, jpeg: bytes) -> str:
        return f"media-{len(jpeg)}"

    def picture(self, media_id: str) -> bytes:
        raise GatewayError(SendResult(Outcome.REJECTED, 40007, "nobody sends pictures here"))

    def create_scene(self, scene: str, ttl_seconds: int) -> SceneCode:
        if len(scene) > 64 or ttl_seconds > 2_592_000:
            raise GatewayError(SendResult(Outcome.REJECTED, 40053))
        url = f"http://weixin.qq.com/q/{len(self.scenes):06d}{scene[:8]}"
        self.scenes[url] = scene
        return SceneCode(f"ticket-{scene}", url, datetime.now(UTC) + timedelta(seconds=ttl_seconds))

    def push_menu(self, menu: dict[str, Any]) -> None:
        """Nobody looks at it here."""

    def unionid(self, openid: str) -> str:
        """Nobody here is somebody else, too."""
        return ""

    def page_ticket(self) -> str:
        return "no page is opened in a rehearsal"

    def typing(self, openid: str) -> None:
        """Nobody looks at it here."""

    def _send(self, openid: str, what: What, content: str) -> SendResult:
        with self._lock:
            now = self.clock.now()
            refused = self._refusal(openid, now)
            if refused is not None:
                self.log.append(Line(now, openid, "refused", content, refused.errcode))
                return refused
            self._today[business_date(now)] += 1
            if self.luck.random() < self.lost:
                self.log.append(Line(now, openid, what if self.luck.random() < 0.5 else "lost", content))
                return SendResult(Outcome.UNKNOWN, detail="the answer was lost")
            self.log.append(Line(now, openid, what, content))
            return SendResult(Outcome.SENT)

    def _refusal(self, openid: str, now: datetime) -> SendResult | None:
        """Why the platform does not take a message; None when it does, and then the right is used."""
        chat = self._chats[openid]
        if not chat.follows:
            return SendResult(Outcome.UNFOLLOWED, GONE)
        quota = self.quotas.get(business_date(now))
        if quota is not None and self._today[business_date(now)] >= quota:
            midnight = day_starts(business_date(now + timedelta(days=1)))
            return SendResult(Outcome.BACK_OFF, QUOTA, retry_at=datetime.now(UTC) + (midnight - now))
        if self.luck.random() < self.busy:
            return SendResult(Outcome.BACK_OFF, BUSY, retry_at=datetime.now(UTC) + timedelta(seconds=30))
        if chat.taps and chat.taps_until and now < chat.taps_until:
            chat.taps -= 1
        elif chat.messages_until and now < chat.messages_until:
            if not chat.messages:
                return SendResult(Outcome.QUOTA_USED, USED_UP)
            chat.messages -= 1
        else:
            return SendResult(Outcome.WINDOW_CLOSED, NO_RIGHT)
        return None

