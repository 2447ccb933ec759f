"""What somebody's orders carry: every reward that they open, since when, and when it is theirs for good. Pure.

A function of business facts alone (what was paid, kept, received and when), never of the order in which they became
known; so whoever counts again, at any time, gets the same.
"""

from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from typing import Literal

from domain.rewards.programme import Band, Goal, Programme, Step
from domain.shared.records import record

What = Literal["red_packet", "points", "coupon", "tier"]
Ladder = Literal["see_order", "climb", "invite"]


@record
class Kept:
    """A paid order that was not given back. ``final_at``: when its return window closes, None while it is not received
    or a return is being worked on. ``seller_id``: to whom the sale counts."""

    id: int
    paid_at: datetime
    final_at: datetime | None
    seller_id: int | None = None


@record
class Opened:
    """A reward that orders carry. ``amount``: fen, or points. ``detail``: the offer or the tier.

    ``needed`` orders carry it, the last of them paid within ``within_days`` of the first; that one opened it, at
    ``since``. ``final_at``: when no return can close it any more; None while that is open.
    """

    ladder: Ladder
    rung: str
    person_id: int
    what: What
    amount: int
    detail: str
    title: str
    benefits: tuple[str, ...]
    needed: int
    within_days: int | None
    order_id: int
    since: datetime
    final_at: datetime | None


@record
class Reach:
    """The ``n``-th kept order, and when it and those before it are final. ``seller_id``: of the first of all."""

    n: int
    id: int
    since: datetime
    final_at: datetime | None
    seller_id: int | None


def opened(
    programme: Programme, buyer_id: int, reaches: Sequence[Reach], verified: frozenset[int] = frozenset()
) -> list[Opened]:
    """Everything that the orders of a buyer carry, for the buyer and for who brought them. ``verified``: those of both
    whose phones are."""
    if len(reaches) < 2:
        return []
    return [*_steps(programme, buyer_id, reaches), *_climb(programme, buyer_id, reaches),
            *_invite(programme, buyer_id, reaches, verified)]


def carrying(reaches: Sequence[Reach], needed: int, within_days: int | None) -> Reach | None:
    """The order that carries a reward of these terms; None when too few are kept, or the last came too late."""
    if len(reaches) < needed:
        return None
    last = reaches[needed - 1]
    late = within_days is not None and last.since > reaches[0].since + timedelta(days=within_days)
    return None if late else last


def reaches_of(orders: Sequence[Kept]) -> list[Reach]:
    """Kept orders as they follow one another in time."""
    found: list[Reach] = []
    inline = sorted(orders, key=lambda order: (order.paid_at, order.id))
    final = inline[0].final_at if inline else None
    for n, order in enumerate(inline, 1):
        final = max(final, order.final_at) if final and order.final_at else None
        found.append(Reach(n, order.id, order.paid_at, final, inline[0].seller_id))
    return found


def _steps(programme: Programme, buyer_id: int, reaches: Sequence[Reach]) -> Iterator[Opened]:
    for step in programme.steps:
        reach = carrying(reaches, step.order, step.within_days)
        if reach:
            money = step.amount_fen or 0 if step.kind == "red_packet" else 0
            yield _opened("see_order", str(step.order), buyer_id, step, money, reach, step.within_days)


def _opened(
    ladder: Ladder, rung: str, person_id: int, one: Step | Goal, amount: int, reach: Reach, within: int | None = None
) -> Opened:
    return Opened(ladder, rung, person_id, one.kind, amount, one.offer or one.tier, one.title, one.benefits, reach.n,
                  within, reach.id, reach.since, reach.final_at)


def _climb(programme: Programme, buyer_id: int, reaches: Sequence[Reach]) -> Iterator[Opened]:
    points = 0
    goals = list(programme.goals)
    for n, reach in enumerate(reaches[1:], 1):
        band = programme.band_of(n)
        if band is None:
            continue
        yield from _of_band(buyer_id, n, band, reach)
        points += band.points
        while goals and goals[0].points <= points:
            goal = goals.pop(0)
            yield _opened("climb", f"goal:{goal.points}", buyer_id, goal, 0, reach)


def _of_band(buyer_id: int, n: int, band: Band, reach: Reach) -> Iterator[Opened]:
    given: tuple[tuple[What, int], ...] = (("points", band.points), ("red_packet", band.red_packet_fen))
    for what, amount in given:
        if amount:
            yield Opened("climb", f"{n}:{what}", buyer_id, what, amount, "", band.title, (), reach.n, None, reach.id,
                         reach.since, reach.final_at)


def _invite(
    programme: Programme, buyer_id: int, reaches: Sequence[Reach], verified: frozenset[int]
) -> Iterator[Opened]:
    invite, sharer_id = programme.invite, reaches[0].seller_id
    if invite is None or sharer_id is None or sharer_id == buyer_id or not {buyer_id, sharer_id} <= verified:
        return
    reach = carrying(reaches, 2, invite.within_days)
    if reach is None:
        return
    sides = (("sharer", sharer_id, invite.sharer_fen, invite.sharer_title),
             ("buyer", buyer_id, invite.buyer_fen, invite.buyer_title))
    for rung, person_id, fen, title in sides:
        if fen:
            yield Opened("invite", rung, person_id, "red_packet", fen, "", title, (), 2, invite.within_days, reach.id,
                         reach.since, reach.final_at)
    if len(reaches) > 2:
        last = reaches[2]
        yield Opened("invite", "second", sharer_id, "coupon", 0, invite.second_offer, invite.second_title, (), 3, None,
                     last.id, last.since, last.final_at)


@record
class Standing:
    """Where somebody stands. ``repurchases``: kept orders after the first. ``current``: repurchases of the see-order
    step reached, 0 before the first; ``next`` None at the top; ``remaining`` orders until then, paid by ``next_until``.

    ``points`` of the ladder, ``band`` of the last repurchase, ``goal`` ahead with its ``goal_orders``.
    """

    orders: int
    repurchases: int
    current: int
    next: Step | None
    remaining: int
    next_until: datetime | None
    points: int
    band: Band | None
    goal: Goal | None
    goal_orders: int


def standing(programme: Programme, paid: Sequence[datetime], now: datetime) -> Standing:
    """``paid``: when the kept orders were paid. A step whose days have passed is not offered any more."""
    repurchases = max(0, len(paid) - 1)
    first = min(paid, default=now)
    current = max((step.repurchases for step in programme.steps if step.repurchases <= repurchases), default=0)
    ahead = next((s for s in programme.steps if s.repurchases > repurchases and _open(s, first, now)), None)
    points = programme.climbed(repurchases)
    goal = next((one for one in programme.goals if one.points > points), None)
    until = first + timedelta(days=ahead.within_days) if ahead and ahead.within_days and paid else None
    return Standing(len(paid), repurchases, current, ahead, ahead.repurchases - repurchases if ahead else 0, until,
                    points, programme.band_of(repurchases), goal, _orders_to(programme, repurchases, points, goal))


def _open(step: Step, first: datetime, now: datetime) -> bool:
    return step.within_days is None or now <= first + timedelta(days=step.within_days)


def _orders_to(programme: Programme, repurchases: int, points: int, goal: Goal | None) -> int:
    """Repurchases until a goal; 0 without one, or when no band leads there."""
    if goal is None:
        return 0
    for more in range(1, goal.points + 1):
        band = programme.band_of(repurchases + more)
        points += band.points if band else 0
        if points >= goal.points:
            return more
    return 0
