"""The audit after every fault: nothing that was acknowledged is lost, nothing was done twice, the books are even."""

from collections import Counter
from dataclasses import dataclass, field

from tests.e2e.house import House
from tests.e2e.mall import Mall
from tests.e2e.peer import Phone, Platform
from tests.e2e.waiting import until

RATE_BPS = 800
"""What the shipped plan pays for fast-moving goods, direct."""


@dataclass
class Books:
    """What the test itself knows must be true: per order who earns, on how many fen, before and after refunds."""

    earner: dict[str, Phone] = field(default_factory=dict)
    paid: dict[str, int] = field(default_factory=dict)
    back: "Counter[str]" = field(default_factory=Counter)
    untold: set[str] = field(default_factory=set)
    """Orders whose earner cannot be written to."""

    def order(self, order: str, fen: int, earner: Phone | None) -> None:
        self.paid[order] = fen
        if earner is not None:
            self.earner[order] = earner

    def commission(self, order: str) -> int:
        """Halves up at payment; a refund takes its share of that, so that what is left is of what was kept."""
        whole = (self.paid[order] * RATE_BPS + 5_000) // 10_000
        back = (2 * whole * self.back[order] + self.paid[order]) // (2 * self.paid[order])
        return whole - back

    def of(self, phone: Phone) -> int:
        return sum(self.commission(order) for order, earner in self.earner.items() if earner.openid == phone.openid)


@dataclass(frozen=True)
class Auditor:
    house: House
    platform: Platform
    mall: Mall
    books: Books

    def settled(self, seconds: float = 75.0) -> None:
        """Wait until nothing is under way any more, then audit."""
        until(self.at_rest, "everything acknowledged is worked off", seconds, 0.2)
        self.check()

    def at_rest(self) -> bool:
        house = self.house
        try:
            return not (
                house.count("outbox where state in ('waiting', 'running') and reason <> 'no_right'")
                or house.count("commerce_open where state = 'new'")
                or house.count("commerce_batch")
                or house.count("inbox_message where state in ('running', 'failed')")
            )
        except Exception:  # the database itself may be the patient
            return False

    def check(self) -> None:
        self.messages()
        self.events()
        self.effects()
        self.sends()
        self.money()

    def messages(self) -> None:
        """Every message that got a 200 has one row, done; no row is dead."""
        rows = dict(self.house.sql("select dedupe_key, state from inbox_message"))
        texts = {mark for mark in self.platform.acknowledged if mark.startswith("msg:")}
        lost = {mark for mark in texts if rows.get(mark) != "done"}
        assert not lost, f"acknowledged, but not done: {lost}"
        taps = len(self.platform.acknowledged) - len(texts)
        assert sum(key.startswith("event:") and state == "done" for key, state in rows.items()) >= taps
        assert not self.house.count("inbox_message where state = 'dead'")

    def events(self) -> None:
        """Every event that got a 202 has one row, done."""
        rows = dict(self.house.sql("select event_id, state from commerce_event_now"))
        lost = {event for event in self.mall.accepted if rows.get(event) != "done"}
        assert not lost, f"accepted, but not done: {lost}"

    def effects(self) -> None:
        """Nothing was given up; a refusal has its reason; nothing is left under a lease, or as news."""
        assert not self.house.sql("select kind, reason from outbox where state = 'dead'")
        assert not self.house.count("outbox where state = 'running'")
        assert not self.house.count("earned_news")
        assert not self.platform.api.refusals, "the platform had to refuse sends that no right covered"

    def sends(self) -> None:
        """Each notice reached its phone once; when its end was not seen, once or not at all, and it says so."""
        told = Counter((sent.openid, sent.content) for sent in self.platform.api.sent)
        twice = [content for (_, content), times in told.items() if times > 1 and _says_its_order(content)]
        assert not twice, f"told twice: {twice}"
        for order, phone in self.books.earner.items():
            if order in self.books.untold:
                continue
            sure = not self.house.count("outbox where key = any(%s) and (result ->> 'maybe_sent')::bool",
                                        self._notices_of(order))
            times = sum(_earned(order, text) for text in self.platform.api.texts(phone.openid))
            assert times <= 1 and (times == 1 or not sure), f"{order} was told {times} times"

    def _notices_of(self, order: str) -> list[str]:
        rows = self.house.sql("select key from outbox where kind = 'notice.text' and payload ->> 'key' = 'money.earned'"
                              " and payload -> 'facts' ->> 'order_no' = %s", order)
        assert len(rows) == 1, f"{len(rows)} notices for {order}"
        return [str(row[0]) for row in rows]

    def money(self) -> None:
        """The books balance, and agree with what the test reckons in its head."""
        assert self.mall.reads("/ledger/check")["balanced"] is True
        for order in self.books.paid:
            lines = self.mall.reads(f"/orders/mall/{order}/commission")["lines"]
            assert len(lines) == (order in self.books.earner), (order, lines)
        for phone in {earner.openid: earner for earner in self.books.earner.values()}.values():
            wallet = self.mall.wallet(phone)
            parts = ("pending_fen", "available_fen", "withdrawing_fen", "paid_fen")
            assert sum(wallet[part] for part in parts) == self.books.of(phone), (phone.name, wallet)
        assert self.house.count("customer_order") == len(self.books.paid)


def _says_its_order(content: str | bytes) -> bool:
    return isinstance(content, str) and "订单" in content


def _earned(order: str, text: str) -> bool:
    return "佣金到账" in text and f"为什么 {order}」" in text
