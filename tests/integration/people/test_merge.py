"""Two persons turn out to be one: everything follows, or nothing does and a human is told."""

from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta

import pytest
from sqlalchemy import Engine, select
from sqlalchemy.orm import Session

from domain.commissions import queries as commissions
from domain.people import queries, service
from domain.people.models import Identity, PersonMerge
from domain.referrals import queries as referral_queries
from domain.referrals import service as referrals
from domain.referrals.models import Referral
from domain.referrals.models import Touch as TouchRow
from domain.referrals.rules import BindingPolicy, Touch
from domain.rewards import queries as coupon_queries
from domain.rewards import service as rewards
from domain.rewards.rules import CouponOffer
from domain.roles import queries as role_queries
from domain.roles import service as roles
from domain.shared import outbox
from domain.shared.errors import Conflict, NotFound
from tests.conftest import MORNING
from tests.integration.people.crowd import PEPPER, crowd, day, mall, openid, order, phone, scan
from tests.together import in_transactions

MOVERS = (referrals.move, roles.move, rewards.move)
POLICY = BindingPolicy()
NEWCOMER = CouponOffer("newcomer", "welcome", 1_000, 5_000, 30, True)


def one(session: Session, *refs: object, at: datetime = MORNING) -> int:
    return service.resolve(session, list(refs), at, pepper=PEPPER, movers=MOVERS)  # type: ignore[arg-type]


def test_a_group_joins_persons_and_all_they_have(session: Session) -> None:
    upline, friend = crowd(session, 2)
    chat = one(session, openid("o1"))
    shop = one(session, mall("m1"), at=MORNING + timedelta(days=1))
    service.set_profile(session, shop, nickname="新客🌸")
    referrals.bind_many(session, [scan(shop, upline, 1), scan(friend, shop, 1)], POLICY, day(2))
    roles.order_completed_many(session, [(shop, order(session, shop, "A1", 1), day(1))], day(1))
    rewards.welcome(session, shop, NEWCOMER, day(1))
    outbox.put(session, [outbox.Effect("notice", "x", "x:1", shop)], day(1))
    gone_code = queries.people(session, [shop])[shop].referral_code

    kept = one(session, openid("o1"), mall("m1"), at=day(2))
    assert kept == chat == one(session, mall("m1"), at=day(3))
    assert queries.survivors(session, [shop]) == {shop: chat}
    assert queries.by_codes(session, [gone_code]) == {gone_code: chat}
    view = queries.person(session, shop)
    assert view is not None and (view.id, view.nickname) == (chat, "新客🌸")
    assert referral_queries.uplines(session, [shop, friend], day(3), 3) == {shop: [upline], friend: [chat, upline]}
    assert role_queries.roles_of(session, [shop, chat]) == {shop: "promoter", chat: "promoter"}
    assert [c.person_id for c in coupon_queries.coupons_of(session, shop, day(3))] == [chat]
    effect = session.scalars(select(outbox.Outbox).where(outbox.Outbox.key == "x:1")).one()
    assert effect.person_id == chat
    audit = session.scalars(select(PersonMerge)).one()
    assert (audit.kept_id, audit.gone_id, audit.reason) == (chat, shop, "identities")
    assert audit.detail["identity"] == 1 and audit.detail["coupon"] == 1


def test_survivors_of_survivors(session: Session) -> None:
    a, b, c = (one(session, mall(f"m{n}"), at=day(n)) for n in range(3))
    service.merge(session, c, b, "operator", day(5), MOVERS)
    service.merge(session, b, a, "operator", day(5), MOVERS)
    assert queries.survivors(session, [a, b, c]) == {a: a, b: a, c: a}
    again = service.merge(session, c, a, "operator", day(6), MOVERS)
    assert (again.kept_id, again.gone_id, again.conflict) == (a, 0, "")
    with pytest.raises(NotFound):
        service.merge(session, a, 999_999, "operator", day(6), MOVERS)


def test_a_refusal_leaves_everything_apart_and_is_recorded_once(session: Session) -> None:
    chat, shop = one(session, openid("o1")), one(session, mall("m1"), at=day(1))
    friend = crowd(session, 1)[0]
    referrals.bind(session, scan(friend, shop, 1), POLICY, day(1))

    def money_says_no(session: Session, kept: int, gone: int, now: datetime) -> dict[str, int]:
        raise Conflict("merge.money")

    groups = [[openid("o1"), mall("m1"), phone("13812345678")]]
    for _ in range(2):
        people = service.resolve_many(session, groups, day(2), pepper=PEPPER, movers=(referrals.move, money_says_no))
        assert people == [chat]
    assert queries.find(session, mall("m1"), pepper=PEPPER) == shop
    assert queries.find(session, phone("13812345678"), pepper=PEPPER) == chat
    assert referral_queries.referrer_of(session, friend, day(2)) == shop
    assert session.scalars(select(PersonMerge)).all() == []
    conflict, = queries.conflicts(session)
    assert (conflict.one_id, conflict.other_id, conflict.conflict) == (chat, shop, "merge.money")
    service.settle_conflict(session, conflict.id, "two sisters", day(3))
    assert queries.conflicts(session) == []
    with pytest.raises(NotFound):
        service.settle_conflict(session, conflict.id, "again", day(3))


def test_a_merge_that_would_close_a_ring_is_refused(session: Session) -> None:
    a, b, c = (one(session, mall(f"m{n}"), at=day(0)) for n in range(3))
    referrals.bind_many(session, [scan(b, a, 1), scan(c, b, 1)], POLICY, day(1))
    assert service.merge(session, a, c, "operator", day(2), MOVERS).conflict == "merge.cycle"
    assert referral_queries.uplines(session, [c], day(2), 3) == {c: [b, a]}


