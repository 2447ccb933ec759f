"""What a rehearsed shop is made of: people, their purchases, and a script of events in the order of time."""

import random
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from domain.shared.records import record

APP = "wxrehearsal"
START = datetime(2026, 9, 1, 0, 0, tzinfo=UTC)
DAYS = 75
HOME_CITY = "5301"
CITIES = ("1101", "3101", "4401", "4403", "3301", "5101", "3201", "4201", "6101", "3702")
GOODS = (("RICE", "fmcg", 4_950), ("TEA", "fmcg", 12_800), ("HONEY", "fmcg", 6_800), ("OIL", "fmcg", 8_900),
         ("NUTS", "fmcg", 3_990), ("LAMP", "digital", 15_900), ("TOWEL", "home", 2_990))
TRIAL = ("TRIAL", "fmcg", 990)

Json = dict[str, Any]


@dataclass(slots=True)
class Human:
    """Somebody who buys; ``sharer`` brought them. ``payer``, ``device``, ``address`` are what they use themselves."""

    name: str
    sharer: str = ""
    region: str = HOME_CITY + "02"
    payer: str = ""
    device: str = ""
    address: str = ""
    phone: str = ""

    def __post_init__(self) -> None:
        self.payer = self.payer or self.openid
        self.device = self.device or f"device of {self.name}"
        self.address = self.address or f"home of {self.name}"

    @property
    def openid(self) -> str:
        return f"o-{self.name}"


@record
class Told:
    """One event of the script: at this time, of this type. ``share`` names whose referral code goes with it."""

    at: datetime
    kind: str
    data: Json
    share: str = ""


@dataclass(slots=True)
class Script:
    """Everything that is told to the shop. ``planted``: order → scheme; ``schemes``: scheme → the rule it is meant for;
    ``heads``: who now and then pays for whom in a family, or lends them the phone."""

    luck: random.Random
    events: list[Told] = field(default_factory=list)
    planted: dict[str, str] = field(default_factory=dict)
    schemes: dict[str, str] = field(default_factory=dict)
    people: dict[str, Human] = field(default_factory=dict)
    heads: dict[str, Human] = field(default_factory=dict)
    orders: int = 0

    def someone(self, human: Human, at: datetime) -> Human:
        """They are known to the shop from ``at`` on."""
        self.people[human.name] = human
        identities = {"openid": human.openid, "app_id": APP, "mall_user_id": human.name}
        if human.phone:
            identities["phone"] = human.phone
        self.events.append(Told(at, "customer.upserted", {"identities": identities, "nickname": human.name}))
        return human

    def buy(self, who: Human, at: datetime, goods: tuple[str, str, int] | None = None, pieces: int = 0,
            scheme: str = "", **other: str) -> str:
        """One order, shipped in a day, received in four; ``other`` payer, device, address or region than their own."""
        self.orders += 1
        number = f"R{self.orders:05d}"
        sku, category, price = goods or self.luck.choice(GOODS)
        pieces = pieces or self.luck.choice((1, 1, 1, 2, 2, 3))
        used = {name: other.get(name, getattr(who, name)) for name in ("payer", "device", "address")}
        buyer = {"openid": who.openid, "app_id": APP, "mall_user_id": who.name}
        if who.phone:
            buyer["phone"] = who.phone
        self.events.append(Told(at, "order.paid", {
            "order_id": number, "channel": "mall", "currency": "CNY", "paid_at": at.isoformat(), "buyer": buyer,
            "paid_fen": price * pieces, "shipping_fen": 0, "region": other.get("region", who.region), "risk": used,
            "lines": [{"line_id": "1", "sku": sku, "title": sku, "category": category, "quantity": pieces,
                       "paid_fen": price * pieces}],
        }, who.sharer))
        received = at + timedelta(days=4)
        self.events.append(Told(received, "order.received", {
            "order_id": number, "channel": "mall", "received_at": received.isoformat()}))
        if scheme:
            self.planted[number] = scheme
        return number

    def send_back(self, number: str, at: datetime) -> None:
        """All of an order goes back."""
        paid = next(event.data for event in self.events
                    if event.kind == "order.paid" and event.data["order_id"] == number)
        self.events.append(Told(at, "order.refunded", {
            "order_id": number, "channel": "mall", "refund_id": "1", "refunded_at": at.isoformat(),
            "lines": [{"line_id": "1", "refund_fen": paid["paid_fen"], "quantity": 1}]}))

    def some_time(self, first_day: float = 0, last_day: float = DAYS - 1) -> datetime:
        """Between eight in the morning and eleven at night, Shanghai."""
        day = self.luck.uniform(first_day, last_day)
        return START + timedelta(days=int(day), minutes=self.luck.randrange(0, 15 * 60))
