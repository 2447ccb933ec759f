"""Whoever books money, points or presents for somebody who is merged away meanwhile books it for who was kept."""

from collections.abc import Callable
from typing import Any

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session

from bot.runtime.bootstrap import ASSETS
from domain import workflows
from domain.audit.rules import Actor
from domain.commissions import plans
from domain.commissions import service as commissions
from domain.ledger import service as ledger
from domain.ledger.rules import Entry, Move, person, platform
from domain.memberships.rules import Cards
from domain.payouts import packets
from domain.people import queries as people
from domain.points import queries as points_of
from domain.points import service as points
from domain.points.rules import Life
from domain.points.service import Earning
from domain.rewards import cash, programme
from domain.rewards import service as rewards
from domain.rewards.rules import Offers
from domain.risk import service as risk
from domain.roles import service as roles
from domain.roles.service import Cause
from domain.settlements import adjusting, milestones, service_acts
from domain.settlements import service as settlements
from domain.settlements.rules import Month
from domain.workflows import programme as counting
from tests.conftest import MORNING
from tests.integration.money.merging import HISTORY, KEEPER, MOMENTS, OWNED, WORDS, keeper, left_behind, merge
from tests.integration.money.world import PLANS, Shop

ZHOU = Actor("zhou", "finance")
LIFE = Life()
OFFERS = Offers.load((ASSETS / "rewards.toml").read_text("utf-8"))
LADDERS = programme.load((ASSETS / "ladders.toml").read_text("utf-8"), OFFERS.by_kind)
EXTRA: dict[str, Any] = {
    "milestones": {"first_sale_fen": 5_000, "streak_days": 7, "streak_fen": 10_000, "team_size": 3, "team_fen": 20_000},
    "service": [{"key": "after_sale", "title": "售后响应", "fen": 300, "per_month": 2}],
}
WHO = "小王"
Work = Callable[[Shop, Session], object]


@pytest.fixture
def shop(shop: Shop) -> Shop:
    """小王 is a promoter, and somebody else's second account as well."""
    keeper(shop)
    with shop.sessions.begin() as session:
        document = plans.load(PLANS / "two-level.toml").document() | EXTRA
        commissions.ensure_plan(session, document, shop.clock.now())
        roles.grant(session, shop.people[WHO], "promoter", Cause("operator", "x"), MORNING, MORNING)
    shop.clock.advance(60)
    return shop


def do(shop: Shop, work: Work) -> object:
    return ledger.retrying(shop.sessions, lambda session: work(shop, session))


def _who(shop: Shop) -> int:
    return shop.people[WHO]


def _gift(shop: Shop, session: Session) -> object:
    return cash.give(session, _who(shop), 500, "gift", 1, shop.clock.now())


def _earn(shop: Shop, session: Session) -> object:
    who = people.survivors(session, [_who(shop)])[_who(shop)]  # as an effect does that is carried out again
    points.earn(session, [Earning(who, 10, "order:1", shop.clock.now())], LIFE, shop.clock.now())
    return points.activate(session, shop.clock.now(), person_id=who)


def _coupon(shop: Shop, session: Session) -> object:
    return rewards.issue(session, _who(shop), next(iter(OFFERS.by_kind.values())), "present", shop.clock.now())


def _service(shop: Shop, session: Session) -> object:
    return service_acts.record(session, _who(shop), "after_sale", "T1", shop.clock.now(), ZHOU, shop.clock.now())


def _unserve(shop: Shop, session: Session) -> object:
    act, = service_acts.acts(session)
    return None if act.revoked_at else service_acts.revoke(session, act.id, "mistake", ZHOU, shop.clock.now())


def _serviced(shop: Shop, session: Session) -> object:
    return service_acts.release_due(session, shop.clock.now(), 10)


def _tend(shop: Shop, session: Session) -> object:
    return milestones.tend(session, shop.clock.now(), 10)


def _release(shop: Shop, session: Session) -> object:
    return workflows.release_due(session, shop.clock.now(), 10)


def _close(shop: Shop, session: Session) -> object:
    return settlements.close_step(session, Month.parse("2026-11"), shop.clock.now())


def _settled(shop: Shop, session: Session) -> object:
    return settlements.release_due(session, shop.clock.now(), 10)


def _adjust(shop: Shop, session: Session) -> object:
    return adjusting.adjust_late(session, shop.clock.now(), 10)


