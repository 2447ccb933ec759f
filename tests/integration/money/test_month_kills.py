"""A close that is killed at each of its steps, with its process or with the database's own, while others book.

On a database of its own: whoever kills a process of PostgreSQL ends all connections, and what nobody waited for is
lost.
"""

import os
import shutil
import signal
import warnings
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from fractions import Fraction
from pathlib import Path

import pytest
from sqlalchemy import Engine, NullPool, create_engine, text
from sqlalchemy.exc import DBAPIError, OperationalError

from bot.runtime import embedded
from domain.orders.events import CommerceEvent
from domain.roles import service as roles
from domain.roles.service import Cause
from domain.settlements import service
from domain.shared.clock import FixedClock
from tests import prepared, scratch
from tests.conftest import ALONE, MORNING
from tests.e2e.waiting import until
from tests.integration.money.world import Shop

MONTH = "2026-11"
DECEMBER = datetime(2026, 11, 30, 18, 0, tzinfo=UTC)
LEADER = "李姐"
SELLERS = [f"卖家{n}" for n in range(12)]
EARLIER = ("month_close",)
COUNT = ("month_volume", "month_piece", "month_close")
PIECE = ("month_piece", "settlement", "journal", "posting", "balance")
WAYS = ("its own", "the database's")


@pytest.fixture
def lone_engine(prepared_home: Path) -> Iterator[Engine]:
    """A server that may die: what was committed is there afterwards, unless the close itself said it need not be."""
    home = scratch.directory("huitou-close-")
    prepared.copy(prepared_home, home)
    server = embedded.start_postgres(home, settings=("fsync=off", "full_page_writes=off", *ALONE))
    engine = create_engine(server.url, poolclass=NullPool)
    yield engine
    engine.dispose()
    server.stop()
    shutil.rmtree(home, ignore_errors=True)
    shutil.rmtree(embedded.postgres_socket_dir(home), ignore_errors=True)


def forked(work: Callable[[], None]) -> int:
    """Run something in a process of its own; its id. It ends with 0 when the work does."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        child = os.fork()
    if child:
        return child
    code = 1
    try:
        work()
        code = 0
    finally:
        os._exit(code)


def ended(child: int) -> int:
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


class Scene:
    """Sellers whom one partner brought, what they sold, and a reckoning that shares nothing with the shop."""

    def __init__(self, engine: Engine) -> None:
        self.shop = Shop(engine, FixedClock(MORNING))
        self.shop.people_bound({LEADER: ""} | dict.fromkeys(SELLERS, LEADER)
                               | {f"{name}的客人": name for name in SELLERS})
        with self.shop.sessions.begin() as session:
            roles.grant(session, self.shop.people[LEADER], "partner", Cause("operator", "x"), MORNING, MORNING)
        self.net: Counter[str] = Counter()
        self.shop.tell(*(self.sale(f"A{n}", n, 1_000_000 * (n + 1)) for n in range(len(SELLERS))))
        self.shop.clock.advance((DECEMBER - MORNING).total_seconds())
        self.late = [self.batch(n) for n in range(len(WAYS) * (len(EARLIER + COUNT + PIECE) + 1))]

    def sale(self, order: str, number: int, fen: int) -> CommerceEvent:
        self.net[SELLERS[number]] += fen
        return self.shop.pay(order, by=f"{SELLERS[number]}的客人", fen=fen, at=MORNING)

    def batch(self, n: int) -> list[CommerceEvent]:
        """What others book beside one kill: a sale of November, a return of an older one, a sale of December."""
        seller, other = n % len(SELLERS), (5 * n + 3) % len(SELLERS)
        late = self.sale(f"B{n}", seller, 1_234_567 + n)
        self.net[SELLERS[other]] -= 33_333
        back = self.shop.refund(f"A{other}", f"R{n}", 33_333)
        midnight = DECEMBER - timedelta(hours=2)
        return [late, back, self.shop.pay(f"C{n}", by=f"{SELLERS[seller]}的客人", fen=777, at=midnight)]

    def book(self, turns: int) -> None:
        """Book the batches, each at a sign; again where the database went away."""
        for batch in self.late:
            os.read(turns, 1)
            while True:
                with suppress(OperationalError):
                    self.shop.tell(*batch)
                    break

    def owed(self) -> dict[tuple[str, str], int]:
        """Ladder by brackets, halves up; two of a hundred of what they all sold for who brought them."""
        def half_up(value: Fraction) -> int:
            return (value + Fraction(1, 2)).__floor__()

        brackets = {name: (min(fen, 5_000_000), max(fen - 5_000_000, 0)) for name, fen in self.net.items()}
        ladders = {(name, "ladder"): half_up(low * Fraction(5, 100)) + half_up(high * Fraction(8, 100))
                   for name, (low, high) in brackets.items()}
        return ladders | {(LEADER, "team"): half_up(sum(self.net.values()) * Fraction(2, 100))}

    def booked(self, sql: str) -> dict[tuple[str, str], int]:
        names = {number: name for name, number in self.shop.people.items()}
        return {(names[one], kind): fen for one, kind, fen in self.shop.rows(sql)}

    def killed_at(self, table: str, way: str) -> None:
        """Let a close run until it wants to write into a table, and kill it there."""
        with suppress(OperationalError), self.shop.engine.connect() as db:  # the lock dies with the server
            db.execute(text(f"lock table {table} in share mode"))
            me = db.scalar(text("select pg_backend_pid()"))
            closer = forked(self.close)
            [(blocked,)] = until(lambda: self.shop.rows(BLOCKED, me=me), f"the close stands at {table}", pause=0.01)
            os.kill(closer if way == "its own" else blocked, signal.SIGKILL)
            assert ended(closer) == (-signal.SIGKILL if way == "its own" else 1)
        until(self.is_quiet, "nothing is left of it", pause=0.02)
        assert self.booked("select person_id, kind, sum(change_fen)::bigint from settlement group by 1, 2") == (
            self.booked(POSTED)), (table, way)

    def close(self) -> None:
        engine = create_engine(self.shop.engine.url, poolclass=NullPool, connect_args={"application_name": "closer"})
        Shop(engine, self.shop.clock, plan="").close_month(MONTH)

    def is_quiet(self) -> bool:
        with suppress(OperationalError):
            return self.shop.rows("select count(*) from pg_stat_activity where application_name = 'closer'") == [(0,)]
        return False

    def all_settled(self) -> bool:
        return self.shop.rows("select count(*) from month_piece") == [(0,)]


BLOCKED = "select pid from pg_stat_activity where application_name = 'closer' and :me = any (pg_blocking_pids(pid))"
POSTED = """
    select coalesce(c.owner_id, d.owner_id), split_part(coalesce(nullif(c.kind, 'pending'), d.kind), '.', 2),
           sum(case when d.owner_id is null then p.amount else -p.amount end)::bigint
      from journal j join posting p on p.journal_id = j.id
      join account d on d.id = p.debit join account c on c.id = p.credit
     where j.source_type = 'settlement' group by 1, 2
