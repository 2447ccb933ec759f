"""SIGKILL at every durable step of a payout: never two bills, never two numbers for one piece, never a lost hold.

Real processes, a WeChat Pay of our own over HTTP (pay_platform.py), real dialogues. Each step is reached on purpose:
a call stands at the peer's gate or a transaction at a lock of ours. After each kill ``check`` looks at every wallet and
every bill; that all who asked are paid in the end, once, is seen at the end of the module (``payday``).
"""

import random
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Literal

import pytest
from psycopg import OperationalError

from tests.e2e.conftest import TORTURE
from tests.e2e.house import Part
from tests.e2e.pay_platform import posted
from tests.e2e.payday import PRICE, Payday, payday
from tests.e2e.peer import Phone
from tests.e2e.waiting import until

pytestmark = pytest.mark.timeout(900 if TORTURE else 180)

torture = pytest.mark.skipif(not TORTURE, reason="long: HUITOU_TORTURE=1")

BILL = ("select 1 from transfer_bill b join withdrawal w on w.id = b.withdrawal_id where w.openid = %s for update of b")
REQUEST = "select 1 from withdrawal where openid = %s for update"


@pytest.fixture(scope="module")
def day(prepared_home: Path) -> Iterator[Payday]:
    with payday(prepared_home) as day:
        yield day


@pytest.fixture
def pool() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(4) as pool:
        yield pool


def bills(day: Payday, phone: Phone) -> list[tuple[str, str, bool]]:
    """(number, state, in doubt) of every bill of a person, as our books have them."""
    return [(number, state, doubt) for number, state, doubt in day.world.house.sql(
        "select b.out_bill_no, b.state, b.in_doubt from transfer_bill b join withdrawal w on w.id = b.withdrawal_id"
        " where w.openid = %s order by b.id", phone.openid)]


def waits(day: Payday, phone: Phone) -> None:
    until(lambda: [state for _, state, _ in bills(day, phone)] == ["WAIT_USER_CONFIRM"], "it waits for its person",
          pause=0.1)


def test_web_is_killed_between_the_yes_and_its_answer(day: Payday, pool: ThreadPoolExecutor) -> None:
    """The request is committed, its person never heard: the platform's next try gets the answer, and nothing more.

    The step lasts as long as a ring at a frozen bell: should we miss it, the next person has it.
    """
    for phone in (day.somebody(), day.somebody(), day.somebody()):
        web = day.world.house.pids("web")[0]
        day.ready(phone)
        day.world.house.freeze("valkey")
        try:
            asked = pool.submit(day.yes, phone)
            until(lambda phone=phone: bills(day, phone), "the bill is made", pause=0.005)  # type: ignore[misc]
            day.world.house.kill_pid(web)
        finally:
            day.world.house.thaw("valkey")
        answer = asked.result()
        assert "已申请提现 ¥150.00" in phone.reply(answer)
        assert len(bills(day, phone)) == 1
        assert day.world.house.count("withdrawal where openid = %s", phone.openid) == 1
        if answer.tries > 1:
            return
    raise AssertionError("the step was never met")


def test_the_worker_is_killed_while_calls_are_out(day: Payday) -> None:
    """One call came to WeChat Pay and was not acted upon; the answer of another is here, but not yet written down.
    Both are in doubt, both are asked about under their own numbers, and only what was never taken is sent again."""
    lost, unwritten = day.somebody(), day.somebody()
    with ExitStack() as stack:
        first = stack.enter_context(day.pay.gated("transfer", lost.openid, "received"))
        second = stack.enter_context(day.pay.gated("transfer", unwritten.openid, "acted"))
        day.world.house.freeze("slow")
        day.asks(lost, unwritten)
        day.world.house.thaw("slow")
        first.wait()
        second.wait()
        record = stack.enter_context(day.world.house.standing((REQUEST, (unwritten.openid,))))
        second.answer()
        record.reached()
        day.world.house.kill("slow")
    assert [(state, doubt) for phone in (lost, unwritten) for _, state, doubt in bills(day, phone)] == [
        ("made", True)] * 2
    assert (len(day.pay.of_person(lost.openid)), len(day.pay.of_person(unwritten.openid))) == (0, 1)
    day.check()

    def kept() -> None:
        assert [kept.sent for phone in (lost, unwritten) for kept in day.pay.of_person(phone.openid).values()] == [1, 1]

    day.world.promises.append(kept)


