"""Draws and the points mall on a real database, many at once: stock and points are conserved, promises are kept."""

import pytest
from sqlalchemy import Engine, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session

from bot.runtime.bootstrap import ASSETS
from domain.audit.rules import Actor
from domain.draws import queries
from domain.draws import service as draws
from domain.draws.rules import Seeds, load, roll
from domain.fulfilment import service as fulfilment
from domain.ledger import service as ledger
from domain.mall import queries as shelf
from domain.mall import rules as mall_rules
from domain.mall import service as mall
from domain.people import service as people
from domain.points import queries as points_of
from domain.points import service as points
from domain.points.rules import Life
from domain.points.service import Earning
from domain.rewards import service as rewards
from domain.rewards.rules import Offers
from domain.shared.errors import DomainError
from domain.workflows import drawing, exchanging
from domain.workflows.merging import MOVERS
from tests.integration.people.crowd import crowd, day
from tests.together import in_transactions

OFFERS = Offers.load((ASSETS / "rewards.toml").read_text("utf-8"))
LIFE = Life()
SEEDS = Seeds(b"s" * 32)
LIN = Actor("lin", "owner")

SURE = """
[[campaign]]
key = "sure"
title = "必中"
opens = 2026-01-01T00:00:00+08:00
closes = 2028-01-01T00:00:00+08:00
points = 10
daily_free = 0
daily_most = 6
total_most = 8

[[campaign.prize]]
key = "box"
title = "礼盒"
kind = "product"
worth_fen = 10000
odds_bps = 5000
stock = 7

[[campaign.prize]]
key = "red"
title = "红包"
kind = "red_packet"
amount = 100
odds_bps = 2500
stock = 5

[[campaign.prize]]
key = "more"
title = "积分"
kind = "points"
amount = 3
odds_bps = 2500
"""
SHELF = """
[[item]]
key = "bag"
title = "帆布袋"
points = 30
kind = "product"
worth_fen = 2900
stock = 4
most = 2

[[item]]
key = "five"
title = "5元券"
points = 20
kind = "coupon"
offer = "mall_five"

[[item]]
key = "tickets"
title = "抽奖两次"
points = 15
kind = "ticket"
campaign = "sure"
amount = 2
"""


def opened(session: Session) -> queries.CampaignView:
    """Published the day before, as a promise should be; the shelf is filled."""
    assert draws.publish(session, load(SURE, OFFERS.by_kind), SEEDS, day(-1)) == []
    mall.offer(session, mall_rules.load(SHELF, OFFERS.by_kind, ["sure"]))
    found = queries.current(session, day(0))
    assert found
    return found


def rich(session: Session, person: int, amount: int) -> None:
    points.earn(session, [Earning(person, amount, f"gift:{person}:{amount}", day(0))], LIFE, day(0))
    points.activate(session, day(0), person_id=person)


def drawn(
    session: Session, person: int, campaign: queries.CampaignView, key: str, at: float = 0.5
) -> queries.DrawView:
    return drawing.draw(session, person, campaign.id, key, SEEDS, OFFERS, LIFE, day(at))


def sums(session: Session) -> dict[str, int]:
    """What the books and the rows say about points: given out, spent, and left."""
    row = session.execute(text("""
        select (select sum(amount) from point_lot) as earned,
               (select sum(amount - undone) from point_spending) as spent,
               (select sum(remaining) from point_lot) as left,
               (select sum(points) from draw) as drawn,
               (select coalesce(sum(points), 0) from mall_exchange where cancelled_at is null) as taken""")).one()
    return {name: int(value or 0) for name, value in row._mapping.items()}


def even(session: Session) -> None:
    assert points_of.disagreements(session) == []
    assert ledger.check(session).faults == ()
    found = sums(session)
    assert found["earned"] == found["spent"] + found["left"] and found["spent"] == found["drawn"] + found["taken"]


def test_fifty_at_once_never_win_more_than_there_is(engine: Engine) -> None:
    """50 threads, 10 people, requests twice at once: stock, points, money and goods add up, no request counts twice."""
    with Session(engine) as session:
        campaign = opened(session)
        crowded = crowd(session, 10)
        for person in crowded:
            rich(session, person, 60)
        session.commit()
    ends: list[object] = []
    for asked in ((0, 1, 2, 0, 1), (3, 4, 5, 3, 4)):
        ends += in_transactions(engine, *[
            lambda session, who=who, n=n: drawn(session, crowded[who], campaign, f"{who}:{n}").state
            for n in asked for who in range(10)])
    assert len(ends) == 100 and set(ends) <= {"won", "sold_out"}
    with Session(engine) as session:
        made = session.execute(text("select count(*), count(distinct key) from draw")).one()
        assert tuple(made) == (60, 60)
        given = dict(session.execute(text("select key, given from draw_prize")).all())
        won = dict(session.execute(text("""
            select p.key, count(*) from draw d join draw_prize p using (campaign_id)
             where p.n = d.prize_n and d.state = 'won' group by 1""")).all())
        assert given == {"box": 7, "red": 5, "more": won["more"]} and won == given
        assert len(fulfilment.listed(session)) == 7
        assert session.execute(text("select count(*) from draw where state = 'sold_out' and points > 0")).scalar() == 0
        red = session.execute(text("select sum(b.amount) from account a join balance b on b.account_id = a.id"
                                   " where a.kind = 'available'")).scalar_one()
        assert red == 500
        even(session)


