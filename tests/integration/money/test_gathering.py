"""Old shops may have money with people who were merged: it is found, and brought over to whoever was kept, once."""

import json
import logging
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, datetime
from threading import Event

import pytest
import structlog
from click.testing import CliRunner
from sqlalchemy import text

from bot.kit.pay import BillView
from bot.runtime import demo_team
from bot.runtime.bootstrap import ASSETS
from bot.runtime.cli import main
from domain.audit.rules import Actor
from domain.ledger import service as ledger
from domain.payouts import packets, settling
from domain.points import queries as points_of
from domain.points import service as points
from domain.points.rules import Life
from domain.points.service import Earning
from domain.rewards import cash
from domain.rewards import service as rewards
from domain.rewards.rules import Offers
from domain.shared.errors import DomainError
from domain.workflows import gathering
from tests.integration.money.merging import KEEPER, keeper, left_behind, merge
from tests.integration.money.world import Shop
from tests.together import until_waiting

ZHOU = Actor("zhou", "finance")
LIFE = Life()
OFFERS = Offers.load((ASSETS / "rewards.toml").read_text("utf-8"))
DECEMBER = datetime(2026, 11, 30, 18, 0, tzinfo=UTC)


@pytest.fixture
def shop(shop: Shop) -> Shop:
    keeper(shop)
    with shop.sessions.begin() as session:
        assert merge(shop, session, "小王").conflict == ""
    return shop


@contextmanager
def as_it_was(shop: Shop) -> Iterator[None]:
    """What happens inside happens as when nothing refused it: to somebody who is merged already."""
    who = {"gone": shop.people["小王"], "kept": shop.people[KEEPER]}
    with shop.sessions.begin() as session:
        session.execute(text("set local session_replication_role = replica"))  # as before the database knew better
        session.execute(text("update person set merged_into = null where id = :gone"), who)
        session.execute(text("update balance set ceased = false"))
        session.execute(text("update identity set person_id = :gone where value = '小王'"), who)
        session.execute(text("update referral set referrer_id = :gone where referrer_id = :kept"), who)
    yield
    with shop.sessions.begin() as session:
        session.execute(text("set local session_replication_role = replica"))
        session.execute(text("update referral set referrer_id = :kept where referrer_id = :gone"), who)
        session.execute(text("update identity set person_id = :kept where value = '小王'"), who)
        session.execute(text("update person set merged_into = :kept where id = :gone"), who)


def gather(shop: Shop) -> list[gathering.Gathered]:
    found = []
    with shop.sessions() as session:
        people = [one.person_id for one in gathering.left_behind(session)]
    for one in people:
        with shop.sessions.begin() as session:
            done = gathering.gather(session, one, ZHOU, shop.clock.now())
        assert done is not None
        found.append(done)
    return found


def told(shop: Shop) -> list[str]:
    with shop.sessions() as session:
        return [fault for fault in ledger.check(session).faults if "was merged into" in fault]


def test_what_was_left_behind_is_found_and_goes_over_once(shop: Shop) -> None:
    who = shop.people["小王"]
    with as_it_was(shop):
        shop.tell(shop.pay("A1", by="新客"), shop.pay("A2", by="小王"), shop.receive("A1"))
        with shop.sessions.begin() as session:
            now = shop.clock.now()
            cash.give(session, who, 500, "gift", 1, now)
            points.earn(session, [Earning(who, 10, "order:1", now)], LIFE, now)
            points.activate(session, now)
            points.spend(session, who, 10, "gift", "gift:1", now)
            points.reverse(session, "order:1", 10, "refund:1", now)
            rewards.issue(session, who, next(iter(OFFERS.by_kind.values())), "present", now)
        shop.days(8)
    with shop.sessions.begin() as session:
        points.earn(session, [Earning(shop.people[KEEPER], 4, "order:2", shop.clock.now())], LIFE, shop.clock.now())
        points.activate(session, shop.clock.now())
    fault, = told(shop)
    for what in ("available 1292", "commissions 1", "coupons 1", "orders 1", "sales 1", "points_debt 10"):
        assert what in fault, fault
    assert [one.refusal for one in gather(shop)] == [""]
    assert (told(shop), left_behind(shop), gather(shop)) == ([], [], [])
    assert shop.money(KEEPER) == (0, 1_292, 0)
    with shop.sessions() as session:
        mine = points_of.of(session, shop.people[KEEPER], shop.clock.now())
        assert (mine.active, mine.debt, points_of.disagreements(session)) == (0, 6, [])
    acts = shop.rows("select act, subject, detail ->> 'gone' as gone from audit_event where act = 'people.gather'")
    assert [tuple(row) for row in acts] == [("people.gather", f"person:{shop.people[KEEPER]}", str(who))]
    shop.tell(shop.refund("A1", "R1", 9_900))
    assert shop.money(KEEPER) == (0, 500, 0) and told(shop) == []


def test_it_can_happen_again_after_it_was_mended(shop: Shop) -> None:
    for n, expected in enumerate((500, 1_000)):
        with as_it_was(shop), shop.sessions.begin() as session:
            cash.give(session, shop.people["小王"], 500, f"gift:{n}", n, shop.clock.now())
            points.earn(session, [Earning(shop.people["小王"], 5, f"order:{n}", shop.clock.now())], LIFE,
                        shop.clock.now())
            points.activate(session, shop.clock.now())
        assert [one.refusal for one in gather(shop)] == [""]
        assert (shop.money(KEEPER), told(shop)) == ((0, expected, 0), [])
    keys = [row.idem for row in shop.rows("select idem from journal where kind = 'people.merged' order by id")]
    gone, kept = shop.people["小王"], shop.people[KEEPER]
    assert keys == [f"merge:{gone}:{kept}", f"merge:{gone}:{kept}:again:1"]


