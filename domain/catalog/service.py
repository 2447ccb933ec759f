"""Keeping the catalog as the shop's systems tell it. Never commits."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import func, insert, select, text
from sqlalchemy.orm import Session

from domain.catalog.models import Product
from domain.shared.records import record


@record
class Told:
    """One word about a product: when, by which event (settles ties), and the clean payload."""

    at: datetime
    by: str
    data: dict[str, Any]


def upsert(session: Session, told: Sequence[Told]) -> None:
    """Store products; the newest word about a sku wins whatever the order of arrival. New ones get the next number."""
    newest: dict[str, Told] = {}
    for one in sorted(told, key=lambda one: (one.at, one.by)):
        newest[one.data["sku"]] = one
    if not newest:
        return
    session.execute(text("select pg_advisory_xact_lock(hashtext('product.no'))"))
    known = set(session.scalars(select(Product.sku).where(Product.sku.in_(newest))))
    last = session.execute(select(func.coalesce(func.max(Product.no), 0))).scalar_one()
    fresh = [one for sku, one in newest.items() if sku not in known]
    if fresh:
        session.execute(insert(Product), [{**_row(one), "no": no} for no, one in enumerate(fresh, last + 1)])
    if known:
        _update(session, [_row(one) for sku, one in newest.items() if sku in known])


def _row(told: Told) -> dict[str, Any]:
    return {"url": "", "video_url": "", **told.data, "told_at": told.at, "told_by": told.by}


def _update(session: Session, rows: Sequence[dict[str, Any]]) -> None:
    columns = ("title", "category", "price_fen", "image_url", "url", "video_url", "margin_bps", "consumption_days",
               "told_at", "told_by")
    statement = text(
        f"update product set {', '.join(f'{name} = :{name}' for name in columns)}"  # noqa: S608 - fixed names
        " where sku = :sku and (told_at, told_by) < (:told_at, :told_by)"
    )
    session.execute(statement, [{name: row[name] for name in ("sku", *columns)} for row in rows])