"""


@contextmanager
def booking(scene: Scene) -> Iterator[Callable[[], object]]:
    """Others book in a process of their own, a batch at each call."""
    turns, signs = os.pipe()
    child = forked(lambda: scene.book(turns))
    try:
        yield lambda: os.write(signs, b".")
        assert ended(child) == 0
    finally:
        with suppress(ChildProcessError, ProcessLookupError):
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)
        os.close(turns)
        os.close(signs)


def test_whoever_dies_at_whichever_step_everybody_is_paid_once(lone_engine: Engine,
                                                               monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(service, "PEOPLE", 3)
    scene = Scene(lone_engine)
    with booking(scene) as next_batch:
        for step in (EARLIER, COUNT, PIECE):
            for table in step:
                for way in WAYS:
                    next_batch()
                    scene.killed_at(table, way)
                if step is PIECE:
                    assert scene.shop.close_step(MONTH)
            if step is not PIECE:
                assert scene.shop.close_step(MONTH)
        for way in WAYS:
            next_batch()
            while not scene.all_settled():  # the last pieces may have gone with the server
                assert scene.shop.close_step(MONTH)
            scene.killed_at("month_close", way)
    for _ in range(2):
        scene.shop.close_month(MONTH)
    while scene.shop.adjust():
        pass
    paid = "select person_id, kind, count(*) from settlement where cause = 'close' group by 1, 2"
    assert scene.booked(paid) == dict.fromkeys(scene.owed(), 1)
    assert scene.booked("select person_id, kind, sum(change_fen)::bigint from settlement group by 1, 2") == scene.owed()
    assert scene.booked(POSTED) == scene.owed()
    assert scene.shop.rows("select count(*) from customer_order") == [(len(SELLERS) + 2 * len(scene.late),)]
    scene.shop.check()


def test_who_dies_at_a_piece_leaves_it_to_the_others(lone_engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two close at once, each its own pieces. One stands, the other does all the rest and waits; the one dies."""
    monkeypatch.setattr(service, "PEOPLE", 3)
    scene = Scene(lone_engine)
    for _ in range(2):
        assert scene.shop.close_step(MONTH)
    pieces = "select count(*) from month_piece"
    assert scene.shop.rows(pieces) == [(len(SELLERS) // 3 + 1,)]
    closing = "update month_close set closed_at = now(), upto_journal = 0"
    with pytest.raises(DBAPIError, match="people left to be paid"), scene.shop.sessions.begin() as session:
        session.execute(text(closing))
    with scene.shop.engine.connect() as db:
        me = db.scalar(text("select pg_backend_pid()"))
        held = {"who": scene.shop.people[SELLERS[0]]}
        db.execute(text("select from balance b join account a on a.id = b.account_id where a.owner_id = :who"
                        " and a.kind = 'pending' for update of b"), held)
        one = forked(scene.close)
        [(stands,)] = until(lambda: scene.shop.rows(BLOCKED, me=me), "one stands at a piece", pause=0.01)
        other = forked(scene.close)
        until(lambda: scene.shop.rows(BLOCKED, me=stands), "the other waits for the one", pause=0.01)
        assert scene.shop.rows("select count(distinct person_id) from settlement") == [(len(SELLERS) - 2,)]
        os.kill(one, signal.SIGKILL)
        assert ended(one) == -signal.SIGKILL
        db.execute(text("select pg_terminate_backend(:stands)"), {"stands": stands})
    assert ended(other) == 0
    assert scene.shop.rows(pieces) == [(0,)]
    scene.net = Counter({name: 1_000_000 * (n + 1) for n, name in enumerate(SELLERS)})  # no batch was booked
    paid = "select person_id, kind, count(*) from settlement group by 1, 2"
    assert scene.booked(paid) == dict.fromkeys(scene.owed(), 1)
    assert scene.booked("select person_id, kind, change_fen from settlement") == scene.owed() == scene.booked(POSTED)
    scene.shop.check()
