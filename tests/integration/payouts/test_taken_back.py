"""Red packets that two operators take back, at the same moment as everything else: no fen is taken twice or lost."""

import json
import os
import random
from collections.abc import Callable
from contextlib import suppress

import pytest
from click.testing import CliRunner
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from bot.kit.pay import PayGateways
from bot.runtime.cli import main
from domain.audit.rules import Actor
from domain.ledger import service as books
from domain.people import service as people
from domain.rewards import cash
from domain.shared.errors import DomainError, NotFound
from domain.workflows import acts, gifts, taking_back
from domain.workflows.merging import MOVERS
from tests.fakes.pay import FakePay
from tests.integration.payouts.conftest import Till
from tests.integration.payouts.test_packets import customer
from tests.integration.platform.test_rewards_cli import quiet
from tests.together import outcomes

__all__ = ["quiet"]
AGREED = "update approval set state = 'approved', decided_by = 'qian', decided_at = asked_at where id = {open}; "
STEPS = 400 if os.environ.get("HUITOU_TORTURE") else 40


@pytest.fixture
def change(till: Till) -> FakePay:
    pay = FakePay(till.shop.clock, "gift", till.pay.app_id, mch_id="1900000110", purpose="gift")
    till.shop.runtime.context.tool(PayGateways).by_account["gift"] = pay  # type: ignore[index]
    return pay


@pytest.fixture
def team(till: Till) -> tuple[Actor, Actor]:
    return till.operator("wu", "operator"), till.operator("qian", "finance")


def gives(till: Till, who: int, fen: int, cause: str) -> int:
    """A present; its number."""
    till.do(cash.give, who, fen, cause, 1)
    return int(till.rows(f"select id from journal where idem = 'grant:{cause}'")[0].id)


def asks(till: Till, team: tuple[Actor, Actor], gift: int, owe: bool = False) -> int:
    return till.do(lambda session, now: taking_back.ask_gift(session, gift, owe, "x", team[0], now).id)


def approves(till: Till, team: tuple[Actor, Actor], number: int) -> None:
    till.do(lambda session, now: acts.decide(session, number, True, team[1], now))


def state(till: Till, gift: int) -> str:
    with till.shop.runtime.sessions() as session:
        return gifts.one(session, gift).state


def together(*works: Callable[[], object]) -> list[BaseException]:
    """All at once; what they raised."""
    return [one for one in outcomes(*works) if isinstance(one, Exception)]


def refused(faults: list[BaseException], *codes: str) -> None:
    assert all(isinstance(one, DomainError) and one.code in codes for one in faults), faults


def test_taken_while_it_leaves(till: Till, change: FakePay, team: tuple[Actor, Actor]) -> None:
    """The job that sends it and the second operator's yes, at once: it stays and is taken, or left and is called back.
    """
    for n in range(5):
        who = customer(till, f"li{n}")
        gift = gives(till, who, 500, f"x{n}")
        number = asks(till, team, gift)
        refused(together(till.work, lambda one=number: approves(till, team, one)))
        till.work(minutes=2)
        till.work(minutes=2)
        assert (state(till, gift), till.money(who)) == ("taken", (1, 0, 0, 0))
        assert change.waiting() == [] and change.paid_to(f"o-li{n}") == 0


@pytest.mark.parametrize("owe", [True, False])
def test_taken_while_it_is_tapped(till: Till, change: FakePay, team: tuple[Actor, Actor], owe: bool) -> None:
    for n in range(5):
        who = customer(till, f"li{n}")
        gift = gives(till, who, 500, f"x{n}")
        till.work()
        number = asks(till, team, gift, owe)
        (bill,) = change.waiting()
        together(lambda one=bill: change.confirms(one), lambda one=number: approves(till, team, one), till.work)
        till.work(minutes=2)
        till.work(minutes=2)
        got = change.paid_to(f"o-li{n}")
        available, held, paid, debt = till.money(who)
        assert (held, paid) == (0, got) and state(till, gift) == ("taken" if owe or not got else "received")
        assert available - debt == 1 - (got if state(till, gift) == "taken" else 0)