def test_a_sale_that_was_left_behind_counts_in_the_ladder_of_its_month(shop: Shop) -> None:
    with as_it_was(shop):
        shop.tell(shop.pay("A1", by="新客", fen=2_000_000), shop.receive("A1"))
    shop.tell(shop.pay("A2", by="新客", fen=4_000_000), shop.receive("A2"))
    shop.clock.advance((DECEMBER - shop.clock.now()).total_seconds())
    shop.close_month("2026-11")
    gather(shop)
    shop.adjust()
    assert (told(shop), left_behind(shop)) == ([], [])
    assert sum(change for *_, change in shop.settled(KEEPER)) == 330_000, "5 % to 50,000 yuan, 8 % above"


def test_an_open_withdrawal_ends_first(shop: Shop) -> None:
    with as_it_was(shop), shop.sessions.begin() as session:
        who, now = shop.people["小王"], shop.clock.now()
        cash.give(session, who, 500, "gift", 1, now)
        packets.send(session, packets.Packet(who, "gift", 500, "gifts", "wx1", "o-1", "红包"), 0, now)
    assert [one.refusal for one in gather(shop)] == ["withdrawal_open"]
    assert "held 500" in told(shop)[0]
    with shop.sessions.begin() as session:
        bill = session.execute(text("select out_bill_no from transfer_bill")).scalar_one()
        assert settling.bill_changed(session, BillView(bill, "FAIL", amount_fen=500), "query",
                                     shop.clock.now()).what == "returned"
    assert [one.refusal for one in gather(shop)] == [""]
    assert (shop.money(KEEPER), told(shop), left_behind(shop)) == ((0, 500, 0), [], [])


def test_nobody_gathers_who_may_not(shop: Shop) -> None:
    with as_it_was(shop), shop.sessions.begin() as session:
        cash.give(session, shop.people["小王"], 500, "gift", 1, shop.clock.now())
    with shop.sessions.begin() as session, pytest.raises(DomainError, match="not_permitted"):
        gathering.gather(session, shop.people["小王"], Actor("li", "service"), shop.clock.now())
    gather(shop)


@pytest.fixture
def quiet() -> Iterator[None]:
    """The commands set up logging for their process; put it back."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    structlog.reset_defaults()
    root.handlers[:], root.level = handlers, level


def test_at_the_terminal(shop: Shop, database_url: str, valkey_url: str, tmp_path, quiet: None) -> None:
    env = {"HUITOU_HOME": str(tmp_path), "DATABASE_URL": database_url, "REDIS_URL": valkey_url}

    def run(line: str, expect: int = 0) -> str:
        result = CliRunner().invoke(main, line.split(), env=env, catch_exceptions=False)
        assert result.exit_code == expect, result.output
        return result.output

    with shop.sessions.begin() as session:
        name = demo_team.hire(session, shop.clock.now())["finance"].name
    assert run(f"people gather --as {name} --dry-run") == "nothing is left behind\n"
    with as_it_was(shop), shop.sessions.begin() as session:
        session.execute(text("insert into outbox (id, queue, kind, key, payload, created_at, due_at)"
                             " overriding system value values (77, 'slow', 'grant.red_packet', 'g',"
                             " jsonb_build_object('cause', 'gift'), now(), now())"))
        cash.give(session, shop.people["小王"], 500, "gift", 77, shop.clock.now())
    assert "available 500" in run("ledger check", expect=1)
    assert "available 500" in run(f"people gather --as {name} --dry-run", expect=1)
    assert shop.money(KEEPER) == (0, 0, 0)
    moved, = json.loads(run(f"people gather --as {name} --json"))
    assert (moved["person_id"], moved["refusal"]) == (shop.people["小王"], "")
    assert run(f"people gather --as {name}") == "nothing is left behind\n"
    assert shop.money(KEEPER) == (0, 500, 0) and "none" in run("ledger check")


def test_whoever_books_for_the_kept_one_meanwhile_does_not_stop_it(
        shop: Shop, database_url: str, valkey_url: str, tmp_path, quiet: None) -> None:
    """A worker has locked the purse and is about to name the person, whom the command holds: the command is the one
    that is told of the deadlock, and does it again."""
    with shop.sessions.begin() as session:
        name = demo_team.hire(session, shop.clock.now())["finance"].name
        ledger.lock(session, [shop.people[KEEPER]])  # which opens the purse
    with as_it_was(shop), shop.sessions.begin() as session:
        cash.give(session, shop.people["小王"], 500, "gift", 1, shop.clock.now())
    locked = Event()

    def book() -> None:
        with shop.sessions.begin() as session:
            session.execute(text("set local deadlock_timeout = '50s'"))
            ledger.lock(session, [shop.people[KEEPER]])
            locked.set()
            assert until_waiting(shop.engine)
            session.execute(text("select from person where id = :id for key share"), {"id": shop.people[KEEPER]})

    env = {"HUITOU_HOME": str(tmp_path), "DATABASE_URL": database_url, "REDIS_URL": valkey_url}
    with ThreadPoolExecutor(1) as pool:
        booking = pool.submit(book)
        assert locked.wait(30)
        told_us = CliRunner().invoke(main, ["people", "gather", "--as", name], env=env, catch_exceptions=False)
        booking.result(60)
    assert (told_us.exit_code, shop.money(KEEPER), told(shop)) == (0, (0, 500, 0), [])
