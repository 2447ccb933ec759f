"""The referral graph stays a forest, whoever binds whom at the same moment."""

import random
from collections.abc import Callable
from datetime import timedelta
from itertools import pairwise

import pytest
from sqlalchemy import Engine, select
from sqlalchemy.exc import IntegrityError, OperationalError
from sqlalchemy.orm import Session

from domain.people import service as people
from domain.people.models import Person
from domain.referrals import queries, service
from domain.referrals.models import Referral
from domain.referrals.rules import BindingPolicy, Touch
from tests.conftest import MORNING
from tests.integration.people.crowd import crowd, day, scan
from tests.together import in_transactions

FIRST = BindingPolicy()
Way = Callable[[int, int], Callable[[Session], object]]


def standing(engine: Engine) -> dict[int, int]:
    with Session(engine) as session:
        rows = session.execute(select(Referral.referee_id, Referral.referrer_id).where(Referral.ended_at.is_(None)))
        return dict(rows.all())


def rings(edges: dict[int, int]) -> list[list[int]]:
    """An oracle of its own: walks from everybody, without the database's help."""
    found = []
    for start in edges:
        path, at = [start], start
        while at in edges and edges[at] not in path:
            at = edges[at]
            path.append(at)
        if at in edges:
            found.append(path)
    return found


def binding(referee: int, referrer: int) -> Callable[[Session], object]:
    return lambda session: service.bind(session, scan(referee, referrer, 0), FIRST, day(0)).kind


def raw(referee: int, referrer: int) -> Callable[[Session], object]:
    """Past the service: only the trigger stands in the way."""
    return lambda session: session.execute(Referral.__table__.insert(), [{  # type: ignore[attr-defined]
        "referee_id": referee, "referrer_id": referrer, "source": "raw", "bound_at": day(0), "protected_until": day(0),
    }])


@pytest.mark.parametrize("way", [binding, raw])
def test_rings_of_two_to_six_closed_at_once(engine: Engine, way: Way) -> None:
    """60 rounds each way: exactly one edge of every ring is refused, without an error of the database."""
    rounds = 60
    with Session(engine) as session:
        members = crowd(session, rounds * 6)
    shuffled = random.Random(7)
    for n in range(rounds):
        ring = members[n * 6: n * 6 + 2 + n % 5]
        works = [way(ring[i - 1], one) for i, one in enumerate(ring)]
        shuffled.shuffle(works)
        answers = in_transactions(engine, *works)
        refused = [a for a in answers if a == "cycle" or isinstance(a, IntegrityError)]
        others = [a for a in answers if isinstance(a, Exception) and not isinstance(a, IntegrityError)]
        assert (len(refused), others) == (1, []), answers
    edges = standing(engine)
    assert rings(edges) == [] and len(edges) == sum(1 + n % 5 for n in range(rounds))


def test_chains_joined_at_once(engine: Engine) -> None:
    """Long-standing chains whose heads bind to each other's tails: every referee here has a downline."""
    for _ in range(8):
        with Session(engine) as session:
            people_ids = crowd(session, 16, MORNING + timedelta(seconds=random.randrange(10**8)))
            chains = [people_ids[i: i + 4] for i in range(0, 16, 4)]
            service.bind_many(session, [scan(low, high, 0) for c in chains for high, low in pairwise(c)],
                              FIRST, day(0))
            session.commit()
        answers = in_transactions(engine, *[binding(c[0], chains[i - 1][-1]) for i, c in enumerate(chains)])
        assert sorted(map(str, answers)) == ["bound", "bound", "bound", "cycle"]
    assert rings(standing(engine)) == []


def test_two_hundred_followers_of_one_sharer_side_by_side(engine: Engine) -> None:
    """Newcomers of one sharer do not wait for each other: all bind while one of them keeps its transaction open."""
    with Session(engine) as session:
        sharer, slow, *newcomers = crowd(session, 202)
    with Session(engine) as lingering:
        service.bind(lingering, scan(slow, sharer, 0), FIRST, day(0))
        for start in range(0, 200, 20):
            answers = in_transactions(engine, *[binding(one, sharer) for one in newcomers[start: start + 20]])
            assert answers == ["bound"] * 20
        lingering.commit()
    assert standing(engine) == dict.fromkeys([slow, *newcomers], sharer)


def test_batches_over_the_same_people_do_not_deadlock(engine: Engine) -> None:
    with Session(engine) as session:
        members = crowd(session, 60)
    draw = random.Random(11)

    def batch(seed: int) -> Callable[[Session], object]:
        touches = [scan(draw.choice(members), draw.choice(members), 0) for _ in range(80)]
        return lambda session: len(service.bind_many(session, touches, FIRST, day(0)))

    for _ in range(4):
        assert in_transactions(engine, *[batch(n) for n in range(4)]) == [80] * 4
    assert rings(standing(engine)) == []


def test_random_lives_keep_a_forest(engine: Engine) -> None:
    """Binds, takeovers, expiry, renewals and merges from four threads, late and repeated."""
    with Session(engine) as session:
        members = crowd(session, 24)
    policies = [BindingPolicy("last_touch", 20, 5), BindingPolicy("first_touch", 10), BindingPolicy("permanent")]

    def step(session: Session, draw: random.Random) -> None:
        at = day(draw.uniform(0, 60))
        one, other = draw.sample(members, 2)
        roll = draw.random()
        if roll < 0.75:
            touches = [Touch(*draw.sample(members, 1), at, "scan", sharer_id=draw.choice(members))
                       for _ in range(draw.choice([1, 1, 1, 4]))]
            service.bind_many(session, touches, draw.choices(policies, [6, 6, 1])[0], day(60))
        elif roll < 0.95:
            service.renew_many(session, [(one, at)], policies[0])
        else:
            people.merge(session, one, other, "test", at, [service.move])

    def life(seed: int) -> Callable[[Session], object]:
        def run(session: Session) -> object:
            draw, lost = random.Random(seed), 0
            for _ in range(60):
                try:
                    step(session, draw)
                    session.commit()
                except OperationalError:  # two merges crossed: the caller's transaction is retried in real life
                    session.rollback()
                    lost += 1
            return lost
        return run

    lost = in_transactions(engine, *[life(seed) for seed in range(4)])
    assert all(isinstance(n, int) and n < 12 for n in lost), lost
    edges = standing(engine)
    assert rings(edges) == [] and len(edges) > 3
    with Session(engine) as session:
        gone = set(session.scalars(select(Person.id).where(Person.merged_into.is_not(None))))
        assert gone and not gone & ({*edges, *edges.values()})
        for when in range(0, 60, 6):
            for person, above in queries.uplines(session, members, day(when), 9).items():
                assert len(set(above)) == len(above) and person not in above
