"""Everything that can happen to points, at once: whatever the order, lots, moves and balance agree."""

import random

from domain.ledger import service as ledger
from domain.points import queries, service
from domain.shared.errors import DomainError
from tests.integration.people.crowd import at_once, crowd
from tests.integration.points.test_life import LIFE, active, day, earned


def test_16_fifty_random_acts_at_once_keep_every_sum(session, engine) -> None:
    """Two lots of which one expires while it is spent from; spendings are undone before, during and after its end."""
    dice = random.Random(16)
    (li,) = crowd(session, 1)
    earned(session, li, 40, "order:1")
    earned(session, li, 40, "order:2", at=20)
    for n in range(6):
        service.spend(session, li, 3, "gift", f"gift:{n}", day(21))
    session.commit()

    def act(kind: str, n: int, at: float):
        if kind == "spend":
            return lambda own: service.spend(own, li, 1 + n % 5, "gift", f"new:{n}", day(at))
        if kind == "undo":
            return lambda own: service.undo(own, f"gift:{n % 6}", 3, f"cancel:{n % 6}", LIFE, day(at))
        if kind == "reverse":
            return lambda own: service.reverse(own, f"order:{1 + n % 2}", 2, f"refund:{n}", day(at))
        return lambda own: service.expire(own, day(at))

    kinds = [*("spend",) * 22, *("undo",) * 14, *("reverse",) * 6, *("expire",) * 8]
    dice.shuffle(kinds)
    answers = at_once(engine, [act(kind, n, dice.choice((28, 29, 31, 33))) for n, kind in enumerate(kinds)])
    faults = [one for one in answers if isinstance(one, BaseException)]
    assert all(isinstance(one, DomainError) and one.code == "points_short" for one in faults), faults
    assert queries.disagreements(session) == [] and ledger.check(session).balanced
    service.expire(session, day(400))
    assert active(session, li, 400) == 0 and queries.disagreements(session) == [], "time leaves nothing behind"
