"""People and orders for tests, made through the public doors or, for orders of another room, as plain rows."""

from datetime import datetime, timedelta

from sqlalchemy import insert, text
from sqlalchemy.orm import Session

from domain.orders.models import CustomerOrder
from domain.people import service
from domain.people.rules import IdentityRef
from domain.referrals.rules import Touch
from tests.conftest import MORNING

PEPPER = b"a pepper for tests only"
APP = "wx0000000000000001"


def day(n: float) -> datetime:
    return MORNING + timedelta(days=n)


def openid(value: str, app: str = APP) -> IdentityRef:
    return IdentityRef("openid", value, app)


def mall(value: str) -> IdentityRef:
    return IdentityRef("mall_user_id", value)


def phone(value: str) -> IdentityRef:
    return IdentityRef("phone", value)


def crowd(session: Session, n: int, at: datetime = MORNING) -> list[int]:
    """``n`` new people, committed."""
    people = service.resolve_many(session, [[openid(f"crowd-{at.timestamp()}-{i}")] for i in range(n)], at,
                                  pepper=PEPPER)
    session.commit()
    return people


def scan(visitor: int, sharer: int, at: float, source: str = "scan") -> Touch:
    return Touch(visitor, day(at), source, sharer_id=sharer)


def order(session: Session, buyer: int, no: str, at: float, *, paid_fen: int = 9_900, refunded_fen: int = 0,
          completed: bool = True) -> int:
    row = {
        "channel": "mall", "order_no": no, "source": "mall", "buyer_id": buyer, "currency": "CNY",
        "paid_fen": paid_fen, "shipping_fen": 0, "refunded_fen": refunded_fen, "digest": no, "paid_at": day(at),
        "completed_at": day(at) if completed else None, "booked_at": day(at),
    }
    return session.execute(insert(CustomerOrder).returning(CustomerOrder.id), [row]).scalar_one()


def comes_back(session: Session, order_id: int, fen: int | None = None) -> None:
    """``fen`` of an order (None: all that was paid) went back to its buyer, as a refund says; of its line, too, where
    it has one."""
    asked = {"id": order_id, "fen": fen, "at": MORNING}
    for statement in (
        "insert into refund select id, 'R', 'x', coalesce(:fen, paid_fen), :at, :at from customer_order where id = :id",
        "insert into refund_line select order_id, 'R', n, coalesce(:fen, paid_fen), 0 from order_line"
        " where order_id = :id",
        "update customer_order set refunded_fen = coalesce(:fen, paid_fen) where id = :id",
        "update order_line set refunded_fen = coalesce(:fen, paid_fen) where order_id = :id",
    ):
        session.execute(text(statement), asked)
