"""What a draft would have cost: the shop's own orders of the last days, struck once by the live plan and once by the
draft, person by person. Reads only.

Both plans are asked the same question: "these orders again, beginning on the day the draft would go live". So a phase
that the draft plans counts, and one that the live plan has counts too. Who stood above a buyer, their roles and boosts
are those of the real payment. Returned goods pay nothing, as in the books. Every 30 days count as a month of ladder
and team bonus, with today's role for the team; milestones, service pay and rewards are not part of it.
"""

from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta

from sqlalchemy import Row, text
from sqlalchemy.orm import Session

from domain.commissions.document import Plan
from domain.commissions.rules import Above, SaleLine, sold_by, strike, taken_back
from domain.people import queries as people
from domain.roles import queries as roles
from domain.settlements.rules import targets
from domain.shared.clock import business_date
from domain.shared.money import BPS, pro_rata
from domain.shared.records import record
from domain.workflows.booking import LEADER_LEVEL
from domain.workflows.standing import standing_at

AT_ONCE = 2_000
"""Orders read and struck together."""

MONTH_DAYS = 30
SHOWN_PEOPLE = 10
LONGEST_DAYS = 366

_HOW_MANY = text("select count(*) from customer_order where paid_at >= :since and paid_at < :until")
_ORDERS = text("""
    select id, buyer_id, paid_at, closed_at is not null as closed from customer_order
     where paid_at >= :since and paid_at < :until and (paid_at, id) > (:after_at, :after_id)
     order by paid_at, id limit :most
""")
_LINES = text("""
    select l.order_id, l.n, l.sku, l.category, l.paid_fen, l.refunded_fen, p.margin_bps
      from order_line l left join product p on p.sku = l.sku
     where l.order_id = any(:ids) order by l.order_id, l.n
""")

Progress = Callable[[int, int], None]
OrderRow = Row[tuple[int, int, datetime, bool]]
LineRow = Row[tuple[int, int, str, str, int, int, int | None]]


@dataclass(slots=True)
class Cost:
    """What one plan pays for the orders. ``by_level``: base commissions, net of returns. ``cut_fen``: what the cap took
    away from ``cut_lines`` order lines."""

    by_level: dict[int, int] = field(default_factory=dict)
    ladder_fen: int = 0
    team_fen: int = 0
    cut_fen: int = 0
    cut_lines: int = 0

    @property
    def base_fen(self) -> int:
        return sum(self.by_level.values())

    @property
    def total_fen(self) -> int:
        return self.base_fen + self.ladder_fen + self.team_fen


@record
class PersonChange:
    """One person under both plans. ``name`` as known in the shop, '' when no channel told one."""

    person_id: int
    name: str
    live_fen: int
    draft_fen: int

    @property
    def change_fen(self) -> int:
        return self.draft_fen - self.live_fen


@record
class Margin:
    """What the goods leave. ``sales_fen`` of them have a known margin of ``margin_fen``; of the costs as much as falls
    on them is taken off: ``live_left_fen``, ``draft_left_fen``. ``lines_without``: order lines of unknown margin."""

    sales_fen: int
    margin_fen: int
    live_left_fen: int
    draft_left_fen: int
    lines_without: int
    lines: int


@record
class Simulation:
    """The comparison. ``orders`` of ``all_orders`` in the time were looked at, the newest when not all of them;
    ``sales_fen`` is net of returns. ``gainers`` and ``losers``: the SHOWN_PEOPLE who win and lose most."""

    days: int
    since: datetime
    until: datetime
    begins_on: date
    live_version: int
    orders: int
    all_orders: int
    sales_fen: int
    live: Cost
    draft: Cost
    margin: Margin
    gaining: int
    losing: int
    same: int
    gainers: tuple[PersonChange, ...]
    losers: tuple[PersonChange, ...]

    @property
    def live_share_bps(self) -> int:
        return _share_bps(self.live.total_fen, self.sales_fen)

    @property
    def draft_share_bps(self) -> int:
        return _share_bps(self.draft.total_fen, self.sales_fen)


