"""A corp in the shop's dialogue tests: employees, customers who add them, and what those see in WeCom.

The platform's API is a real peer on loopback, its callbacks go through the shop's own door.
"""

import time
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import text

from bot.kit.wecom import WeComs
from domain.audit.rules import Actor
from handlers.jobs.contact_ways import make
from tests.fakes.shop import Person, Shop
from tests.fakes.wecom_api import WeComApi
from tests.fakes.wecom_wire import Wire, xml


@dataclass
class Corp:
    """The corp of a shop. ``second``: the platform's clock in real seconds, moved by tests that care for order."""

    shop: Shop
    api: WeComApi
    second: int = field(default_factory=lambda: int(time.time()))

    def now(self) -> None:
        """What happens next happens now, however long the test took so far: a welcome has 20 real seconds."""
        self.second = max(self.second, int(time.time()))

    @property
    def wire(self) -> Wire:
        account = self.shop.runtime.settings.wecom["main"]
        return Wire(account.corp_id, account.token.reveal(), account.encoding_aes_key.reveal())

    def way(self, userid: str = "seller01", sharer: str = "", sku: str = "") -> str:
        """The state of a code that the shop has made."""
        found = self.of(self.shop.people[sharer])["id"] if sharer else None
        return make(self.shop.runtime.context, "main", userid, found, sku, Actor("wu", "owner")).token

    def adds(self, name: str, state: str = "", userid: str = "seller01", unionid: str = "", half: bool = False,
             code: bool = True, work: bool = True) -> str:
        """A customer adds an employee; returns the event as it was told."""
        welcome = self.api.friends(userid, external(name), name, unionid, state)
        event = self.event("add_half_external_contact" if half else "add_external_contact", name, userid,
                           State=state, **({"WelcomeCode": welcome} if code else {}))
        self.tells(event, work=work)
        return event

    def leaves(self, name: str, userid: str = "seller01", by: str = "customer", **more: str) -> str:
        change = "del_follow_user" if by == "customer" else "del_external_contact"
        event = self.event(change, name, userid, **more)
        self.tells(event)
        return event

    def event(self, change: str, name: str, userid: str = "seller01", **more: str) -> str:
        return xml(ToUserName=self.wire.corp_id, FromUserName="sys", CreateTime=self.second, MsgType="event",
                   Event="change_external_contact", ChangeType=change, UserID=userid, ExternalUserID=external(name),
                   **more)

    def tells(self, event: str, work: bool = True) -> None:
        """The platform tells it (once more)."""
        query, body = self.wire.post(event)
        answer = self.shop.client.post("/wecom/main", query_string=query, data=body)
        assert (answer.status_code, answer.data) == (200, b"success")
        if work:
            self.shop.work()

    def welcome(self, name: str) -> list[str]:
        """The welcomes that a customer got."""
        return [text for _, whose, text in self.api.welcomes if whose == external(name)]

    def tags(self, name: str, userid: str = "seller01") -> set[str]:
        """The tags that an employee sees on a customer."""
        return self.api.tags_of(userid, external(name))

    def contact(self, name: str, userid: str = "seller01") -> Any:
        with self.shop.runtime.sessions() as session:
            return session.execute(text("select * from contact where userid = :userid and external_userid = :name"),
                                   {"userid": userid, "name": external(name)}).one()

    def person(self, name: str) -> dict[str, Any]:
        return self.shop.get(f"/people?external_userid={external(name)}")

    def of(self, person: Person) -> dict[str, Any]:
        """A follower as the results API has them."""
        who = person.identity
        found: dict[str, Any] = self.shop.get(f"/people?openid={who['openid']}&app_id={who['app_id']}")
        return found

    def rest(self) -> None:
        """Real time has passed: no interface rests any more."""
        with self.shop.runtime.sessions.begin() as session:
            session.execute(text("delete from platform_hold"))

    def rows(self, query: str) -> list[tuple[Any, ...]]:
        with self.shop.runtime.sessions() as session:
            return [tuple(row) for row in session.execute(text(query))]

    @property
    def app(self) -> Any:
        return self.shop.runtime.context.tool(WeComs).by_account["main"]


def external(name: str) -> str:
    """A customer's external id."""
    return "wm" + name.encode().hex()
