"""A WeCom application as a gateway: what we may ask of it, each call with its own rule for repeating.

Built of the Official Account's parts (transport, attempts, holds, token): docs/adr/0009 and 0033. Another api is one
``Api`` and one method: ``_ask`` for what returns something, ``_send`` for what only happens.
"""

import threading
from collections.abc import Sequence
from dataclasses import field
from typing import Any, NoReturn

from sqlalchemy import Engine

from bot.kit.gateway import GatewayError, Outcome, SendResult
from bot.kit.wecom import MOST_TAGS, Contact, ContactWay, CorpTag, Follower
from bot.runtime.gateways.account import AccountConfig, RealTime
from bot.runtime.gateways.attempts import Api, Attempts, Observe
from bot.runtime.gateways.calls import Calls
from bot.runtime.gateways.faults import WECOM, Answer, Refusal
from bot.runtime.gateways.lines import Timeouts
from bot.runtime.gateways.locks import Locks, LockTimeout
from bot.runtime.gateways.tokens import TokenHealth, TokenHolder
from bot.runtime.gateways.transport import Act, PlatformClient, Transport
from bot.runtime.gateways.vault import Vault
from bot.runtime.gateways.wecom_mass import MassCalls
from domain.shared.records import record

GET_TOKEN = Api("gettoken")
CONTACT = Api("externalcontact/get", tries=2)
"""Somebody waits to be welcomed meanwhile."""
WELCOME = Api("externalcontact/send_welcome_msg", tries=1, rests=False)
"""Lives for twenty seconds: its caller repeats it, and nobody's trouble holds another customer's welcome back."""
TAGS = Api("externalcontact/get_corp_tag_list")
ADD_TAG = Api("externalcontact/add_corp_tag")
MARK = Api("externalcontact/mark_tag")
ADD_WAY = Api("externalcontact/add_contact_way", sends=True)
"""Not repeated in doubt either: every code counts against the quota of the corp."""
STAFF = Api("externalcontact/get_follow_user_list")
TELL = Api("message/send", sends=True)

MARKS_AT_ONCE = 2
"""mark_tag bears about five calls of a corp at a time; a few processes may be at it."""
MAX_TEXT = 2048
"""Bytes of UTF-8 in a message to an employee."""
MAX_WELCOME = 4000
QUICK = Timeouts(connect=2, read=5)


@record
class AppConfig:
    """One application. ``api_base`` e.g. ``https://qyapi.weixin.qq.com``."""

    account: str
    corp_id: str
    agent_id: int
    secret: str = field(repr=False)
    api_base: str = "https://qyapi.weixin.qq.com"

    @property
    def key(self) -> str:
        """What the application's token and holds are kept under: every application of a corp has its own."""
        return f"{self.corp_id}:{self.agent_id}"


class CorpToken:
    """WeCom's way to a token: asking again gives the living one, so there is nothing to force."""

    api, forced = GET_TOKEN, None

    def __init__(self, config: AppConfig) -> None:
        # Parameters that are no dict keep the SDK from adding a token to this call.
        self._params = (("corpid", config.corp_id), ("corpsecret", config.secret))

    def asking(self, force: bool) -> Act:
        def ask(client: PlatformClient) -> Answer:
            answer: Answer = client.get(GET_TOKEN.name, params=self._params)
            return answer

        return ask


def _unobserved(api: str, refusal: Refusal | None) -> None:
    """Nobody counts."""