@dataclass(slots=True)
class _Side:
    """One plan's sums while the orders pass by. Volumes by (person, month)."""

    plan: Plan
    cost: Cost = field(default_factory=Cost)
    earned: defaultdict[int, int] = field(default_factory=lambda: defaultdict(int))
    known_base_fen: int = 0
    own: defaultdict[tuple[int, int], int] = field(default_factory=lambda: defaultdict(int))
    team: defaultdict[tuple[int, int], int] = field(default_factory=lambda: defaultdict(int))


@dataclass(slots=True)
class _Goods:
    """What both plans share: sales and margins."""

    orders: int = 0
    sales_fen: int = 0
    known_fen: int = 0
    margin_fen: int = 0
    lines: int = 0
    lines_without: int = 0


def simulate(
    session: Session, live: Plan, draft: Plan, now: datetime, days: int = 30, begins_on: date | None = None,
    most: int = 10_000_000, progress: Progress = lambda done, total: None
) -> Simulation:
    """Strike the orders paid in the last ``days`` (1 to 366) by both plans, as if they began on ``begins_on`` (default:
    today). ``progress``: called with (orders done, of how many). More than ``most`` orders: the newest of them.

    Raises ValueError for days out of range. Wants a repeatable-read transaction when the shop is open.
    """
    if not 1 <= days <= LONGEST_DAYS:
        raise ValueError(f"days must be 1 to {LONGEST_DAYS}")
    since = now - timedelta(days=days)
    total = int(session.execute(_HOW_MANY, {"since": since, "until": now}).scalar_one())
    first = _first_wanted(session, since, now, total, most)
    sides, goods = (_Side(live), _Side(draft)), _Goods()
    begins_on = begins_on or business_date(now)
    shift = begins_on - business_date(since)
    for batch in _batches(session, first, now):
        _strike_batch(session, batch, sides, goods, since, shift)
        progress(goods.orders, min(total, most))
    _month_pay(session, sides)
    return _told(session, sides, goods, days, since, now, begins_on, total)


def _first_wanted(session: Session, since: datetime, now: datetime, total: int, most: int) -> datetime:
    """From where on to read, so that at most about ``most`` orders follow."""
    if total <= most:
        return since
    found = session.execute(
        text("select paid_at from customer_order where paid_at >= :since and paid_at < :until"
             " order by paid_at desc, id desc offset :most limit 1"), {"since": since, "until": now, "most": most - 1})
    first: datetime = found.scalar_one()
    return first


def _batches(session: Session, since: datetime, until: datetime) -> Iterator[Sequence[OrderRow]]:
    after_at, after_id = since, 0
    while True:
        found = session.execute(_ORDERS, {"since": since, "until": until, "after_at": after_at, "after_id": after_id,
                                          "most": AT_ONCE}).all()
        if not found:
            return
        yield found
        after_at, after_id = found[-1].paid_at, found[-1].id


def _strike_batch(
    session: Session, orders: Sequence[OrderRow], sides: Sequence[_Side], goods: _Goods,
    since: datetime, shift: timedelta,
) -> None:
    lines: defaultdict[int, list[LineRow]] = defaultdict(list)
    for line in session.execute(_LINES, {"ids": [order.id for order in orders]}):
        lines[line.order_id].append(line)
    levels = max(LEADER_LEVEL, *(side.plan.levels for side in sides))
    standings = standing_at(session, [(order.buyer_id, order.paid_at) for order in orders], levels)
    for order, standing in zip(orders, standings, strict=True):
        above = standing.above()
        day = business_date(order.paid_at) + shift
        month = (order.paid_at - since).days // MONTH_DAYS
        sold = [SaleLine(line.n, line.sku, line.category, line.paid_fen) for line in lines[order.id]]
        left = {line.n: 0 if order.closed else line.paid_fen - line.refunded_fen for line in lines[order.id]}
        known = {line.n for line in lines[order.id] if line.margin_bps is not None}
        goods.orders += 1
        _count_goods(goods, lines[order.id], left)
        for side in sides:
            _strike_order(side, order, sold, above, day, month, left, known)