def test_a_request_that_comes_again_is_the_same_draw(session: Session) -> None:
    campaign, (li,) = opened(session), crowd(session, 1)
    rich(session, li, 25)
    first = drawn(session, li, campaign, "m1")
    assert drawn(session, li, campaign, "m1") == first
    assert points.hold(session, li, day(0.5)) == 25 - first.points + (3 if first.prize == "积分" else 0)
    even(session)


def test_a_refused_draw_leaves_no_trace(session: Session) -> None:
    campaign, (li,) = opened(session), crowd(session, 1)
    rich(session, li, 9)
    with pytest.raises(DomainError, match="draw_points"):
        drawn(session, li, campaign, "m1")
    assert session.execute(text("select count(*) from draw_entrant")).scalar() == 0
    assert session.execute(text("select sum(given) from draw_prize")).scalar() == 0


def test_limits_hold_also_against_sql(session: Session) -> None:
    campaign, (li,) = opened(session), crowd(session, 1)
    rich(session, li, 900)
    made = 0
    while made < 6:
        made += drawn(session, li, campaign, f"a{session.execute(text('select count(*) from draw')).scalar()}"
                      ).state != "sold_out"
    with pytest.raises(DomainError, match="draw_today"):
        drawn(session, li, campaign, "b")
    session.commit()
    forged = ("insert into draw (campaign_id, person_id, code, number, day, key, paid_by, points, roll, state, at)"
              " values (:c, :p, 'x', 1, :day, 'forged', 'free', 0, 9999, 'nothing', :at)")
    for at in (day(0.6), day(900)):
        with pytest.raises(DBAPIError) as refused:
            session.execute(text(forged), {"c": campaign.id, "p": li, "day": at.date(), "at": at})
        assert refused.value.orig.sqlstate in ("HT409", "23503")
        session.rollback()


def test_promises_come_first_seeds_after_and_everything_is_checked(session: Session) -> None:
    campaign, (li,) = opened(session), crowd(session, 1)
    rich(session, li, 60)
    made = [drawn(session, li, campaign, f"m{n}") for n in range(3)]
    assert draws.reveal(session, SEEDS, day(0.55)) == []
    today = queries.promises(session, campaign.id, day(0.55))[0]
    assert (today.seed, today.draws) == ("", 3) and today.published_at < made[0].at
    assert draws.verify(session, campaign, day(0.55)) == (0, [])
    assert draws.reveal(session, SEEDS, day(1.5)) == []
    shown = next(one for one in queries.promises(session, campaign.id, day(1.5)) if one.day == made[0].day)
    assert [roll(bytes.fromhex(shown.seed), "sure", one.code, one.number) for one in made] == [o.roll for o in made]
    fresh = queries.campaigns(session, day(1.5))[0]
    assert draws.verify(session, fresh, day(1.5)) == (3, [])
    session.commit()
    for attack in ("update draw_seed set seed = repeat('00', 32) where seed <> ''", "update draw set roll = 1",
                   "update draw_prize set odds_bps = 1", "delete from draw", "update draw_campaign set points = 0",
                   "update draw_seed set commitment = repeat('0', 64)", "update draw_prize set given = 8 where n = 1"):
        with pytest.raises(DBAPIError):
            session.execute(text(attack))
        session.rollback()
    session.execute(text("alter table draw disable trigger all"))
    session.execute(text("update draw set roll = (roll + 5000) % 10000 where id = :id"), {"id": made[1].id})
    session.execute(text("delete from draw where id = :id"), {"id": made[0].id})
    count, faults = draws.verify(session, fresh, day(1.5))
    assert count == 2 and sum("it must be" in fault for fault in faults) == 1
    assert any("2 draws, the last has number 3" in fault for fault in faults)
    session.rollback()


def test_nobody_draws_before_the_promise_or_under_another_secret(session: Session) -> None:
    campaign, (li,) = opened(session), crowd(session, 1)
    rich(session, li, 60)
    with pytest.raises(DomainError, match="draw_not_ready"):
        drawn(session, li, campaign, "m1", at=60)
    assert draws.promise(session, SEEDS, day(60)) > 0
    with pytest.raises(DomainError, match="draw_not_ready"):
        drawing.draw(session, li, campaign.id, "m2", Seeds(b"x" * 32), OFFERS, LIFE, day(60))
    assert draws.reveal(session, Seeds(b"x" * 32), day(61)) != []
    drawn(session, li, campaign, "m3", at=60.1)