class WeComGateway(MassCalls):
    """Implements ``bot.kit.wecom.WeCom``. One per application and process, used by any number of threads.

    As ``WeChatGateway``: call with no transaction open; ``secret_key`` seals the token in the database.
    """

    def __init__(self, config: AppConfig, engine: Engine, secret_key: bytes, real: RealTime | None = None,
                 observe: Observe = _unobserved, timeouts: Timeouts | None = None) -> None:
        real = real or RealTime()
        self.account, self.corp_id, self._agent_id = config.account, config.corp_id, config.agent_id
        account = AccountConfig(config.account, config.key, config.secret, config.api_base, codes=WECOM)
        self._transport = Transport(config.key, config.api_base, real, timeouts or QUICK, WECOM)
        self._locks = Locks(engine)
        attempts = Attempts(engine, account, self._transport, real, observe)
        self._tokens = TokenHolder(account, engine, Vault(secret_key), attempts, self._locks, real, CorpToken(config))
        self._calls = Calls(attempts, self._tokens)
        self._marks = threading.BoundedSemaphore(MARKS_AT_ONCE)

    def __repr__(self) -> str:
        return f"WeComGateway({self.account!r})"

    def __reduce__(self) -> NoReturn:
        raise TypeError("a gateway holds secrets and connections: build it where it is used")

    def close(self) -> None:
        """Drop pooled connections."""
        self._transport.close()

    def contact(self, external_userid: str) -> Contact:
        """See the port."""
        answer = self._ask(CONTACT, params={"external_userid": external_userid})
        who = answer.get("external_contact")
        if not isinstance(who, dict):
            raise GatewayError(SendResult(Outcome.REJECTED, detail="a contact without its person"))
        return Contact(external_userid, _text(who, "name"), _text(who, "avatar"), _text(who, "unionid"),
                       who.get("type") == 1, tuple(_follower(one) for one in _rows(answer, "follow_user")))

    def welcome(self, code: str, text: str) -> SendResult:
        """See the port. ``text`` is cut at 4000 bytes."""
        return self._send(WELCOME, {"welcome_code": code, "text": {"content": _fit(text, MAX_WELCOME)}})

    def tags(self) -> Sequence[CorpTag]:
        """See the port."""
        answer = self._ask(TAGS, {})
        return [CorpTag(_text(tag, "id"), _text(group, "group_name"), _text(tag, "name"))
                for group in _rows(answer, "tag_group") for tag in _rows(group, "tag") if not tag.get("deleted")]

    def tag_id(self, group: str, name: str) -> str:
        """See the port. A corp that is full is QUOTA_USED and is not asked: it would refuse every new name."""
        try:
            with self._locks.hold(f"wecom tags {self.corp_id}"):
                known = self.tags()
                found = _tag_in(known, group, name)
                if found:
                    return found
                if len(known) >= MOST_TAGS:
                    detail = f"the corp has {len(known)} tags, {MOST_TAGS} are allowed"
                    raise GatewayError(SendResult(Outcome.QUOTA_USED, detail=detail))
                return self._add_tag(group, name)
        except LockTimeout:
            raise GatewayError(SendResult(Outcome.BACK_OFF, detail="another process makes tags")) from None

    def _add_tag(self, group: str, name: str) -> str:
        try:
            answer = self._ask(ADD_TAG, {"group_name": group, "tag": [{"name": name}]})
        except GatewayError as refusal:
            # An administrator may have made it in this very moment.
            found = "" if refusal.result.outcome is not Outcome.REJECTED else _tag_in(self.tags(), group, name)
            if not found:
                raise
            return found
        made = answer.get("tag_group")
        for tag in _rows(made, "tag") if isinstance(made, dict) else ():
            if tag.get("name") == name and _text(tag, "id"):
                return _text(tag, "id")
        raise GatewayError(SendResult(Outcome.REJECTED, detail="a new tag without its id"))

    def mark(self, userid: str, external_userid: str, add: Sequence[str] = (),
             remove: Sequence[str] = ()) -> SendResult:
        """See the port."""
        body: dict[str, Any] = {"userid": userid, "external_userid": external_userid}
        body |= {"add_tag": list(add)} if add else {}
        body |= {"remove_tag": list(remove)} if remove else {}
        with self._marks:
            return self._send(MARK, body)

    def add_way(self, userid: str, state: str, remark: str) -> ContactWay:
        """See the port."""
        answer = self._ask(ADD_WAY, {"type": 1, "scene": 2, "remark": remark, "skip_verify": True, "state": state,
                                     "user": [userid]})
        if not (_text(answer, "config_id") and _text(answer, "qr_code")):
            raise GatewayError(SendResult(Outcome.UNKNOWN, detail="a contact way without its code"))
        return ContactWay(_text(answer, "config_id"), _text(answer, "qr_code"))

    def staff(self) -> Sequence[str]:
        """See the port."""
        found = self._ask(STAFF).get("follow_user")
        return [str(one).lower() for one in found] if isinstance(found, list) else []

    def tell(self, userid: str, text: str) -> SendResult:
        """See the port. ``text`` is cut at 2048 bytes."""
        return self._send(TELL, {"touser": userid, "msgtype": "text", "agentid": self._agent_id,
                                 "text": {"content": _fit(text, MAX_TEXT)}})

    def ping_token(self) -> TokenHealth:
        """Ask the platform for the token now, past every hold. Raises GatewayError with cause (and our address)."""
        health = self._tokens.ping()
        if isinstance(health, Refusal):
            raise GatewayError(health.result)
        return health

    def _send(self, api: Api, body: dict[str, Any]) -> SendResult:
        answer = self._calls.run(api, _act(api, body))
        if isinstance(answer, Refusal):
            return answer.result
        if answer.get("errcode") != 0:
            return SendResult(Outcome.UNKNOWN, detail="answer without an errcode")
        return SendResult(Outcome.SENT, message_id=_text(answer, "msgid"))

    def _ask(self, api: Api, body: dict[str, Any] | None = None, params: dict[str, str] | None = None) -> Answer:
        """The answer of a call; without a body it is a GET. Raises GatewayError."""
        answer = self._calls.run(api, _act(api, body, params))
        if isinstance(answer, Refusal):
            raise GatewayError(answer.result)
        return answer


def _act(api: Api, body: dict[str, Any] | None, params: dict[str, str] | None = None) -> Act:
    def act(client: PlatformClient) -> Answer:
        # The SDK writes the token into the dict that it is given: a fresh one for every try.
        asked = dict(params or {})
        answer: Answer = (client.get(api.name, params=asked) if body is None
                          else client.post(api.name, params=asked, data=body))
        return answer

    return act


def _text(node: dict[str, Any], name: str) -> str:
    value = node.get(name)
    return value if isinstance(value, str) else ""


def _rows(node: dict[str, Any], name: str) -> list[dict[str, Any]]:
    found = node.get(name)
    return [one for one in found if isinstance(one, dict)] if isinstance(found, list) else []


def _follower(row: dict[str, Any]) -> Follower:
    tags = tuple(_text(tag, "tag_id") for tag in _rows(row, "tags") if _text(tag, "tag_id"))
    return Follower(_text(row, "userid").lower(), _text(row, "state"), tags)


def _tag_in(known: Sequence[CorpTag], group: str, name: str) -> str:
    return next((tag.id for tag in known if (tag.group, tag.name) == (group, name)), "")


def _fit(text: str, limit: int) -> str:
    """``text`` in at most ``limit`` bytes of UTF-8, cut between characters."""
    encoded = text.encode("utf-8", "replace")
    return text if len(encoded) <= limit else encoded[: limit - 3].decode("utf-8", "ignore") + "…"
