"""Reading the catalog: for posters, chat and pages."""

from collections.abc import Iterable

from sqlalchemy import Select, func, or_, select, text
from sqlalchemy.orm import Session

from domain.catalog.models import Product
from domain.shared.records import record


@record
class ProductView:
    """A product as people see it. ``no`` is the number they type; money in fen; ``url``: where it is bought, ''."""

    no: int
    sku: str
    title: str
    category: str
    price_fen: int
    image_url: str
    consumption_days: int | None
    url: str = ""
    video_url: str = ""


def _views(session: Session, statement: Select[Product]) -> list[ProductView]:
    return [
        ProductView(one.no, one.sku, one.title, one.category, one.price_fen, one.image_url, one.consumption_days,
                    one.url, one.video_url)
        for one in session.scalars(statement, execution_options={"populate_existing": True})
    ]


def product(session: Session, sku: str) -> ProductView | None:
    """The product of a sku."""
    return next(iter(_views(session, select(Product).where(Product.sku == sku))), None)


def products(session: Session, skus: Iterable[str]) -> dict[str, ProductView]:
    """Products by sku; unknown ones are missing."""
    return {one.sku: one for one in _views(session, select(Product).where(Product.sku.in_(list(skus))))}


def shelf(session: Session, limit: int) -> list[ProductView]:
    """The first ``limit`` products by number."""
    return _views(session, select(Product).order_by(Product.no).limit(limit))


def search(session: Session, wanted: str, limit: int) -> list[ProductView]:
    """Products that ``wanted`` names: its number, its exact sku or title, else a part of the title or the category."""
    wanted = wanted.strip()
    if wanted.isdecimal() and len(wanted) <= 9:
        either = or_(Product.no == int(wanted), Product.sku == wanted)
        numbered = _views(session, select(Product).where(either).order_by(Product.no).limit(limit))
        if numbered:
            return numbered
    same = func.lower(wanted)
    whole = or_(func.lower(Product.sku) == same, func.lower(Product.title) == same)
    exact = _views(session, select(Product).where(whole).order_by(Product.no).limit(limit))
    if exact or not wanted:
        return exact
    part = or_(Product.title.icontains(wanted, autoescape=True), func.lower(Product.category) == same)
    return _views(session, select(Product).where(part).order_by(Product.no).limit(limit))


_ALIKE = text("""
    select sku from (
        select p.sku, p.no, (select count(*) from unnest(cast(:pairs as text[])) pair
                              where position(pair in lower(p.title)) > 0) as shared from product p) found
     where shared > 0 order by shared desc, no limit :limit""")
LONGEST_NAME = 60


def alike(session: Session, wanted: str, limit: int) -> list[ProductView]:
    """Products whose titles share pairs of neighbouring characters with ``wanted``, those with the most first."""
    said = wanted.lower()[:LONGEST_NAME]
    pairs = {said[n : n + 2] for n in range(len(said) - 1) if said[n : n + 2].isalnum()}
    skus = list(session.scalars(_ALIKE, {"pairs": sorted(pairs), "limit": limit}))
    found = products(session, skus)
    return [found[sku] for sku in skus]
