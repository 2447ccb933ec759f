"""Rewards and presents stand as they were booked, one bad buyer stops nobody, and each rule has one place."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import text

from domain.audit.rules import TWO_PERSON_ACTS
from domain.ledger import asking, invariants
from domain.shared.clock import FixedClock
from domain.workflows.acts import ACTS, DECLINED
from tests.dialogs.test_grants import granted, person_id
from tests.fakes.frozen import Frozen, frozen
from tests.fakes.shop import Shop


@pytest.fixture
def house(tmp_path: Path, new_shop: Frozen, clock: FixedClock) -> Iterator[Shop]:
    with new_shop.shop(tmp_path, clock) as shop:
        yield shop


def broken(shop: Shop) -> list[str]:
    with shop.runtime.sessions() as session:
        return [fault.invariant for one in invariants.INVARIANTS
                for fault in asking.faults(session, one, asking.EVERYTHING)]


def tamper(shop: Shop, statement: str) -> None:
    with shop.runtime.sessions.begin() as session:
        session.execute(text("set local session_replication_role = replica"))
        session.execute(text(statement))


def comes_back(shop: Shop, name: str) -> int:
    who = shop.person(name)
    for order in ("1", "2"):
        shop.wait(minutes=1)
        shop.paid(f"{name}{order}", by=who, fen=9_900)
        shop.received(f"{name}{order}")
    shop.wait(minutes=1)
    return person_id(shop, who)


def _is_rewarded(house: Shop) -> None:
    """For coming back, and with two presents."""
    one = comes_back(house, "李姐")
    assert granted(house, house.person("李姐"), "red_packet", 888, "x") == "done"
    assert granted(house, house.person("李姐"), "points", 30, "y") == "done"
    assert house.get(f"/people/{one}/wallet")["pending_fen"] == 500


@pytest.fixture(scope="module")
def rewarded(new_shop: Frozen, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Frozen]:
    with frozen(new_shop.postgres, tmp_path_factory.mktemp("rewarded"), _is_rewarded, new_shop) as shop:
        yield shop


def test_every_act_of_two_people_does_something() -> None:
    assert set(ACTS) == set(TWO_PERSON_ACTS) and set(DECLINED) <= set(ACTS)


@pytest.mark.parametrize(("statement", "invariant"), [
    ("update reward set amount = amount + 1 where what = 'red_packet'", "rewards"),
    ("update reward set state = 'revoked', reason = 'x' where what = 'red_packet'", "rewards"),
    ("""update outbox set result = '{"fen": 999}' where kind = 'grant.red_packet'""", "grants"),
    ("delete from posting p using journal j where j.id = p.journal_id and j.kind = 'reward.given'", "grants"),
    ("update point_lot set remaining = remaining - 1 where remaining > 0", "lots"),
    ("update point_lot set remaining = remaining - 1 where remaining > 0", "points"),
])
def test_rows_and_journals_of_rewards_agree(rewarded: Frozen, tmp_path: Path, clock: FixedClock, statement: str,
                                            invariant: str) -> None:
    with rewarded.shop(tmp_path, clock) as house:
        assert broken(house) == []
        tamper(house, statement)
        assert invariant in broken(house)


def test_a_buyer_who_cannot_be_counted_is_parked_and_the_others_are_counted(house: Shop) -> None:
    from domain.rewards import unlocking

    with house.runtime.sessions.begin() as session:  # a rule of the database that no reward of this person can meet
        session.execute(text("""
            create function bad_luck() returns trigger language plpgsql as $$ begin
                if new.person_id = (select person_id from identity where value = 'cursed') then
                    raise exception 'cursed' using errcode = 'HT499';
                end if;
                return new;
            end $$"""))
        session.execute(text(
            "create trigger bad_luck before insert on reward for each row execute function bad_luck()"))
    bad = house.person("倒霉")
    with house.runtime.sessions.begin() as session:
        session.execute(text("insert into identity (person_id, kind, value, seen_at) values (:id, 'mall_user_id',"
                             " 'cursed', now())"), {"id": person_id(house, bad)})
    body = [{"id": f"e-{name}-{n}", "type": "order.paid", "occurred_at": house.clock.now().isoformat(), "data": {
        "order_id": f"{name}{n}", "channel": "mall", "currency": "CNY", "paid_at": house.clock.now().isoformat(),
        "buyer": house.person(name).identity, "share_code": "", "paid_fen": 9_900, "shipping_fen": 0,
        "lines": [{"line_id": "1", "sku": "RICE-5KG", "title": "米", "category": "fmcg", "quantity": 1,
                   "paid_fen": 9_900}]}} for name in ("倒霉", "李姐") for n in (1, 2)]
    house.events(body)
    house.wait(minutes=1)
    assert house.get(f"/people/{person_id(house, house.person('李姐'))}/wallet")["pending_fen"] == 500
    with house.runtime.sessions() as session:
        parked, = unlocking.parked(session)
    assert parked.person_id == person_id(house, bad) and "cursed" in parked.fault
    with house.runtime.sessions.begin() as session:
        session.execute(text("drop trigger bad_luck on reward"))
    house.wait(hours=1, minutes=1)
    assert house.get(f"/people/{parked.person_id}/wallet")["pending_fen"] == 500
    with house.runtime.sessions() as session:
        assert unlocking.parked(session) == []


def test_what_a_merged_account_was_paid_counts_as_paid(house: Shop) -> None:
    from domain.ledger import service as ledger
    from domain.ledger.rules import Entry, Move, platform
    from domain.ledger.rules import person as side
    from domain.people import service as people
    from domain.workflows import MOVERS

    kept, gone = (person_id(house, house.person(name)) for name in ("李姐", "小号"))
    assert granted(house, house.person("小号"), "red_packet", 10_000, "x") == "done"
    with house.runtime.sessions.begin() as session:
        now = house.clock.now()
        for key, source, target in (("asked", side(gone, "available"), side(gone, "held")),
                                    ("paid", side(gone, "held"), platform("clearing.wechat"))):
            ledger.post(session, [Entry(f"w:{key}", f"payout.{key}", now, "payout", 1, "",
                                        (Move(source, target, 4_000),))], now)
        people.merge(session, kept, gone, "the same", now, MOVERS)
    wallet = house.get(f"/people/{kept}/wallet")
    assert (wallet["paid_fen"], wallet["available_fen"]) == (4_000, 6_000)
    house.people["李姐"].says("佣金").sees("累计收入 ¥100.00")