def test_taken_by_many_at_once_is_taken_once(till: Till, change: FakePay, team: tuple[Actor, Actor]) -> None:
    who = customer(till, "li")
    gift, other = gives(till, who, 500, "x"), gives(till, who, 300, "y")
    number = asks(till, team, gift)
    faults = together(*[lambda: approves(till, team, number)] * 8)
    refused(faults, "approval_decided")
    assert len(faults) == 7
    till.work()
    till.work(minutes=2)
    assert state(till, gift) == "taken" and state(till, other) in ("sent", "wallet")
    assert sum(till.money(who)[:2]) == 301


def test_taken_while_it_is_withdrawn(till: Till, team: tuple[Actor, Actor]) -> None:
    """It stays in the wallet and its person asks for all of it: what is not there is left, or owed."""
    for n, owe in enumerate((False, True, False, True)):
        who = customer(till, f"li{n}", 9_600)
        gift = gives(till, who, 500, f"x{n}")
        number = asks(till, team, gift, owe)
        faults = together(lambda one=who: till.ask(10_000, one), lambda one=number: approves(till, team, one))
        refused(faults, "payout.not_enough", "payout.debt", "gift_spent", "gift_busy")
        till.work(minutes=2)
        till.work(minutes=2)
        available, held, paid, debt = till.money(who)
        taken = state(till, gift) == "taken"
        assert available + held + paid - debt == 10_100 - 500 * taken and available >= 0
        assert owe <= taken or faults


def test_two_people_who_become_one_meanwhile(till: Till, team: tuple[Actor, Actor]) -> None:
    for n in range(4):
        kept, gone = customer(till, f"a{n}"), customer(till, f"b{n}")
        gift = gives(till, gone, 500, f"x{n}")
        number = asks(till, team, gift)
        faults = together(
            lambda one=kept, two=gone: till.do(lambda session, now: people.merge(session, one, two, "t", now, MOVERS)),
            lambda one=number: approves(till, team, one))
        assert all(books.merged_meanwhile(one) or books.try_again(one) for one in faults), faults
        if faults:
            approves(till, team, number)
        assert (state(till, gift), till.money(kept)) == ("taken", (2, 0, 0, 0))


ATTACKS = (
    "insert into gift_taking (approval_id, journal_id, fen, owe, at) select {free}, {other}, 301, false, at"
    " from gift_taking limit 1",
    "insert into gift_taking (approval_id, journal_id, fen, owe, at) select {open}, {third}, 200, false, at"
    " from gift_taking limit 1",
    "insert into gift_taking (approval_id, journal_id, fen, owe, at) select {free} + 1000, {third}, 200, false, at"
    " from gift_taking limit 1",
    "insert into gift_taking (approval_id, journal_id, fen, owe, state, ended_at, at)"
    " select {open}, {third}, 200, false, 'taken', at, at from gift_taking limit 1",
    AGREED + "insert into gift_taking (approval_id, journal_id, fen, owe, at) select {open}, {third}, 200, true, at"
    " from gift_taking limit 1",
    "update gift_taking set state = 'calling', ended_at = null where journal_id = {gift}",
    "update gift_taking set owed_fen = 1 where journal_id = {gift}",
    "update gift_taking set state = 'taken', ended_at = at where journal_id = {other}",
    "update gift_taking set fen = 1 where journal_id = {other}",
    "update gift_taking set owed_fen = 1 where journal_id = {other}",
    "update gift_taking set state = 'left', ended_at = at where journal_id = {other}",
    "delete from gift_taking", "truncate gift_taking",
    "insert into journal (idem, digest, kind, effective_at, posted_at, source_type, source_id, reverses)"
    " select 'again', digest, kind, effective_at, posted_at, source_type, source_id, reverses from journal"
    " where reverses = {gift}",
)


def test_the_database_refuses(till: Till, change: FakePay, team: tuple[Actor, Actor]) -> None:
    """Another sum, no approval or an open one, a debt that nobody agreed to, twice, an end without its journal, and any
    change of what ended. What is refused leaves everything as it was, for the next to attack."""
    who = customer(till, "li")
    gift = gives(till, who, 500, "x")
    approves(till, team, asks(till, team, gift))
    other, third = gives(till, who, 300, "y"), gives(till, who, 200, "z")
    till.work()
    free = asks(till, team, other)
    approves(till, team, free)  # called back, and nobody has answered yet
    waiting = asks(till, team, third)
    assert state(till, other) == "calling"
    went_through = []
    for attack in ATTACKS:
        with suppress(DBAPIError):
            with till.shop.runtime.sessions.begin() as session:
                session.execute(text(attack.format(gift=gift, other=other, third=third, free=free, open=waiting)))
            went_through.append(attack)
    assert went_through == []