def test_web_is_killed_with_the_notification_in_hand(day: Payday, pool: ThreadPoolExecutor) -> None:
    """It was not acknowledged, so it comes again; taken twice more, it still pays once."""
    phone = day.somebody()
    day.asks(phone)
    waits(day, phone)
    (number,) = day.pay.confirms(phone.openid)
    with day.world.house.standing((REQUEST, (phone.openid,))) as standing:
        told = pool.submit(posted, day.world.house.port, day.pay.notice(number))
        standing.reached()
        day.world.house.kill("web")
        assert told.result() == 0
    assert [state for _, state, _ in bills(day, phone)] == ["WAIT_USER_CONFIRM"], "nothing of it is written"
    day.pay.notifies(day.world.house.port, number)
    day.pay.notifies(day.world.house.port, number)
    assert day.paid(phone)
    assert day.world.mall.wallet(phone)["paid_fen"] == 15_000
    day.check()


def test_the_worker_is_killed_between_the_money_and_its_news(day: Payday) -> None:
    """The bill is paid, the fact is claimed, the notice not yet written: it is told, once, after the lease."""
    phone = day.somebody()
    day.asks(phone)
    waits(day, phone)
    (number,) = day.pay.confirms(phone.openid)
    request = day.world.house.sql("select id from withdrawal where openid = %s", phone.openid)[0][0]
    twin = ("insert into outbox (queue, kind, key, payload, created_at, due_at) values ('notice', 'x', %s, '{}', now(),"
            " now())", (f"notice:withdrawal.ended:{request}",))
    with day.world.house.standing(twin) as standing:
        day.pay.notifies(day.world.house.port, number)
        standing.reached()
        day.world.house.kill("fast")
    assert day.paid(phone)
    assert day.told(phone, "提现到账") == 0

    def kept() -> None:
        assert day.told(phone, "提现到账 ¥150.00") == 1

    day.world.promises.append(kept)


def test_postgres_is_killed_before_a_call_and_while_one_is_out(day: Payday) -> None:
    """The first of two pieces was about to be claimed: it was not. The other's answer finds no database to be written
    into: that it was called stays known, because it was written before."""
    (unclaimed,), called = day.rich(1, 2 * PRICE), day.somebody()
    with day.without_rounds(), ExitStack() as stack:
        gate = stack.enter_context(day.pay.gated("transfer", called.openid, "acted"))
        day.world.house.freeze("slow")
        day.asks(unclaimed, amount="全部")
        day.asks(called)
        stack.enter_context(suppress(OperationalError))  # our own lock dies with the server
        claim = stack.enter_context(day.world.house.standing((BILL, (unclaimed.openid,))))
        day.world.house.thaw("slow")
        gate.wait()
        claim.reached()
        day.world.house.kill("postgres")
        gate.answer()
    until(day.is_up, "it is back", 30, 0.2)
    assert len(day.pay.of_person(called.openid)) == 1
    assert len(bills(day, unclaimed)) == 2
    day.check()


@torture
def test_the_bell_forgets_a_request(day: Payday) -> None:
    """Redis is flushed while a payment waits: the clock finds it in PostgreSQL."""
    phone = day.somebody()
    day.world.house.freeze("slow")
    try:
        day.asks(phone)
        with day.world.house.valkey() as valkey:
            until(lambda: valkey.llen("rq:queue:slow"), "the ring", 10)
            valkey.flushall()
    finally:
        day.world.house.thaw("slow")
    until(lambda: day.pay.of_person(phone.openid), "the bill is at WeChat Pay", 30)


# Torture: every step, and whoever may die there


@contextmanager
def queued(day: Payday, phone: Phone) -> Iterator[None]:
    """The request is committed and approved, no worker has seen it."""
    day.world.house.freeze("slow")
    try:
        day.asks(phone)
        yield
    finally:
        day.world.house.thaw("slow")


@contextmanager
def claimed(day: Payday, phone: Phone) -> Iterator[None]:
    """The worker is about to write down that it calls."""
    with ExitStack() as stack:
        with queued(day, phone):
            standing = stack.enter_context(day.world.house.standing((BILL, (phone.openid,))))
        standing.reached()
        yield


@contextmanager
def in_call(day: Payday, phone: Phone, when: Literal["received", "acted"]) -> Iterator[None]:
    """The call is out: not acted upon, or acted upon and not answered."""
    with day.pay.gated("transfer", phone.openid, when) as gate:
        day.asks(phone)
        gate.wait()
        yield


