"""Videos for share kits: an operator's word, for one product or for the whole shop. Never commits.

Of several videos the one for just this product wins: the operator's, the catalog's, the kit's own; then the shop's.
"""

from datetime import datetime

from sqlalchemy import text
from sqlalchemy.orm import Session

from domain.audit import service as audit
from domain.audit.rules import Actor, Role
from domain.shared import addresses
from domain.shared.errors import DomainError, NotFound
from domain.shared.records import record

ROLES: frozenset[Role] = frozenset({"owner", "operator"})


@record
class VideoView:
    """``sku`` '': for every product without a video of its own."""

    sku: str
    url: str
    set_at: datetime
    set_by: str


def listed(session: Session) -> list[VideoView]:
    """The shop's first, then by sku."""
    rows = session.execute(text("select sku, url, set_at, set_by from share_video order by sku"))
    return [VideoView(**row._mapping) for row in rows]


def give(session: Session, sku: str, url: str, actor: Actor, now: datetime) -> VideoView:
    """Give a product (or with '' the shop) its video, in place of the one before.

    Raises DomainError("not_permitted" | "address_wrong"), NotFound("product_unknown").
    """
    _permitted(actor, "video.set")
    if fault := addresses.fault_of(url):
        raise DomainError("address_wrong", fault=fault)
    if sku and session.execute(text("select 1 from product where sku = :sku"), {"sku": sku}).first() is None:
        raise NotFound("product_unknown", sku=sku)
    row = session.execute(text("""
        insert into share_video (sku, url, set_at, set_by) values (:sku, :url, :now, :by)
            on conflict (sku) do update set url = excluded.url, set_at = excluded.set_at, set_by = excluded.set_by
        returning sku, url, set_at, set_by"""), {"sku": sku, "url": url, "now": now, "by": actor.name}).one()
    audit.record(session, actor, "video.set", f"video:{sku}", {"url": url}, now)
    return VideoView(**row._mapping)


def take_away(session: Session, sku: str, actor: Actor, now: datetime) -> None:
    """The operator's word is gone; a video that the catalog or the kit names counts again.

    Raises DomainError("not_permitted"), NotFound("video_unknown").
    """
    _permitted(actor, "video.remove")
    if session.execute(text("delete from share_video where sku = :sku returning sku"), {"sku": sku}).first() is None:
        raise NotFound("video_unknown", sku=sku)
    audit.record(session, actor, "video.remove", f"video:{sku}", {}, now)


def choose(session: Session, sku: str, told: str, kit: str) -> str:
    """The address for a kit, '' for none. ``told``: what the catalog says of the product; ``kit``: the kit's own."""
    given = {row.sku: row.url for row in session.execute(
        text("select sku, url from share_video where sku in ('', :sku)"), {"sku": sku})}
    return (given.get(sku, "") if sku else "") or told or kit or given.get("", "")


def _permitted(actor: Actor, act: str) -> None:
    if not actor.may(ROLES):
        raise DomainError("not_permitted", act=act)