def test_a_walk_through_everything_keeps_every_fen(till: Till, change: FakePay, team: tuple[Actor, Actor]) -> None:
    """Gifts, taps, waits, lost answers and takings in any order: each person has what was given and not taken."""
    dice = random.Random(20261123)
    crowd = {name: customer(till, name, 20_000) for name in ("li", "wang")}
    presents: dict[int, tuple[str, int]] = {}
    for step in range(STEPS):
        name = dice.choice(list(crowd))
        match dice.randrange(7):
            case 0 | 1:
                fen = dice.choice((10, 333, 500, 2_000))
                presents[gives(till, crowd[name], fen, f"walk{step}")] = (name, fen)
                change.faults.append(dice.choice(("", "lost before", "lost after", "hidden")))
            case 2 if change.waiting():
                change.confirms(dice.choice(change.waiting()))
            case 3:
                till.work(hours=dice.choice((1, 26)))
            case 4 | 5 if presents:
                try:
                    number = asks(till, team, dice.choice(sorted(presents)), dice.random() < 0.5)
                    approves(till, team, number)
                except DomainError as refusal:
                    assert refusal.code in ("gift_taken", "gift_received", "gift_spent", "approval_open"), refusal.code
            case _:
                till.work(minutes=dice.choice((1, 11)))
    till.work(days=2)
    for _ in range(3):
        till.work(hours=2)
    assert till.rows("select 1 from gift_taking where state = 'calling'") == []
    for name, who in crowd.items():
        kept = sum(fen for gift, (owner, fen) in presents.items() if owner == name and state(till, gift) != "taken")
        available, held, paid, debt = till.money(who)
        assert (available + paid - debt, held) == (20_000 + kept, 0) and change.paid_to(f"o-{name}") == paid
    assert {state(till, gift) for gift in presents} >= {"taken"}


def test_at_the_terminal(till: Till, team: tuple[Actor, Actor], valkey_url: str, tmp_path) -> None:
    who = customer(till, "li")
    gift = gives(till, who, 500, "x")
    env = {"HUITOU_HOME": str(tmp_path), "DATABASE_URL": till.shop.runtime.engine.url.render_as_string(False),
           "REDIS_URL": valkey_url}

    def run(*words: str, expect: int = 0) -> str:
        result = CliRunner().invoke(main, list(words), env=env)
        assert result.exit_code == expect, result.output
        return result.output

    (found,) = json.loads(run("reward", "gifts", str(who), "--json"))["gifts"]
    assert (found["id"], found["fen"], found["state"]) == (gift, 500, "wallet")
    told = json.loads(run("reward", "take-back", str(gift), "--reason", "发重了", "--as", "wu", "--json"))
    assert told == {"approval": told["approval"], "act": "gift.take_back", "subject": f"gift:{gift}"}
    run("approvals", "approve", str(told["approval"]), "--as", "qian")
    assert "taken" in run("reward", "gifts", str(who))
    assert "已经收回" in run("reward", "take-back", str(gift), "--owe", "--reason", "x", "--as", "wu", expect=1)
    assert "没有编号为 1 的红包" in run("reward", "take-back", "1", "--reason", "x", "--as", "wu", expect=1)
    run("reward", "gifts", "999999", expect=1)
    log = till.rows("select operator, detail ->> 'fen' as fen from audit_event where act = 'gift.take_back'")
    assert [tuple(row) for row in log] == [("qian", "500")]


def test_what_is_no_gift_is_not_found(till: Till, team: tuple[Actor, Actor]) -> None:
    customer(till, "li", 500)
    (income,) = till.rows("select id from journal where kind = 'test.earned' limit 1")
    with pytest.raises(NotFound):
        asks(till, team, income.id)
