"""Binding through the service: who belongs to whom, since when, until when, and who stood above at a time."""

from itertools import permutations

import pytest
from sqlalchemy import Engine, func, select
from sqlalchemy.exc import DBAPIError, IntegrityError
from sqlalchemy.orm import Session

from domain.commissions import queries as commissions
from domain.people import service as people
from domain.people.queries import people as views
from domain.referrals import queries, service
from domain.referrals.models import Referral
from domain.referrals.models import Touch as TouchRow
from domain.referrals.queries import Explanation
from domain.referrals.rules import BindingPolicy, BindOutcome, Mode, Touch
from domain.shared.errors import NotFound
from tests.integration.people.crowd import crowd, day, openid, order, scan

FIRST = BindingPolicy()


def test_a_code_binds_and_is_explained(session: Session) -> None:
    sharer, friend = crowd(session, 2)
    people.set_profile(session, sharer, nickname="李姐🌸\u202e\n")
    code = views(session, [sharer])[sharer].referral_code
    assert queries.explain(session, friend, day(0)) == Explanation("none")
    touch = Touch(friend, day(0), "poster", referral_code=code, scene="s1")
    assert service.bind(session, touch, FIRST, day(0)) == BindOutcome("bound", sharer, day(30))
    assert service.bind(session, touch, FIRST, day(0)) == BindOutcome("kept", sharer, day(30))
    told = queries.explain(session, friend, day(1))
    assert told == Explanation("protected", sharer, "李姐🌸", day(0), day(30), day(15), "poster")
    assert [queries.explain(session, friend, day(n)).state for n in (15, 29.9, 30)] == ["valid", "valid", "expired"]
    assert session.scalar(select(func.count()).select_from(TouchRow)) == 1


def test_codes_that_bind_nobody(session: Session) -> None:
    sharer, friend = crowd(session, 2)
    own = views(session, [friend])[friend].referral_code
    touches = [Touch(friend, day(0), "scan", referral_code=code) for code in (own, "nosuchcode", "")]
    kinds = [outcome.kind for outcome in service.bind_many(session, touches, FIRST, day(0))]
    assert kinds == ["self", "unknown_code", "unknown_code"]
    assert service.bind(session, Touch(friend, day(0), "scan", sharer_id=99_999), FIRST, day(0)).kind == "unknown_code"
    with pytest.raises(NotFound):
        service.bind(session, scan(99_999, sharer, 0), FIRST, day(0))
    assert session.scalar(select(func.count()).select_from(Referral)) == 0


@pytest.mark.parametrize(("mode", "kinds", "last"), [
    ("first_touch", ["bound", "kept", "kept", "bound"], 2),
    ("last_touch", ["bound", "kept", "taken_over", "taken_over"], 2),
    ("permanent", ["bound", "kept", "kept", "kept"], 0),
])
def test_modes(session: Session, mode: Mode, kinds: list[str], last: int) -> None:
    friend, *sharers = crowd(session, 4)
    policy = BindingPolicy(mode)
    days = [(sharers[0], 0), (sharers[1], 10), (sharers[1], 20), (sharers[2], 45)]
    outcomes = service.bind_many(session, [scan(friend, sharer, at) for sharer, at in days], policy, day(60))
    assert [outcome.kind for outcome in outcomes] == kinds
    assert queries.referrer_of(session, friend, day(46)) == sharers[last]
    assert queries.referrer_of(session, friend, day(5)) == sharers[0], "what stood then still stands for then"


def test_following_again_changes_nothing(session: Session) -> None:
    sharer, other, _ = crowd(session, 3)
    first = people.follow(session, openid("o1"), day(0))
    service.bind(session, scan(first.person_id, sharer, 0), FIRST, day(0))
    people.unfollow(session, openid("o1"), day(1))
    again = people.follow(session, openid("o1"), day(2))
    outcome = service.bind(session, scan(again.person_id, other, 2), FIRST, day(2))
    assert (first.first, again.first, outcome.kind, outcome.referrer_id) == (True, False, "kept", sharer)


def test_purchases_renew_in_any_order(session: Session) -> None:
    friends = crowd(session, 7)
    sharer = friends.pop()
    service.bind_many(session, [scan(friend, sharer, 0) for friend in friends], FIRST, day(0))
    for friend, days in zip(friends, permutations((20, 45, 70)), strict=True):
        for at in days:
            service.renew_many(session, [(friend, day(at)), (friend, day(at))], FIRST)
    assert {queries.explain(session, friend, day(80)).until for friend in friends} == {day(100)}
    assert service.renew_many(session, [(friends[0], day(99))], BindingPolicy(renew_on_purchase=False)) == 0
    assert service.renew_many(session, [(friends[0], day(101)), (sharer, day(5))], FIRST) == 0


