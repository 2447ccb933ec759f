"""Stock and exchanges of the points mall. Never commits; what is given and taken in points, coupons and goods is
domain/workflows/exchanging.py."""

from datetime import datetime

from sqlalchemy import text
from sqlalchemy.orm import Session

from domain.mall.rules import Mall
from domain.shared.errors import DomainError, NotFound
from domain.shared.records import record

_OFFER = text("""
    insert into mall_item (key, n, title, points, kind, detail, amount, worth_fen, stock, most)
    values (:key, :n, :title, :points, :kind, :detail, :amount, :worth_fen, :stock, :most)
        on conflict (key) do update
       set n = excluded.n, title = excluded.title, points = excluded.points, kind = excluded.kind,
           detail = excluded.detail, amount = excluded.amount, worth_fen = excluded.worth_fen,
           stock = greatest(excluded.stock, mall_item.taken + excluded.stock * 0), most = excluded.most, listed = true
     where (mall_item.n, mall_item.title, mall_item.points, mall_item.kind, mall_item.detail, mall_item.amount,
            mall_item.worth_fen, mall_item.stock, mall_item.most, mall_item.listed)
           is distinct from (excluded.n, excluded.title, excluded.points, excluded.kind, excluded.detail,
            excluded.amount, excluded.worth_fen, greatest(excluded.stock, mall_item.taken + excluded.stock * 0),
            excluded.most, true)""")
_TAKE = text("""
    update mall_item set taken = taken + 1
     where key = :key and listed and (stock is null or taken < stock)
    returning title, points, kind, detail, amount, worth_fen, most""")
_KEEP = text("""
    insert into mall_exchange (person_id, item_key, key, title, kind, points, at)
    values (:person, :item, :key, :title, :kind, :points, :now) returning id""")


@record
class Taken:
    """An exchange with what it gives. ``fresh`` False: the request made it before."""

    id: int
    person_id: int
    item: str
    title: str
    kind: str
    points: int
    detail: str = ""
    amount: int = 1
    worth_fen: int = 0
    fresh: bool = True


def offer(session: Session, mall: Mall) -> None:
    """Bring the shelf in line with the document. A stock below what was taken is what was taken."""
    for n, item in enumerate(mall.item, 1):
        session.execute(_OFFER, {
            "key": item.key, "n": n, "title": item.title, "points": item.points, "kind": item.kind,
            "detail": item.detail, "amount": item.amount, "worth_fen": item.worth_fen, "stock": item.stock,
            "most": item.most})
    session.execute(text("update mall_item set listed = false where listed and key <> all(:keys)"),
                    {"keys": [item.key for item in mall.item]})


def known(session: Session, key: str) -> Taken | None:
    """The exchange that the request ``key`` made, if it made one."""
    row = session.execute(text("select id, person_id, item_key as item, title, kind, points from mall_exchange"
                               " where key = :key"), {"key": key}).first()
    return Taken(**row._mapping, fresh=False) if row else None


def take(session: Session, person_id: int, item_key: str, points: int, key: str, now: datetime) -> Taken:
    """One piece off the shelf, at the price that was said.

    Raises DomainError: mall_gone (not offered, or nothing left), mall_price (costs something else by now), mall_had
    (the customer's limit).
    """
    row = session.execute(_TAKE, {"key": item_key}).first()
    if row is None:
        raise DomainError("mall_gone")
    if row.points != points:
        raise DomainError("mall_price")
    had = session.execute(text("select count(*) from mall_exchange where person_id = :person and item_key = :item"
                               " and cancelled_at is null"), {"person": person_id, "item": item_key}).scalar_one()
    if row.most is not None and had >= row.most:
        raise DomainError("mall_had", most=row.most)
    made = session.execute(_KEEP, {"person": person_id, "item": item_key, "key": key, "title": row.title,
                                   "kind": row.kind, "points": points, "now": now}).scalar_one()
    return Taken(made, person_id, item_key, row.title, row.kind, points, row.detail, row.amount, row.worth_fen)


def owner(session: Session, exchange_id: int) -> int:
    """Whose exchange it is. Raises NotFound("exchange_unknown")."""
    found: int | None = session.execute(text("select person_id from mall_exchange where id = :id"),
                                        {"id": exchange_id}).scalar()
    if found is None:
        raise NotFound("exchange_unknown", id=exchange_id)
    return found


def cancel(session: Session, exchange_id: int, reason: str, now: datetime) -> Taken:
    """Call an exchange off and put the piece back on the shelf.

    Raises NotFound("exchange_unknown"), DomainError("exchange_cancelled" | "reason_missing").
    """
    if not reason.strip():
        raise DomainError("reason_missing")
    owner(session, exchange_id)
    row = session.execute(text("""
        update mall_exchange set cancelled_at = :now, reason = :reason where id = :id and cancelled_at is null
        returning id, person_id, item_key as item, title, kind, points"""),
        {"id": exchange_id, "now": now, "reason": reason.strip()[:500]}).first()
    if row is None:
        raise DomainError("exchange_cancelled", id=exchange_id)
    session.execute(text("update mall_item set taken = taken - 1 where key = :key"), {"key": row.item})
    return Taken(**row._mapping)


def move(session: Session, kept_id: int, gone_id: int, now: datetime) -> dict[str, int]:
    """A merge's part."""
    moved = session.execute(text("update mall_exchange set person_id = :kept where person_id = :gone returning id"),
                            {"kept": kept_id, "gone": gone_id}).all()
    return {"mall_exchange": len(moved)} if moved else {}