def test_what_was_published_stays(session: Session) -> None:
    opened(session)
    changed = load(SURE.replace("stock = 7", "stock = 70"), OFFERS.by_kind)
    assert draws.publish(session, changed, SEEDS, day(0)) == ["sure"]
    other = load(SURE.replace('"sure"', '"other"'), OFFERS.by_kind)
    assert draws.publish(session, other, SEEDS, day(0)) == ["other"]
    draws.stop(session, "sure", "all gone", LIN, day(0))
    assert draws.publish(session, other, SEEDS, day(0)) == []
    current = queries.current(session, day(0))
    assert current and current.key == "other"


def test_the_shelf_is_never_oversold_and_nobody_takes_more_than_allowed(engine: Engine) -> None:
    with Session(engine) as session:
        opened(session)
        crowded = crowd(session, 5)
        for person in crowded:
            rich(session, person, 100)
        session.commit()

    def one(session: Session, who: int, n: int) -> str:
        try:
            return f"ok:{exchanging.exchange(session, crowded[who], 'bag', 30, f'{who}:{n}', OFFERS, day(1)).id}"
        except DomainError as refusal:
            return refusal.code

    ends = in_transactions(engine, *[lambda session, who=who, n=n: one(session, who, n // 2) for n in range(10)
                            for who in range(5)])
    assert {str(end) for end in ends if not str(end).startswith("ok")} <= {"mall_gone", "mall_had", "mall_points"}
    assert len({end for end in ends if str(end).startswith("ok")}) == 4
    with Session(engine) as session:
        mine = session.execute(text("select max(n) from (select count(*) as n from mall_exchange"
                                    " group by person_id) c"))
        assert mine.scalar_one() <= 2
        assert session.execute(text("select taken from mall_item where key = 'bag'")).scalar() == 4
        assert len(fulfilment.listed(session)) == 4
        even(session)


def test_a_cancelled_exchange_gives_everything_back_once(session: Session) -> None:
    opened(session)
    (li,) = crowd(session, 1)
    rich(session, li, 65)
    for n, item in enumerate(("bag", "five", "tickets")):
        cost = {"bag": 30, "five": 20, "tickets": 15}[item]
        exchanging.exchange(session, li, item, cost, f"m{n}", OFFERS, day(1))
    assert points.hold(session, li, day(1)) == 0
    rows = {row.item: row.id for row in shelf.exchanges(session, li)}
    for item, back in (("bag", 30), ("five", 50), ("tickets", 65)):
        exchanging.cancel(session, rows[item], "缺货", LIFE, LIN, day(2))
        assert points.hold(session, li, day(2)) == back
    with pytest.raises(DomainError, match="exchange_cancelled"):
        exchanging.cancel(session, rows["bag"], "again", LIFE, LIN, day(2))
    assert session.execute(text("select sum(taken) from mall_item")).scalar() == 0
    assert session.execute(text("select count(*) from draw_ticket")).scalar() == 0
    assert {row.state for row in fulfilment.listed(session, None)} == {"cancelled"}
    even(session)


def test_what_was_used_or_sent_is_not_given_back(session: Session) -> None:
    campaign, (li,) = opened(session), crowd(session, 1)
    rich(session, li, 65)
    made = {item: exchanging.exchange(session, li, item, cost, item, OFFERS, day(1)).id
            for item, cost in (("bag", 30), ("five", 20), ("tickets", 15))}
    code = session.execute(text("select code from coupon where person_id = :p"), {"p": li}).scalar_one()
    rewards.redeem(session, code, "mall", "A1", day(1))
    draws.promise(session, SEEDS, day(0.9))
    assert drawn(session, li, campaign, "d", at=1.1).paid_by in ("ticket", "none")
    session.execute(text("update draw_ticket set used_at = :at where used_at is null"), {"at": day(1.2)})
    fulfilment.send(session, fulfilment.listed(session)[-1].id, "SF1", LIN, day(1))
    for item, why in (("bag", "fulfilment_ended"), ("five", "exchange_used"), ("tickets", "exchange_used")):
        with pytest.raises(DomainError, match=why):
            exchanging.cancel(session, made[item], "late", LIFE, LIN, day(2))
    assert points.hold(session, li, day(2)) in (0, 3)


def test_two_who_are_one_keep_their_draws_and_proofs(session: Session) -> None:
    campaign, (li, xin) = opened(session), crowd(session, 2)
    for person in (li, xin):
        rich(session, person, 60)
    made = [drawn(session, who, campaign, key) for who, key in ((li, "l1"), (xin, "x1"), (xin, "x2"))]
    exchanging.exchange(session, xin, "bag", 30, "e1", OFFERS, day(0.5))
    people.merge(session, li, xin, "operator", day(0.52), MOVERS)
    kept = session.execute(text("select id from person where merged_into is null and id in (:a, :b)"),
                           {"a": li, "b": xin}).scalar_one()
    assert {one.id for one in queries.draws_of(session, campaign.id, kept)} == {one.id for one in made}
    drawn(session, kept, campaign, "k1", at=0.55)
    draws.reveal(session, SEEDS, day(2))
    assert draws.verify(session, queries.campaigns(session, day(2))[0], day(2)) == (4, [])
    even(session)