@contextmanager
def recorded(day: Payday, phone: Phone, kind: str = "transfer") -> Iterator[None]:
    """The answer is here, and about to be written."""
    with day.pay.gated(kind, phone.openid, "acted") as gate:
        _call(day, phone, kind)
        gate.wait()
        with day.world.house.standing((REQUEST, (phone.openid,))) as standing:
            gate.answer()
            standing.reached()
            yield


@contextmanager
def asked_about(day: Payday, phone: Phone, kind: str) -> Iterator[None]:
    """The worker asks about a bill that waits, or calls it back."""
    with day.pay.gated(kind, phone.openid, "acted") as gate:
        _call(day, phone, kind)
        gate.wait()
        yield


def _call(day: Payday, phone: Phone, kind: str) -> None:
    """Bring about a call of this kind."""
    day.asks(phone)
    if kind == "transfer":
        return
    waits(day, phone)
    if kind == "cancel":
        day.undecided.add(phone.openid)
        assert "回复「确认」" in phone.says("取消提现")
        assert "正在撤回" in phone.says("确认")
    day.passes()


@contextmanager
def notified(day: Payday, phone: Phone) -> Iterator[None]:
    """The notification is being taken in."""
    day.asks(phone)
    waits(day, phone)
    (number,) = day.pay.confirms(phone.openid)
    with ThreadPoolExecutor(1) as pool, day.world.house.standing((REQUEST, (phone.openid,))) as standing:
        pool.submit(posted, day.world.house.port, day.pay.notice(number))
        standing.reached()
        yield


Step = Callable[[Payday, Phone], AbstractContextManager[None]]
STEPS: dict[str, tuple[Step, Part]] = {
    "queued": (queued, "slow"),
    "about to claim": (claimed, "slow"),
    "call received": (lambda day, phone: in_call(day, phone, "received"), "slow"),
    "call acted upon": (lambda day, phone: in_call(day, phone, "acted"), "slow"),
    "answer not written": (recorded, "slow"),
    "asked about": (lambda day, phone: asked_about(day, phone, "query"), "slow"),
    "answer to the question not written": (lambda day, phone: recorded(day, phone, "query"), "slow"),
    "called back": (lambda day, phone: asked_about(day, phone, "cancel"), "slow"),
    "answer to the call-back not written": (lambda day, phone: recorded(day, phone, "cancel"), "slow"),
    "notification in hand": (notified, "web"),
}


@torture
@pytest.mark.parametrize("victim", ["itself", "postgres", "everything"])
@pytest.mark.parametrize("step", STEPS)
def test_whoever_dies_at_any_step(day: Payday, step: str, victim: str) -> None:
    """The end is the same, and nobody waits longer than for a lease."""
    phone, (reach, part) = day.somebody(), STEPS[step]
    with suppress(OperationalError), reach(day, phone):
        if victim == "everything":
            day.world.house.kill_all()
        else:
            day.world.house.kill("postgres" if victim == "postgres" else part)
    if victim == "everything":
        until(lambda: not day.world.house.left_behind(), "nothing is left", 45)
        day.world.house.start()
    until(day.is_up, "it is back", 60, 0.2)
    day.check()
    day.ends(phone)
    assert [kept.state for kept in day.pay.of_person(phone.openid).values()] == [
        "CANCELLED" if phone.openid in day.undecided else "SUCCESS"]


@torture
def test_random_kills_while_people_are_paid(day: Payday, pool: ThreadPoolExecutor) -> None:
    """Chance finds the steps that nobody thought of."""
    parts: tuple[Part, ...] = ("web", "fast", "slow", "clock", "valkey", "postgres")
    crowd = day.rich(24)
    over = threading.Event()

    def confirm() -> None:
        while not over.is_set():
            for phone in crowd:
                for number in day.pay.confirms(phone.openid):
                    with suppress(AssertionError):
                        day.pay.notifies(day.world.house.port, number, tries=2)
            with suppress(OperationalError):
                day.passes(random.choice((0, 1, 6)))
            time.sleep(0.5)

    def ask(some: list[Phone]) -> None:
        for phone in some:
            for words in ("提现 150", "同意", "张三丰", "确认"):
                phone.insists(words)

    living = [pool.submit(confirm), *(pool.submit(ask, crowd[n::3]) for n in range(3))]
    for _ in range(40):
        time.sleep(random.uniform(0.2, 4.0))
        day.world.house.kill(random.choice(parts))
    for job in living[1:]:
        job.result()
    over.set()
    living[0].result()
    until(day.is_up, "it is back", 60, 0.2)
    day.ends(*crowd, seconds=120)
    assert all(day.pay.paid_to(phone.openid) == 15_000 for phone in crowd)
