"""Reading the catalog: by sku, by the number or name people type, and the shelf."""

from dataclasses import dataclass

from sqlalchemy import select
from sqlalchemy.orm import Session

from domain.catalog.models import Product


@dataclass(frozen=True, slots=True)
class ProductView:
    """One thing on sale; ``no`` is the number people may type, prices in fen."""

    no: int
    sku: str
    title: str
    category: str
    price_fen: int
    image_url: str


def product(session: Session, sku: str) -> ProductView | None:
    """The product of ``sku``, None when unknown."""
    row = session.scalars(select(Product).where(Product.sku == sku)).one_or_none()
    return _view(row) if row else None


def shelf(session: Session, limit: int) -> list[ProductView]:
    """The first ``limit`` products by their number."""
    return [_view(row) for row in session.scalars(select(Product).order_by(Product.no).limit(limit))]


def search(session: Session, wanted: str, limit: int) -> list[ProductView]:
    """What somebody meant: the number, else the sku, else every title that contains what was typed."""
    wanted = wanted.strip()
    if not wanted:
        return []
    if wanted.isdecimal() and len(wanted) <= 9:
        numbered = session.scalars(select(Product).where(Product.no == int(wanted))).one_or_none()
        if numbered:
            return [_view(numbered)]
    exact = session.scalars(select(Product).where(Product.sku == wanted)).one_or_none()
    if exact:
        return [_view(exact)]
    contains = Product.title.icontains(wanted, autoescape=True)
    return [_view(row) for row in session.scalars(select(Product).where(contains).order_by(Product.no).limit(limit))]


def _view(row: Product) -> ProductView:
    return ProductView(row.no, row.sku, row.title, row.category, row.price_fen, row.image_url)
