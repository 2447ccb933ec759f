"""People who take their money out of a whole service, and what must be true of it at every moment."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path

from psycopg import OperationalError

from tests.e2e.conftest import TORTURE, World, opened
from tests.e2e.pay_platform import PayPlatform
from tests.e2e.peer import Answer, Phone
from tests.e2e.waiting import until
from tests.e2e.wire import Keys

PRICE, EARNED = 198_000, 15_840
"""An order, and the 8 % of it that whoever brought it may withdraw a week after its receipt."""
OPEN = "state not in ('SUCCESS', 'FAIL', 'CANCELLED', 'dropped')"


@dataclass
class Payday:
    """A service with a merchant account, the WeChat Pay beside it, and what each person has earned."""

    world: World
    pay: PayPlatform
    earned: dict[str, tuple[Phone, int]] = field(default_factory=dict)
    waiting: list[Phone] = field(default_factory=list)
    undecided: set[str] = field(default_factory=set)
    """Who took their request back before they confirmed it."""

    def rich(self, count: int, fen: int = PRICE) -> list[Phone]:
        """People with 8 % of ``fen`` to withdraw."""
        first = len(self.earned)
        earners = [self.world.earner(f"钱{first + n}") for n in range(count)]
        sales = {f"PAY-{first + n}": one for n, one in enumerate(earners)}
        self.world.mall.tells(*(self.world.sale(order, fen, one) for order, one in sales.items()))
        self.world.mall.tells(*(self.world.mall.received(order, timedelta(days=7, minutes=1)) for order in sales))
        for one in earners:
            self.earned[one.phone.openid] = (one.phone, fen * 8 // 100)
        last = earners[-1].phone
        until(lambda: self.world.mall.wallet(last)["available_fen"] == fen * 8 // 100, "they have it", 30, 0.2)
        return [one.phone for one in earners]

    def somebody(self) -> Phone:
        """The next person with 158.40 yuan; a dozen at a time earn them."""
        if not self.waiting:
            self.waiting = self.rich(12 if TORTURE else 8)
        return self.waiting.pop(0)

    def ready(self, phone: Phone, amount: str = "150") -> Phone:
        """The dialogue up to its last question."""
        assert "请阅读" in phone.says(f"提现 {amount}")
        assert "真实姓名" in phone.says("同意")
        assert "实际到账" in phone.says("张三丰")
        return phone

    def asks(self, *phones: Phone, amount: str = "150") -> None:
        """All say yes, one after the other, while the slow worker stands still: their calls begin together."""
        for phone in phones:
            assert "已申请提现" in self.ready(phone, amount).says("确认")

    def yes(self, phone: Phone) -> Answer:
        return phone.insists("确认")

    # Time

    def passes(self, minutes: int = 2) -> None:
        """Leases of the dead run out, and bills are as much older: what waits for its hour is due."""
        with self.world.house.connect() as db:
            db.execute("update transfer_bill set due_at = due_at - %(by)s, called_at = called_at - %(by)s,"
                       " first_called_at = first_called_at - %(by)s, state_at = state_at - %(by)s"
                       f" where {OPEN}", {"by": timedelta(minutes=minutes)})
            db.execute("update outbox set lease_until = clock_timestamp() where state = 'running'"
                       " and lease_until is not null and kind like 'withdrawal.%'")
            db.execute("update chore set due_at = now(), lease_until = null where name = 'payouts.drive'")

    @contextmanager
    def without_rounds(self) -> Iterator[None]:
        """The round over all bills stays away, so that only a withdrawal's own effect calls: a round may come to a bill
        first that a test holds, and then nobody gets to the others."""
        def put_off() -> bool:
            return bool(self.world.house.sql(
                "update chore set due_at = now() + interval '1 hour' where name = 'payouts.drive'"
                " and (lease_until is null or lease_until <= clock_timestamp()) returning true"))

        until(put_off, "no round is on its way", 30, 0.1)
        yield
        until(self.is_up, "it is back", 30, 0.2)
        self.world.house.sql("update chore set due_at = now() where name = 'payouts.drive' returning true")

    def ends(self, *phones: Phone, seconds: float = 60) -> None:
        """Time passes, people take what waits for them, WeChat Pay tells it, until all these have what they asked for
        (whoever took a request back and was in time has it as before)."""
        until(lambda: self._round(phones), f"{[phone.name for phone in phones]} are paid", seconds, 0.5)
        self.check()

    def _round(self, phones: tuple[Phone, ...]) -> bool:
        for phone in phones:
            for number in [] if phone.openid in self.undecided else self.pay.confirms(phone.openid):
                self.pay.notifies(self.world.house.port, number)
        if all(self.paid(phone) for phone in phones):
            return True
        self.passes()
        return False

    def paid(self, phone: Phone) -> bool:
        """Whether the newest request of the person has ended as they wish."""
        wish = ["cancelled"] if phone.openid in self.undecided else ["paid"]
        return [state for (state,) in self.world.house.sql(
            "select state from withdrawal where openid = %s order by id desc limit 1", phone.openid)] == wish

    def is_up(self) -> bool:
        """Whether the service answers from its database."""
        key = {"Authorization": f"Bearer {self.world.platform.keys.api_key}"}
        try:
            self.world.house.count("withdrawal")
        except OperationalError:
            return False
        return self.world.mall.request("GET", "/ledger/check", headers=key)[0] == 200

    # What must be so

    def check(self) -> None:
        """The books balance, no hold is lost, and WeChat Pay knows one bill of a number and no number of strangers."""
        assert self.world.mall.reads("/ledger/check")["balanced"] is True
        assert self.pay.complaints == []
        for openid, (phone, earned) in self.earned.items():
            wallet = self.world.mall.wallet(phone)
            assert sum(wallet[part] for part in ("available_fen", "withdrawing_fen", "paid_fen")) == earned, wallet
            self._bills_agree(openid)

    def _bills_agree(self, openid: str) -> None:
        """Each piece has one number, made before the first call; what was really paid is at least what we booked."""
        ours = {number: (fen, state) for number, fen, state in self.world.house.sql(
            "select out_bill_no, amount_fen, b.state from transfer_bill b join withdrawal w on w.id = b.withdrawal_id"
            " where openid = %s", openid)}
        theirs = self.pay.of_person(openid)
        assert set(theirs) <= set(ours), "a number that our books do not know"
        assert all(kept.body["transfer_amount"] == ours[number][0] for number, kept in theirs.items())
        booked = sum(fen for fen, state in ours.values() if state == "SUCCESS")
        assert booked <= self.pay.paid_to(openid)
        asked = self.world.house.sql("select sum(gross_fen - tax_fen) from withdrawal where openid = %s", openid)[0][0]
        assert sum(kept.body["transfer_amount"] for kept in theirs.values() if kept.state not in (
            "FAIL", "CANCELLED")) <= (asked or 0), "more was sent than was asked for"

    def told(self, phone: Phone, *parts: str) -> int:
        """How many messages to this person hold every part."""
        return sum(all(part in text for part in parts) for text in self.world.api.texts(phone.openid))


@contextmanager
def payday(prepared_home: Path) -> Iterator[Payday]:
    """A service that can pay, audited and stopped at the end."""
    keys = Keys()
    with PayPlatform(keys.app_id) as pay, opened(keys, prepared_home, pay.accounts(keys)) as world:
        day = Payday(world, pay)
        yield day
        day.ends(*(phone for phone, _ in day.earned.values() if world.house.count(
            "withdrawal where openid = %s", phone.openid)))
