"""The Official Account as a gateway: what we may ask of it, each call with its own rule for repeating."""

from dataclasses import field, replace
from datetime import timedelta
from typing import Any, NoReturn

from sqlalchemy import Engine
from sqlalchemy.exc import SQLAlchemyError

from bot.kit.gateway import Card, GatewayError, Outcome, SceneCode, SendResult
from bot.runtime.gateways.account import AccountConfig, RealTime
from bot.runtime.gateways.attempts import Api, Attempts, Observe
from bot.runtime.gateways.calls import Calls
from bot.runtime.gateways.faults import BAD_CARD_CODES, STALE_MEDIA, TRANSIENT_WAIT, Answer, Refusal
from bot.runtime.gateways.lines import Timeouts
from bot.runtime.gateways.locks import Locks
from bot.runtime.gateways.media import MediaCache
from bot.runtime.gateways.tickets import TicketHolder
from bot.runtime.gateways.tokens import TokenHealth, TokenHolder
from bot.runtime.gateways.transport import Act, Transport
from bot.runtime.gateways.vault import Vault
from domain.shared.records import record

MAX_TEXT = 2048
"""Bytes of UTF-8 in one text message; the caller splits."""

MAX_SCENE, MAX_SCENE_SECONDS = 64, 2_592_000
NO_MENU = 46003

SEND = Api("message/custom/send", sends=True)
TEMPLATE = Api("message/template/send", sends=True)
SUBSCRIPTION = Api("message/subscribe/bizsend", sends=True)
TEMPLATES = Api("template/get_all_private_template")
TYPING = Api("message/custom/typing", sends=True, tries=1)
SCENE = Api("qrcode/create")
MENU_PUSH = Api("menu/create")
MENU_GET = Api("menu/get")
USER = Api("user/info")
MEDIA = Api("media/get")


@record
class UserInfo:
    """What the platform still tells of a follower. ``unionid`` is '' unless the app is bound to an open platform."""

    openid: str = field(repr=False)
    unionid: str = field(repr=False)
    following: bool


def _unobserved(api: str, refusal: Refusal | None) -> None:
    """Nobody counts."""


