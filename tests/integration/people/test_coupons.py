"""Coupons: issued once for a fact, used once, given back once, never worth anything twice."""

import re
from functools import partial
from pathlib import Path

import pytest
from sqlalchemy import Engine
from sqlalchemy.orm import Session

from domain.rewards import queries, service
from domain.rewards.queries import CouponView
from domain.rewards.rules import Offers
from domain.shared.errors import Conflict, DomainError, NotFound
from tests.integration.people.crowd import crowd, day
from tests.together import in_transactions

TOML = (Path(__file__).parents[3] / "assets" / "rewards.toml").read_text("utf-8")
OFFERS = Offers.load(TOML)
NEWCOMER, SHARE = OFFERS.of("newcomer"), OFFERS.of("first_order_share")


def states(session: Session, person: int, at: float) -> list[str]:
    return [coupon.state for coupon in queries.coupons_of(session, person, day(at))]


def test_the_shipped_offers() -> None:
    assert (NEWCOMER.off_fen, NEWCOMER.min_spend_fen, NEWCOMER.valid_days, NEWCOMER.once) == (1_000, 5_000, 30, True)
    assert (SHARE.off_fen, SHARE.once) == (1_000, False)
    for old, new in (("off_fen = 1000", "off_fen = 10.5"), ("off_fen = 1000", "off_fen = 0"),
                     ("\nonce = true", "\nonce = 1"), ("valid_days = 30", "valid_day = 30"),
                     ("[offer.newcomer]", "[offer.other]")):
        with pytest.raises(ValueError, match="offer"):
            Offers.load(TOML.replace(old, new, 1))


def test_a_fact_issues_once(session: Session) -> None:
    person, other = crowd(session, 2)
    coupon = service.welcome(session, person, NEWCOMER, day(0))
    assert re.fullmatch(r"[2-9a-zA-Z]{10}", coupon.code)
    assert (coupon.valid_from, coupon.valid_until) == (day(0), day(30))
    assert service.welcome(session, person, NEWCOMER, day(1)) == coupon
    assert service.issue(session, person, NEWCOMER, "another fact", day(1)) == coupon, "once a person, ever"
    with pytest.raises(Conflict):
        service.issue(session, other, NEWCOMER, f"newcomer:{person}", day(1))
    with pytest.raises(NotFound):
        service.welcome(session, 99_999, NEWCOMER, day(0))
    assert states(session, person, 1) == ["issued"] and states(session, other, 1) == []


def test_using_is_once_and_repeats_its_answer(session: Session) -> None:
    person = crowd(session, 1)[0]
    code = service.welcome(session, person, NEWCOMER, day(0)).code
    used = service.redeem(session, code, "mall", "A1", day(1))
    assert (used.state, used.used_channel, used.used_order, used.used_at) == ("used", "mall", "A1", day(1))
    assert service.redeem(session, code, "mall", "A1", day(50)) == used
    for channel, no in (("mall", "A2"), ("douyin", "A1")):
        with pytest.raises(Conflict) as refusal:
            service.redeem(session, code, channel, no, day(1))
        assert refusal.value.code == "coupon.used"
    with pytest.raises(NotFound):
        service.redeem(session, code.swapcase(), "mall", "A1", day(1))
    with pytest.raises(DomainError):
        service.redeem(session, code, "mall", "", day(1))


def test_expired_and_revoked_coupons_are_refused(session: Session) -> None:
    person, friend = crowd(session, 2)
    code = service.welcome(session, person, NEWCOMER, day(0)).code
    mine, theirs = service.reward_first_order(session, friend, person, SHARE, day(0))
    assert [c.code for c in queries.usable(session, person, day(29))] == [code, theirs.code]
    assert queries.usable(session, person, day(30)) == []
    assert service.take_back_first_order(session, friend, SHARE, day(1)) == 2
    assert service.take_back_first_order(session, friend, SHARE, day(1)) == 0
    for one, at, why in ((code, 30, "coupon.expired"), (mine.code, 2, "coupon.revoked")):
        with pytest.raises(DomainError) as refusal:
            service.redeem(session, one, "mall", "A1", day(at))
        assert refusal.value.code == why
    assert (states(session, person, 29), states(session, person, 30)) == (["revoked", "issued"], ["revoked", "expired"])
    assert [service.expire(session, day(at)) for at in (29, 30, 31)] == [0, 1, 0]
    assert states(session, person, 30) == ["revoked", "expired"]


def test_a_returned_order_gives_back_once(session: Session) -> None:
    person, friend = crowd(session, 2)
    coupons = [service.welcome(session, person, NEWCOMER, day(0)),
               service.reward_first_order(session, friend, person, SHARE, day(0))[1]]
    for coupon in coupons:
        service.redeem(session, coupon.code, "mall", "A1", day(1))
    assert [service.give_back(session, "mall", "A1", day(2)) for _ in range(2)] == [2, 0]
    assert states(session, person, 2) == ["issued", "issued"]
    with pytest.raises(Conflict) as refusal:
        service.redeem(session, coupons[0].code, "mall", "A1", day(2))
    assert refusal.value.code == "coupon.returned"
    assert service.redeem(session, coupons[0].code, "mall", "A2", day(3)).state == "used"
    assert service.give_back(session, "mall", "A1", day(4)) == 0, "a late repeat does not reach the next order"
    assert service.take_back_first_order(session, friend, SHARE, day(4)) == 2
    service.give_back(session, "mall", "A2", day(40))
    assert states(session, person, 40)[1] == "expired", "giving back does not lengthen the validity"


def test_many_at_once(engine: Engine) -> None:
    with Session(engine) as session:
        person = crowd(session, 1)[0]
    welcomes = in_transactions(engine, *[lambda s: service.welcome(s, person, NEWCOMER, day(0)) for _ in range(10)])
    codes = {coupon.code for coupon in welcomes if isinstance(coupon, CouponView)}
    assert len(codes) == 1 and all(isinstance(coupon, CouponView) for coupon in welcomes)
    code = codes.pop()
    use = partial(service.redeem, code=code, channel="mall", now=day(1))
    uses = in_transactions(engine, *[partial(use, order_no=f"A{n}") for n in range(10)])
    assert sorted(type(use).__name__ for use in uses) == ["Conflict"] * 9 + ["CouponView"]