def test_merging_a_sharer_with_their_own_newcomer_ends_the_bond(session: Session) -> None:
    sharer, self_again = one(session, openid("o1")), one(session, mall("m1"), at=day(1))
    above = crowd(session, 1)[0]
    referrals.bind_many(session, [scan(self_again, sharer, 1), scan(sharer, above, 1)], POLICY, day(1))
    assert service.merge(session, sharer, self_again, "operator", day(2), MOVERS).conflict == ""
    assert referral_queries.uplines(session, [sharer, self_again], day(2), 3) == {sharer: [above], self_again: [above]}
    assert commissions.team(session, sharer).members == ()


def test_of_two_uplines_the_valid_and_then_the_older_stays(session: Session) -> None:
    sharers = crowd(session, 2)
    for first_at, second_at, asked, winner in [(1, 2, 3, 0), (2, 1, 3, 1), (1, 20, 40, 1)]:
        kept, gone = (one(session, mall(f"{half}-{first_at}-{asked}")) for half in ("one", "other"))
        referrals.bind(session, scan(kept, sharers[0], first_at), POLICY, day(asked))
        referrals.bind(session, scan(gone, sharers[1], second_at), POLICY, day(asked))
        service.merge(session, kept, gone, "operator", day(asked), MOVERS)
        assert referral_queries.referrer_of(session, kept, day(asked)) == sharers[winner]
        standing = session.scalars(
            select(Referral).where(Referral.ended_at.is_(None), Referral.referee_id.in_([kept, gone]))).all()
        assert [(edge.referee_id, edge.referrer_id) for edge in standing] == [(kept, sharers[winner])]


def test_touches_follow_without_doubles(session: Session) -> None:
    sharer = crowd(session, 1)[0]
    halves = [one(session, mall("m1")), one(session, mall("m2"))]
    for half in halves:
        referrals.bind(session, Touch(half, day(1), "scan", sharer_id=sharer), POLICY, day(1))
    referrals.bind(session, scan(halves[1], sharer, 2), POLICY, day(2))
    service.merge(session, *halves, "operator", day(3), MOVERS)
    rows = session.scalars(select(TouchRow).order_by(TouchRow.at)).all()
    assert [(row.visitor_id, row.at) for row in rows] == [(halves[0], day(1)), (halves[0], day(2))]


def test_the_newcomer_coupon_stays_once_a_person(session: Session) -> None:
    for used, states in [(None, ["issued", "revoked"]), (0, ["used", "revoked"]), (1, ["revoked", "used"])]:
        halves = [one(session, mall(f"{half}-{used}")) for half in ("one", "other")]
        coupons = [rewards.welcome(session, half, NEWCOMER, day(0)) for half in halves]
        if used is not None:
            rewards.redeem(session, coupons[used].code, "mall", "A1", day(1))
        service.merge(session, *halves, "operator", day(2), MOVERS)
        rewards.welcome(session, halves[1], NEWCOMER, day(3))
        after = {c.code: c.state for c in coupon_queries.coupons_of(session, halves[0], day(3))}
        assert [after[c.code] for c in coupons] == states and len(after) == 2


def test_two_openids_of_one_app_are_left_to_a_human(session: Session) -> None:
    husband = one(session, openid("o1"), phone("13812345678"))
    wife = one(session, openid("o2"), phone("13812345678"))
    assert husband != wife == one(session, openid("o2"))
    assert queries.find(session, phone("13812345678"), pepper=PEPPER) == husband
    conflict, = queries.conflicts(session)
    assert (conflict.one_id, conflict.other_id, conflict.conflict) == (husband, wife, "two_accounts")
    assert one(session, openid("o2"), phone("13812345678")) == wife
    assert len(queries.conflicts(session)) == 1


def test_batches_that_merge_the_same_persons_at_once(engine: Engine) -> None:
    with Session(engine) as session:
        for n in range(12):
            service.resolve_many(session, [[openid(f"o{n}")], [mall(f"m{n}")], [phone(f"1380000{n:04d}")]], MORNING,
                                 pepper=PEPPER)
        session.commit()
    groups = [[openid(f"o{n}"), mall(f"m{n}"), phone(f"1380000{n:04d}")] for n in range(12)]

    def work(order: list[list[object]]) -> object:
        return lambda session: dict(zip(
            (group[0].value for group in order),  # type: ignore[attr-defined]
            service.resolve_many(session, order, day(1), pepper=PEPPER, movers=MOVERS), strict=True))  # type: ignore

    answers = in_transactions(engine, work(groups), work(groups[::-1]), work(groups[6:] + groups[:6]))  # type: ignore
    assert all(answer == answers[0] for answer in answers), answers
    with Session(engine) as session:
        assert len(session.scalars(select(PersonMerge)).all()) == 24
        assert len(set(session.scalars(select(Identity.person_id)))) == 12


def test_nobody_is_merged_away_under_a_transaction_that_knows_them(engine: Engine) -> None:
    """A chat that has been told an id binds under it before the merge goes on, and the binding follows."""
    with Session(engine) as session:
        sharer = crowd(session, 1)[0]
        old, young = one(session, mall("m1")), one(session, openid("o1"), at=day(1))
        session.commit()
    with Session(engine) as chat:
        assert one(chat, openid("o1"), at=day(2)) == young
        def merge() -> object:
            with Session(engine) as other:
                done = service.merge(other, old, young, "operator", day(2), MOVERS)
                other.commit()
                return done

        with ThreadPoolExecutor(1) as pool:
            waiting = pool.submit(merge)
            referrals.bind(chat, scan(young, sharer, 2), POLICY, day(2))
            chat.commit()
            assert waiting.result() == service.Merge(old, young)
    with Session(engine) as session:
        assert referral_queries.referrer_of(session, old, day(2)) == sharer
