"""What WeCom can do for us: one application of one corp. Implemented in bot.runtime.gateways, faked in tests."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from bot.kit.gateway import SendResult
from bot.kit.mass import MassMessages

TAG_LETTERS, REMARK_LETTERS = 30, 30
"""What the platform allows in the name of a tag, and in the remark of a contact way."""
MOST_TAGS = 3_000
"""Tags of one corp."""

TOO_LATE = frozenset({41049, 41050})
"""Codes of a welcome that came too late: the code is missing, wrong or has expired."""
WELCOMED = 41051
"""Somebody has welcomed this customer already, or the two have begun to chat."""
UNKNOWN_TAG = 40068


@dataclass(frozen=True, slots=True)
class Follower:
    """An employee who has the customer: with which state they came, which corp tags they carry."""

    userid: str
    state: str
    tag_ids: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Contact:
    """What the platform tells of a customer. ``unionid`` '' unless the corp's developer id is bound to the same subject
    as the Official Account's; ``wechat`` False: a user of another corp."""

    external_userid: str
    name: str = field(repr=False)
    avatar_url: str = field(repr=False)
    unionid: str = field(repr=False)
    wechat: bool
    followers: tuple[Follower, ...]


@dataclass(frozen=True, slots=True)
class CorpTag:
    id: str
    group: str
    name: str


@dataclass(frozen=True, slots=True)
class ContactWay:
    """A 「联系我」 code: ``url`` is its picture on the platform's server; ``config_id`` is needed to change it."""

    config_id: str
    url: str


class WeCom(MassMessages, Protocol):
    """One application. Methods block for seconds; those without a SendResult raise ``gateway.GatewayError``."""

    account: str
    corp_id: str

    def contact(self, external_userid: str) -> Contact:
        """Who a customer is, and who has them."""
        ...

    def welcome(self, code: str, text: str) -> SendResult:
        """Send the one welcome of ``code``, within 20 s of its event. Safe to repeat: a second one is ``WELCOMED``."""
        ...

    def tag_id(self, group: str, name: str) -> str:
        """The corp tag of this name in this group, made if there is none. One caller of all processes at a time."""
        ...

    def tags(self) -> Sequence[CorpTag]:
        """Every corp tag."""
        ...

    def mark(self, userid: str, external_userid: str, add: Sequence[str] = (),
             remove: Sequence[str] = ()) -> SendResult:
        """Put corp tags (ids) on a customer of an employee, or take them off. Safe to repeat."""
        ...

    def add_way(self, userid: str, state: str, remark: str) -> ContactWay:
        """A code that adds ``userid`` without asking them; whoever uses it arrives with ``state``."""
        ...

    def staff(self) -> Sequence[str]:
        """The employees (userids) who may have customers."""
        ...

    def tell(self, userid: str, text: str) -> SendResult:
        """A message of the application to an employee."""
        ...


@dataclass(frozen=True, slots=True)
class WeComs:
    """The applications of this instance by account name."""

    by_account: Mapping[str, WeCom]