def _count(shop: Shop, session: Session) -> object:
    buyer = people.survivors(session, [_who(shop)])[_who(shop)]
    return counting.recount(session, [buyer], LADDERS, OFFERS, LIFE, shop.clock.now())


def _reverse(shop: Shop, session: Session) -> object:
    return points.reverse(session, "order:1", 10, "refund:1", shop.clock.now())


def _undo(shop: Shop, session: Session) -> object:
    return points.undo(session, "gift:1", 5, "undone:1", LIFE, shop.clock.now())


def _spend(shop: Shop, session: Session) -> object:
    who = people.survivors(session, [_who(shop)])[_who(shop)]
    return points.spend(session, who, 5, "gift", "gift:1", shop.clock.now())


def _freeze(shop: Shop, session: Session) -> object:
    return risk.freeze(session, _who(shop), "zhou", "looks odd", shop.clock.now())


def _packet(shop: Shop, session: Session) -> object:
    who = people.survivors(session, [_who(shop)])[_who(shop)]
    return packets.send(session, packets.Packet(who, "gift", 500, "gifts", "wx1", "o-1", "红包"), 0, shop.clock.now())


def _sale(shop: Shop) -> None:
    shop.tell(shop.pay("A1", by="新客"), shop.receive("A1"))


def _december(shop: Shop) -> None:
    shop.tell(shop.pay("A1", by="新客", fen=100_000), shop.receive("A1"))
    shop.clock.advance(12 * 86_400)
    shop.due()


def _counted(shop: Shop) -> None:
    _december(shop)
    do(shop, _close)
    do(shop, _close)


def _begun(shop: Shop) -> None:
    _december(shop)
    do(shop, _close)


def _closed(shop: Shop) -> None:
    _december(shop)
    shop.close_month("2026-11")


def _refunded(shop: Shop) -> None:
    _closed(shop)
    shop.days(8)
    shop.tell(shop.refund("A1", "R1", 50_000))


def _served(shop: Shop) -> None:
    do(shop, _service)
    shop.clock.advance(8 * 86_400)


def _served_long_ago(shop: Shop) -> None:
    _served(shop)
    do(shop, _serviced)


def _come_back(shop: Shop) -> None:
    for n in range(6):
        shop.tell(shop.pay(f"B{n}", by=WHO), shop.receive(f"B{n}"))
    shop.clock.advance(60)


def _has_points(shop: Shop) -> None:
    do(shop, _earn)


def _has_spent(shop: Shop) -> None:
    do(shop, _earn)
    do(shop, _spend)


def _has_gift(shop: Shop) -> None:
    do(shop, _gift)


def _nothing(shop: Shop) -> None:
    """Nothing is theirs yet."""


def _month_done(shop: Shop) -> None:
    shop.close_month("2026-11")
    shop.adjust()


def _days_later(shop: Shop) -> None:
    shop.days(1)
    for work in (_serviced, _tend):
        do(shop, work)


Step = Callable[[Shop], object]
CASES: dict[str, tuple[Step, Work, Step, dict[str, int]]] = {
    "present in money": (_nothing, _gift, _nothing, {"available": 500}),
    "points": (_nothing, _earn, _nothing, {"points": 10}),
    "more points": (lambda shop: do(shop, lambda _, s: points.earn(
        s, [Earning(_who(shop), 5, "order:0", shop.clock.now())], LIFE, shop.clock.now())),
        _earn, lambda shop: do(shop, lambda _, s: points.activate(s, shop.clock.now())), {"points": 15}),
    "points taken back": (_has_points, _reverse, _nothing, {}),
    "points spent": (_has_points, _spend, _nothing, {"points": 5}),
    "points undone": (_has_spent, _undo, _nothing, {"points": 10}),
    "points undone that are owed": (lambda shop: (_has_spent(shop), do(shop, _reverse)), _undo, _nothing, {}),
    "coupon": (_nothing, _coupon, _nothing, {}),
    "service": (_nothing, _service, _nothing, {"pending": 300}),
    "service let go": (_served, _serviced, _days_later, {"available": 300}),
    "service revoked": (_served, _unserve, _nothing, {}),
    "service revoked late": (_served_long_ago, _unserve, _nothing, {}),
    "milestone": (_sale, _tend, lambda shop: do(shop, _tend), {"pending": 5_792}),
    "milestone final": (lambda shop: (_sale(shop), do(shop, _tend), shop.days(8)), _tend, _days_later,
                        {"available": 5_792}),
    "commission let go": (lambda shop: (_sale(shop), shop.clock.advance(8 * 86_400)), _release,
                          lambda shop: shop.days(0), {"available": 792}),
    "month counted": (_begun, _close, _month_done, {"available": 8_000, "pending": 5_000}),
    "month settled": (_counted, _close, _month_done, {"available": 8_000, "pending": 5_000}),
    "month let go": (lambda shop: (_closed(shop), shop.clock.advance(8 * 86_400)), _settled,
                     lambda shop: (shop.days(0), shop.adjust()), {"available": 13_000}),
    "month adjusted": (_refunded, _adjust, lambda shop: shop.adjust(), {"available": 6_500}),
    "rewards for coming back": (_come_back, _count, lambda shop: do(shop, _count), {}),
    "freeze": (_sale, _freeze, _nothing, {"frozen": 792}),
    "red packet": (_has_gift, _packet, _nothing, {"held": 500}),
}


