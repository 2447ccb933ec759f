"""What was left with somebody who was merged into another, before the database refused that (docs/adr/0058), goes over
to whoever was kept: money, debts, orders, commissions, points, presents. Never commits; can be done again.
"""

from datetime import datetime

from sqlalchemy import text
from sqlalchemy.orm import Session

from domain.audit import service as audit
from domain.audit.rules import Actor, Role
from domain.commissions import service as commissions
from domain.draws import service as draws
from domain.fulfilment import service as fulfilment
from domain.ledger import asking
from domain.ledger import service as ledger
from domain.ledger.asking import Scope
from domain.ledger.invariants import KEPT
from domain.mall import service as mall
from domain.memberships import service as memberships
from domain.orders import service as orders
from domain.payouts import service as payouts
from domain.people.service import Mover
from domain.points import service as points
from domain.rewards import service as rewards
from domain.risk import service as risk
from domain.roles import service as roles
from domain.settlements import milestones
from domain.settlements import service as settlements
from domain.shared.errors import DomainError
from domain.shared.records import record

MAY: frozenset[Role] = frozenset({"finance"})
BEYOND = 2**63 - 1

CARRIERS: tuple[Mover, ...] = (
    orders.move, commissions.move, ledger.move, roles.move, rewards.move, memberships.move, draws.move, mall.move,
    fulfilment.move, risk.move, payouts.move, settlements.move, milestones.move, points.move,
)
"""Of a merge's movers those that carry what is worth something, in its order. The others move words and habits, and
would end what the one who was kept has begun since."""

# A sale that is theirs only now may belong to a month that was counted without it.
_MONTHS = text("""
    insert into settlement_late (month, person_id)
    select distinct m.month, cast(:kept as bigint) from month_close m join customer_order o
        on o.paid_at >= month_start(m.month) and o.paid_at < m.ends_at
     where o.seller_id = :gone or o.leader_id = :gone""")


@record
class Gathered:
    """What became of somebody's rest. ``had``: what it was, in a sentence; ``refusal`` '' when it went over."""

    person_id: int
    had: str
    refusal: str = ""


def left_behind(session: Session, after: int = 0) -> list[Gathered]:
    """Who was merged and has something still: the next ones above the id ``after``, at most ``asking.FEW``."""
    found = asking.faults(session, KEPT, Scope(low=after + 1, high=BEYOND))
    return [Gathered(fault.id, fault.sentence) for fault in found]


def gather(session: Session, person_id: int, actor: Actor, now: datetime) -> Gathered | None:
    """Move what is left with ``person_id`` to whoever was kept; None when nothing is. Noted in the log.

    A mover's refusal (an open withdrawal, which must end first) is told, not raised, and nothing has moved then.
    Raises DomainError("not_permitted").
    """
    if not actor.may(MAY):
        raise DomainError("not_permitted", act="people.gather")
    session.execute(text("select 1 from person where id = :id or id = (select merged_into from person where id = :id)"
                         " order by id for update"), {"id": person_id})
    found = asking.faults(session, KEPT, Scope(ids=[person_id]))
    if not found:
        return None
    kept = session.execute(text("select merged_into from person where id = :id"), {"id": person_id}).scalar_one()
    counts: dict[str, int] = {}
    try:
        with session.begin_nested():
            session.execute(_MONTHS, {"kept": kept, "gone": person_id})
            for move in CARRIERS:
                counts |= move(session, kept, person_id, now)
            session.flush()
    except DomainError as refusal:
        return Gathered(person_id, found[0].sentence, refusal.code)
    audit.record(session, actor, "people.gather", f"person:{kept}",
                 {"gone": person_id, "had": found[0].sentence, "moved": counts}, now)
    return Gathered(person_id, found[0].sentence)