def _count_goods(
    goods: _Goods, lines: Sequence[LineRow], left: dict[int, int]
) -> None:
    for line in lines:
        goods.lines += 1
        goods.sales_fen += left[line.n]
        if line.margin_bps is None:
            goods.lines_without += 1
        else:
            goods.known_fen += left[line.n]
            goods.margin_fen += left[line.n] * line.margin_bps // BPS


def _strike_order(
    side: _Side, order: OrderRow, sold: Sequence[SaleLine], above: Above, day: date,
    month: int, left: dict[int, int], known: set[int],
) -> None:
    paid = {line.n: line.paid_fen for line in sold}
    cut: dict[int, int] = defaultdict(int)
    for part in strike(order.buyer_id, sold, above, side.plan, day):
        back = taken_back(part.amount_fen, paid[part.n] - left[part.n], paid[part.n], closed=order.closed)
        net = part.amount_fen - back
        side.cost.by_level[part.level] = side.cost.by_level.get(part.level, 0) + net
        side.earned[part.beneficiary_id] += net
        side.known_base_fen += net if part.n in known else 0
        cut[part.n] += part.uncut_fen - part.amount_fen
    side.cost.cut_fen += sum(cut.values())
    side.cost.cut_lines += sum(fen > 0 for fen in cut.values())
    seller, leader = sold_by(order.buyer_id, above, side.plan)
    volume = sum(left.values())
    if seller is not None:
        side.own[seller, month] += volume
    if leader is not None:
        side.team[leader, month] += volume


def _month_pay(session: Session, sides: Sequence[_Side]) -> None:
    """Ladder and team bonus of every month, as a month's close would pay them."""
    everybody = {person for side in sides for person, _ in (*side.own, *side.team)}
    held = roles.roles_of(session, everybody)
    for side in sides:
        for person, month in side.own.keys() | side.team.keys():
            paid = targets(side.plan, side.own.get((person, month), 0), side.team.get((person, month), 0), held[person])
            side.cost.ladder_fen += paid["ladder"]
            side.cost.team_fen += paid["team"]
            side.earned[person] += paid["ladder"] + paid["team"]


def _told(
    session: Session, sides: Sequence[_Side], goods: _Goods, days: int, since: datetime, now: datetime,
    begins_on: date, total: int,
) -> Simulation:
    live, draft = sides
    known = live.earned.keys() | draft.earned.keys()
    moved = sorted((draft.earned.get(one, 0) - live.earned.get(one, 0), one) for one in known)
    worst = [one for change, one in moved[:SHOWN_PEOPLE] if change < 0]
    best = [one for change, one in reversed(moved[-SHOWN_PEOPLE:]) if change > 0]
    names = people.people(session, [*worst, *best])

    def change(one: int) -> PersonChange:
        return PersonChange(one, names[one].nickname if one in names else "", live.earned.get(one, 0),
                            draft.earned.get(one, 0))

    gaining, losing = sum(fen > 0 for fen, _ in moved), sum(fen < 0 for fen, _ in moved)
    margin = Margin(goods.known_fen, goods.margin_fen, goods.margin_fen - _on_known(live, goods),
                    goods.margin_fen - _on_known(draft, goods), goods.lines_without, goods.lines)
    return Simulation(
        days, since, now, begins_on, live.plan.version, goods.orders, total, goods.sales_fen, live.cost, draft.cost,
        margin, gaining, losing, len(moved) - gaining - losing, tuple(map(change, best)), tuple(map(change, worst)),
    )


def _on_known(side: _Side, goods: _Goods) -> int:
    """What a plan costs for the goods of known margin: their base commissions, and their part of ladder and team."""
    month = side.cost.ladder_fen + side.cost.team_fen
    return side.known_base_fen + (pro_rata(month, goods.known_fen, goods.sales_fen) if goods.sales_fen else 0)


def _share_bps(part: int, whole: int) -> int:
    return part * BPS // whole if whole else 0