@pytest.mark.parametrize("moment", MOMENTS)
@pytest.mark.parametrize("case", CASES)
def test_it_is_theirs_whoever_they_are_by_then(shop: Shop, case: str, moment: str) -> None:
    before, work, after, expected = CASES[case]
    before(shop)
    MOMENTS[moment](shop, WHO, lambda: do(shop, work))
    after(shop)
    assert left_behind(shop) == []
    refused = shop.rows("select conflict from person_merge_conflict")
    assert refused == [] or (case, moment, refused) == ("red packet", "between", [("withdrawal_open",)])
    money = dict(shop.rows(
        "select a.kind, b.amount from account a join balance b on b.account_id = a.id where a.owner_id = :who"
        " and b.amount <> 0", who=shop.people[WHO if refused else KEEPER]))
    if case != "rewards for coming back":
        assert money == expected
    with shop.sessions() as session:
        assert points_of.disagreements(session) == []


def test_who_is_counted_while_they_are_merged_away_is_set_apart_for_nothing(shop: Shop) -> None:
    """As the chore counts: nobody waits an hour because of a merge, and rewards are whoever's was kept."""
    _come_back(shop)

    def refresh() -> None:
        with shop.sessions.begin() as session:
            counting.refresh(session, LADDERS, OFFERS, LIFE, Cards(()), shop.clock.now(), 100)

    MOMENTS["behind"](shop, WHO, refresh)
    refresh()
    assert shop.rows("select person_id, fault from programme_stale where fault <> ''") == []
    assert left_behind(shop) == []
    assert {row.person_id for row in shop.rows("select person_id from reward")} == {shop.people[KEEPER]}


@pytest.mark.parametrize("kind", ["pending", "available", "debt", "frozen", "points", "points_debt"])
def test_nothing_is_booked_for_who_is_gone_whoever_books_it(shop: Shop, kind: str) -> None:
    """Neither to an account they had nor to one they never had, nor behind the functions' back."""
    do(shop, _earn)
    with shop.sessions.begin() as session:
        merge(shop, session, WHO)
    points_kind = kind.startswith("points")
    mine, theirs = person(_who(shop), kind), platform("points.issued" if points_kind else "expense.bonus")  # type: ignore[arg-type]
    sides = (mine, theirs) if kind.endswith("debt") else (theirs, mine)
    entry = Entry("raw", "test", shop.clock.now(), "test", 1, "", (Move(*sides, 5, "PTS" if points_kind else "CNY"),))
    with shop.sessions() as session, pytest.raises(DBAPIError) as refused:
        ledger.post(session, [entry], shop.clock.now())
    assert ledger.merged_meanwhile(refused.value)
    with shop.sessions() as session, pytest.raises(DBAPIError) as refused:
        session.execute(text("update balance set amount = 5 where account_id in (select id from account"
                             " where owner_id = :who)"), {"who": _who(shop)})
    assert ledger.merged_meanwhile(refused.value)
    assert left_behind(shop) == []


def test_every_table_of_people_is_decided_about(shop: Shop) -> None:
    """Of a new one it is said in merging.py whether it is worth something: then who was merged away is refused."""
    guarded = {row[0] for row in shop.rows(
        "select distinct tgrelid::regclass::text from pg_trigger t join pg_proc p on p.oid = t.tgfoid"
        " where p.proname in ('person_living', 'people_living', 'order_news_of', 'commission_within_paid')")}
    named = {thing for thing, whose in shop.rows(OWNED) if f"{thing}.{whose}" not in HISTORY}
    assert named - guarded == WORDS
