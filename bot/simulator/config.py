"""What the simulator is told when it is mounted. Everything it knows about the service is in here."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Literal

from bot.simulator import texts


def _system_now() -> datetime:
    return datetime.now(UTC)


def _no_products() -> list[dict[str, Any]]:
    return []


def _no_benefits(_app_id: str, _openid: str) -> Sequence[str]:
    return ()


@dataclass(frozen=True, slots=True)
class SimAccount:
    """One Official Account as both sides know it. ``account`` is the last part of its callback path.

    ``mode`` is how callbacks leave: "safe" (cipher only), "compatible" (plain and cipher), "plain".
    """

    account: str
    app_id: str
    app_secret: str = field(repr=False)
    token: str = field(repr=False)
    encoding_aes_key: str = field(repr=False)
    original_id: str
    name: str
    mode: Literal["safe", "compatible", "plain"] = "safe"


@dataclass(frozen=True, slots=True)
class SimMerchant:
    """One merchant account as WeChat Pay knows it. Keys and certificates are PEM.

    ``public_key`` is the merchant's; ``platform_key`` signs answers, under the id ``public_key_id`` if there is one
    (public-key mode), else under the serial of ``platform_certificate``. ``account_of_people``: whose followers the
    openids of ``app_id`` are.
    """

    mch_id: str
    app_id: str
    account_of_people: str
    serial_no: str
    public_key: str
    api_v3_key: str = field(repr=False)
    platform_key: str = field(repr=False)
    platform_certificate: str
    platform_serial: str
    public_key_id: str = ""
    scene: str = "1005"
    """The one scene that the merchant may pay for."""

    @property
    def signs_as(self) -> str:
        return self.public_key_id or self.platform_serial


@dataclass(frozen=True, slots=True)
class SimStaff:
    """A member of a corp who may have customers as contacts. ``userid`` is lower case, as WeCom's answers are."""

    userid: str
    name: str


@dataclass(frozen=True, slots=True)
class SimCorp:
    """One application of a WeCom corp as both sides know it. ``account`` is the last part of its callback path.

    ``customers``: the application is on the list of those that may use the customers' APIs, else they say 48002.
    ``monthly``: mass messages that a customer may get in a calendar month, 0 for as many as it has days.
    """

    account: str
    corp_id: str
    agent_id: int
    secret: str = field(repr=False)
    token: str = field(repr=False)
    encoding_aes_key: str = field(repr=False)
    name: str
    staff: tuple[SimStaff, ...] = (SimStaff("xiaozhushou", texts.STAFF_NAME),)
    customers: bool = True
    monthly: int = 0

    def member(self, userid: str) -> SimStaff | None:
        """The member of this userid; its letters may be written large or small."""
        return next((one for one in self.staff if one.userid == userid.lower()), None)


@dataclass(frozen=True, slots=True)
class SimTemplate:
    """A template of the account: its fields, key -> label. ``offered``: people may allow it on the sheet."""

    template_id: str
    title: str
    fields: Mapping[str, str]
    offered: bool = False


@dataclass(frozen=True, slots=True)
class SimPerson:
    """Somebody who has a phone from the start; ``follows`` sends the follow event at first use."""

    name: str
    follows: bool = True


@dataclass(frozen=True, slots=True)
class SimConfig:
    """Settings of one simulator.

    ``base_url``: where the service's doors are, no trailing slash; a callable when the port is known late.
    ``now`` is business time (rights to send, codes, media, order times); ``real_now`` is real time
    (signatures, access tokens, daily quotas). ``advance_clock`` moves business time by seconds and returns it.
    ``products`` gives the shelf: dicts with sku, title, category, price_fen and, if there is one, image_url.
    ``benefits`` gives a customer's membership benefits by (app_id, openid), as the API of a person says them.
    ``templates``: what the account has added for template messages and subscription notices.
    ``corps``: the WeCom side; with one, accounts and corps are bound to one open platform, so people have a unionid.
    ``quotas`` replaces daily limits by API path, e.g. {"message/custom/send": 10}.
    ``callback_timeout`` is the platform's patience with one try, in seconds; tries start that far apart.
    """

    base_url: str | Callable[[], str]
    database_url: str = field(repr=False)
    accounts: tuple[SimAccount, ...]
    webhook_secret: str = field(repr=False)
    webhook_source: str
    now: Callable[[], datetime]
    advance_clock: Callable[[int], datetime]
    shop_name: str = texts.SHOP_NAME
    products: Callable[[], list[dict[str, Any]]] = _no_products
    benefits: Callable[[str, str], Sequence[str]] = _no_benefits
    people: tuple[SimPerson, ...] = (
        SimPerson(texts.PERSON_LI), SimPerson(texts.PERSON_WANG), SimPerson(texts.PERSON_NEW, follows=False))
    merchants: tuple[SimMerchant, ...] = ()
    corps: tuple[SimCorp, ...] = ()
    templates: tuple[SimTemplate, ...] = ()
    quotas: Mapping[str, int] = field(default_factory=dict)
    callback_timeout: float = 5.0
    real_now: Callable[[], datetime] = _system_now

    def __post_init__(self) -> None:
        if not self.accounts:
            raise ValueError("the simulator needs at least one account")
        if len({account.app_id for account in self.accounts}) != len(self.accounts):
            raise ValueError("two accounts share an app_id")
        if len({corp.account for corp in self.corps}) != len(self.corps):
            raise ValueError("two corps share an account name")

    def service_url(self) -> str:
        """The service's base URL at this moment, without trailing slash."""
        base = self.base_url if isinstance(self.base_url, str) else self.base_url()
        return base.rstrip("/")

    def merchant(self, mch_id: str) -> SimMerchant | None:
        return next((one for one in self.merchants if one.mch_id == mch_id), None)

    def by_app_id(self, app_id: str) -> SimAccount | None:
        return next((account for account in self.accounts if account.app_id == app_id), None)

    def by_name(self, account: str) -> SimAccount | None:
        return next((one for one in self.accounts if one.account == account), None)

    def corp(self, account: str) -> SimCorp | None:
        return next((one for one in self.corps if one.account == account), None)

    def corp_of(self, corp_id: object) -> list[SimCorp]:
        """The applications of a corp."""
        return [one for one in self.corps if one.corp_id == corp_id]
