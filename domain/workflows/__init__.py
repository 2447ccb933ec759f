"""The use cases that cross rooms: commerce events become orders, orders become commissions, time lets them go.

Facts for subscribers go into the outbox (queue ``fact``) in the same transaction; money in fen, times ISO:

| kind, key | payload |
|---|---|
| ``commission.accrued`` ``:<order id>:<beneficiary>`` | order_id order_no buyer_id · title level rate_bps rule phase
  phase_bps boost_bps (of the first line that earns) · amount_fen base_fen parts (of all lines that earn; parts: how
  many) · held (only when true). No row of the outbox: told from the news of ``domain.commissions.earned``; a row only
  when that failed, or when it was put before migration 0056 |
| ``commission.clawed_back`` ``:<order id>:<refund:no or closed>:<beneficiary>`` | order_id channel order_no buyer_id
  title lines paid_fen · beneficiary_id cause amount_fen left_fen from_pending_fen from_frozen_fen from_available_fen
  to_debt_fen · under_way_fen |
| ``commission.released`` ``:<order id>:<beneficiary>:<first line>`` | the order as above · beneficiary_id amount_fen
  to_available_fen debt_repaid_fen |
| ``order.first_completed`` ``:<buyer>`` | order_id channel order_no buyer_id title sku category paid_fen |
| ``month.adjusted`` ``:<settlement id>`` | month kind (ladder, team) amount_fen (signed) target_fen volume_fen
  to_debt_fen · under_way_fen |
| ``settlement.released`` ``:<settlement id>`` | month kind amount_fen to_available_fen debt_repaid_fen |
| ``milestone.reached``, ``.final``, ``.revoked`` ``:<milestone id>`` | key (first_sale, streak, team) amount_fen |
| ``service.earned`` ``:<service act id>`` | title amount_fen reference |

``title`` is that of the first line that earns; ``rule`` is a plan rule's key (``category:fmcg``, ``default``, …).
"""

from datetime import datetime

from sqlalchemy.orm import Session, sessionmaker

from domain.ledger.service import retrying, try_again
from domain.shared import trips
from domain.shared.late import PooledLateSessions
from domain.workflows import intake
from domain.workflows.merging import MOVERS
from domain.workflows.release import NEXT_DUE, anything_due, next_due, receive_overdue, release_due
from domain.workflows.walking import ANYBODY_DUE, walk_journeys

__all__ = [
    "ANYBODY_DUE", "MOVERS", "NEXT_DUE", "anything_due", "apply_events", "next_due", "receive_overdue", "release_due",
    "walk_journeys",
]


def apply_events(
    sessions: sessionmaker[Session], now: datetime, pepper: bytes, limit: int
) -> int:
    """Apply up to ``limit`` due commerce events in a transaction of its own; returns how many were taken.

    If one of them fails, the batch is done again one by one: the bad event is put off (5 attempts, then it is dead
    with its reason) and holds up nobody.
    ``pepper`` is what phones are hashed with. Deadlocks and serialisation failures run it again. Several workers at
    once share the work.
    """
    def together(session: Session) -> int:
        taken, closing = intake.apply_batch(session, now, limit, pepper=pepper)
        if closing is not None:
            trips.close(session, closing)
        return taken

    try:
        return retrying(PooledLateSessions(sessions.kw["bind"]), together)
    except Exception as fault:  # whatever it was, it must not hold up the others
        if try_again(fault):
            raise
        return retrying(sessions, lambda session: intake.apply_singly(session, now, limit, pepper=pepper))