def test_late_touches_never_end_newer_bindings(session: Session) -> None:
    friend, early, newer = crowd(session, 3)
    service.bind(session, scan(friend, newer, 10), FIRST, day(10))
    late = service.bind(session, scan(friend, early, 5), FIRST, day(11))
    assert late == BindOutcome("late", early, day(10))
    assert service.bind(session, scan(friend, early, 5), FIRST, day(11)).kind == "kept"
    stood = [queries.referrer_of(session, friend, day(n)) for n in (4, 5, 9.9, 10, 39)]
    assert stood == [None, early, early, newer, newer]
    assert service.bind(session, scan(friend, early, 999), FIRST, day(12)).kind == "kept", "a future date counts as now"


def test_chains_are_seen_as_they_stood(session: Session) -> None:
    a, b, c, d = crowd(session, 4)
    edges = [scan(b, a, 0), scan(c, b, 20), scan(d, c, 25)]
    assert [o.kind for o in service.bind_many(session, edges, FIRST, day(25))] == ["bound"] * 3
    assert queries.uplines(session, [d, c, a], day(26), 3) == {d: [c, b, a], c: [b, a], a: []}
    assert queries.uplines(session, [d], day(26), 2) == {d: [c, b]}
    asked = [(d, day(24)), (d, day(31)), (c, day(10)), (d, day(26)), (99_999, day(26))]
    assert queries.uplines_at(session, asked, 3) == [[], [c, b], [], [c, b, a], []]
    assert queries.uplines(session, [c, d], {c: day(31), d: day(26)}, 3) == {c: [b], d: [c, b, a]}


def test_a_sharer_below_cannot_become_the_sharer_above(session: Session) -> None:
    a, b, c = crowd(session, 3)
    service.bind_many(session, [scan(b, a, 0), scan(c, b, 0)], FIRST, day(0))
    assert service.bind(session, scan(a, c, 1), FIRST, day(1)) == BindOutcome("cycle")
    assert service.bind(session, scan(a, c, 31), FIRST, day(31)).kind == "bound", "the way up had expired"
    assert queries.uplines(session, [a, b, c], day(32), 3) == {a: [c], b: [], c: []}


def test_a_ring_inside_one_batch(session: Session) -> None:
    a, b, c = crowd(session, 3)
    outcomes = service.bind_many(session, [scan(b, a, 0), scan(c, b, 1), scan(a, c, 2)], FIRST, day(5))
    assert [outcome.kind for outcome in outcomes] == ["bound", "bound", "cycle"]


def test_the_database_itself_refuses(engine: Engine, session: Session) -> None:
    a, b = crowd(session, 2)
    service.bind(session, scan(b, a, 0), FIRST, day(0))
    session.commit()
    row = {"source": "x", "bound_at": day(1), "protected_until": day(1)}
    for bad in ({"referee_id": a, "referrer_id": b}, {"referee_id": a, "referrer_id": a},
                {"referee_id": b, "referrer_id": a}):
        with Session(engine) as other, pytest.raises(IntegrityError):
            other.execute(Referral.__table__.insert(), [row | bad])  # type: ignore[attr-defined]
    with Session(engine.execution_options(isolation_level="REPEATABLE READ")) as other, pytest.raises(DBAPIError):
        other.execute(Referral.__table__.insert(), [row | {"referee_id": a, "referrer_id": b}])  # type: ignore[attr-defined]


def test_the_team_is_whoever_is_bound_with_what_they_bought(session: Session) -> None:
    """As 团队 shows it: the newest first, returned orders are none."""
    sharer, quiet, buyer, loyal, returner = crowd(session, 5)
    touches = [scan(loyal, sharer, 0), scan(buyer, sharer, 1), scan(returner, sharer, 2), scan(quiet, sharer, 3)]
    service.bind_many(session, touches, FIRST, day(3))
    order(session, loyal, "before", -1)
    order(session, loyal, "L2", 9)
    order(session, loyal, "L1", 5)
    order(session, buyer, "B1", 6)
    order(session, returner, "R1", 6, refunded_fen=9_900)
    session.flush()
    team = commissions.team(session, sharer)
    assert {one.person_id for one in team.members} == {quiet, buyer, loyal, returner}
    assert (team.count, team.buyers) == (4, 2)
    assert service.visit(session, "nosuchcode", day(0), source="link") is None