class WeChatGateway:
    """Implements ``bot.kit.gateway.Gateway``. One per account and process, used by any number of threads.

    ``secret_key`` (16 bytes or more) seals the token in the database. Sends return a result; the other calls
    raise GatewayError. A database that is away raises SQLAlchemy's own errors: without it there is no token.
    Call with no transaction open: a call lasts as long as the platform likes and takes connections of its own.
    """

    def __init__(
        self,
        config: AccountConfig,
        engine: Engine,
        secret_key: bytes,
        real: RealTime | None = None,
        observe: Observe = _unobserved,
        timeouts: Timeouts | None = None,
    ) -> None:
        real = real or RealTime()
        self.account = config.account
        self._config = config
        self._real = real
        self._transport = Transport(config.app_id, config.api_base, real, timeouts or Timeouts())
        locks = Locks(engine)
        attempts = Attempts(engine, config, self._transport, real, observe)
        vault = Vault(secret_key)
        self._tokens = TokenHolder(config, engine, vault, attempts, locks, real)
        self._calls = Calls(attempts, self._tokens)
        self._tickets = TicketHolder(config.app_id, engine, vault, self._calls, locks, real)
        self._media = MediaCache(config.app_id, engine, self._calls, locks, real)

    def __repr__(self) -> str:
        return f"WeChatGateway({self.account!r})"

    def __reduce__(self) -> NoReturn:
        raise TypeError("a gateway holds secrets and connections: build it where it is used")

    def close(self) -> None:
        """Drop pooled connections."""
        self._transport.close()

    def send_text(self, openid: str, content: str) -> SendResult:
        """Push ``content`` (1..2048 bytes of UTF-8; longer is REJECTED here)."""
        try:
            size = len(content.encode())
        except UnicodeEncodeError:
            return SendResult(Outcome.REJECTED, detail="text is not Unicode")
        if not 0 < size <= MAX_TEXT:
            return SendResult(Outcome.REJECTED, detail=f"text of {size} bytes")
        return self._send(lambda client: client.message.send_text(openid, content))

    def send_image(self, openid: str, jpeg: bytes) -> SendResult:
        """Push a picture of 2 MiB at most. A media id that the platform has forgotten is uploaded again, once."""
        first = self._media.media_id(jpeg)
        if isinstance(first, Refusal):
            return first.result
        result = self._send(lambda client: client.message.send_image(openid, first))
        if result.errcode != STALE_MEDIA:
            return result
        self._media.forget(jpeg, first)
        second = self._media.media_id(jpeg)
        if isinstance(second, Refusal):
            return second.result
        return self._send(lambda client: client.message.send_image(openid, second))

    def send_template(self, openid: str, card: Card, client_id: str) -> SendResult:
        """A template message; the platform drops a second one with the same ``client_id`` for some minutes."""
        body = {"touser": openid, "template_id": card.template_id, "url": card.page, "client_msg_id": client_id,
                "data": {key: {"value": value} for key, value in card.values.items()}}
        return self._send_card(TEMPLATE, body)

    def send_subscription(self, openid: str, card: Card) -> SendResult:
        """A subscription notice. 43101 is NOT_ALLOWED: no permission of the person is left."""
        body = {"touser": openid, "template_id": card.template_id, "page": card.page,
                "data": {key: {"value": value} for key, value in card.values.items()}}
        return self._send_card(SUBSCRIPTION, body)

    def _send_card(self, api: Api, body: dict[str, Any]) -> SendResult:
        answer = self._calls.run(api, lambda client: client.post(api.name, data=body))
        if isinstance(answer, Refusal):
            result = answer.result
            return replace(result, outcome=Outcome.BAD_TEMPLATE) if result.errcode in BAD_CARD_CODES else result
        if answer.get("errcode") != 0:
            return SendResult(Outcome.UNKNOWN, detail="answer without an errcode")
        return SendResult(Outcome.SENT, message_id=str(answer.get("msgid") or ""))

    def templates(self) -> dict[str, str]:
        """The account's template messages: id -> content with ``{{thing1.DATA}}``. Raises GatewayError."""
        answer = self._ask(TEMPLATES, lambda client: client.get("template/get_all_private_template"))
        found = answer.get("template_list")
        rows = [one for one in found if isinstance(one, dict)] if isinstance(found, list) else []
        return {str(one.get("template_id")): str(one.get("content", "")) for one in rows}

    def upload_image(self, jpeg: bytes) -> str:
        """Temporary media id of these bytes, cached by content for 60 h. Raises GatewayError."""
        media_id = self._media.media_id(jpeg)
        if isinstance(media_id, Refusal):
            raise GatewayError(media_id.result)
        return media_id

    def picture(self, media_id: str) -> bytes:
        """See the port. Asked for at the account's own host only, whatever address a message named; 10 MiB at most."""
        answer = self._ask(MEDIA, lambda client: client.download(MEDIA.name, {"media_id": media_id}))
        return bytes(answer["content"])

    def create_scene(self, scene: str, ttl_seconds: int) -> SceneCode:
        """Temporary QR of ``scene`` (1..64 visible ASCII), 60..2 592 000 s; ``expires_at`` is real time.

        Raises GatewayError; CONFIG without a call for subscription accounts, which have no parametric QR.
        """
        if self._config.account_type != "service":
            raise GatewayError(SendResult(Outcome.CONFIG, detail="only service accounts have scene codes"))
        visible = all("!" <= letter <= "~" for letter in scene)
        if not (visible and 1 <= len(scene) <= MAX_SCENE and 60 <= ttl_seconds <= MAX_SCENE_SECONDS):
            raise GatewayError(SendResult(Outcome.REJECTED, detail="scene or lifetime out of range"))
        wanted = {
            "expire_seconds": ttl_seconds,
            "action_name": "QR_STR_SCENE",
            "action_info": {"scene": {"scene_str": scene}},
        }
        asked_at = self._real.now()
        answer = self._ask(SCENE, lambda client: client.qrcode.create(wanted))
        ticket, url, seconds = answer.get("ticket"), answer.get("url"), answer.get("expire_seconds")
        if not (isinstance(ticket, str) and isinstance(url, str) and type(seconds) is int and ticket and url):
            retry_at = asked_at + TRANSIENT_WAIT
            raise GatewayError(SendResult(Outcome.BACK_OFF, 0, "scene code without ticket or url", retry_at))
        return SceneCode(ticket, url, asked_at + timedelta(seconds=min(seconds, ttl_seconds)))

    def typing(self, openid: str) -> None:
        """Show 'typing' if the platform lets us; one try, never raises."""
        body = {"touser": openid, "command": "Typing"}
        try:
            self._calls.run(TYPING, lambda client: client.post("message/custom/typing", data=body))
        except SQLAlchemyError:
            return

    def user_info(self, openid: str) -> UserInfo:
        """Whether they follow, and their unionid. Raises GatewayError."""
        answer = self._ask(USER, lambda client: client.user.get(openid))
        return UserInfo(openid, str(answer.get("unionid") or ""), answer.get("subscribe") == 1)

    def unionid(self, openid: str) -> str:
        """See the port."""
        return self.user_info(openid).unionid

    def push_menu(self, menu: dict[str, Any]) -> None:
        """Replace the account's menu; ``menu`` is the platform's own JSON. Raises GatewayError."""
        self._ask(MENU_PUSH, lambda client: client.menu.create(menu))

    def get_menu(self) -> dict[str, Any] | None:
        """The account's menu as the platform has it, or None. Raises GatewayError."""
        answer = self._calls.run(MENU_GET, lambda client: client.get("menu/get"))
        if isinstance(answer, Refusal):
            if answer.result.errcode == NO_MENU:
                return None
            raise GatewayError(answer.result)
        return answer

    def ping_token(self) -> TokenHealth:
        """Ask the platform for the token now, past every hold. Raises GatewayError with cause (and our address)."""
        health = self._tokens.ping()
        if isinstance(health, Refusal):
            raise GatewayError(health.result)
        return health

    def page_ticket(self) -> str:
        """See the port."""
        ticket = self._tickets.current()
        if isinstance(ticket, Refusal):
            raise GatewayError(ticket.result)
        return ticket

    def _send(self, act: Act) -> SendResult:
        answer = self._calls.run(SEND, act)
        if isinstance(answer, Refusal):
            return answer.result
        if answer.get("errcode") != 0:
            return SendResult(Outcome.UNKNOWN, detail="answer without an errcode")
        return SendResult(Outcome.SENT)

    def _ask(self, api: Api, act: Act) -> Answer:
        answer = self._calls.run(api, act)
        if isinstance(answer, Refusal):
            raise GatewayError(answer.result)
        return answer
