"""The outer circle of booking: who is told that an order counts, and the secret that identities are looked up with."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy.orm import Session

from domain.orders.rules import OrderState

RolesOf = Callable[[Session, Sequence[int]], dict[int, str]]
OrdersTold = Callable[[Session, Sequence[OrderState], datetime], None]


def _all_members(session: Session, person_ids: Sequence[int]) -> dict[int, str]:
    return {}


def _nobody_listens(session: Session, orders: Sequence[OrderState], now: datetime) -> None:
    return None


@dataclass(frozen=True, slots=True)
class Circle:
    """``pepper`` hashes phones (at least 16 bytes). ``roles_of`` gives roles by person (absent: member);
    ``completed`` and ``revoked`` hear of orders that count as received and unreturned, or no longer do."""

    pepper: bytes
    roles_of: RolesOf = _all_members
    completed: OrdersTold = _nobody_listens
    revoked: OrdersTold = _nobody_listens
