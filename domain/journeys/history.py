"""What happened to people in the past, as events: for simulations. Reads only.

Events that leave no trace which can be read back (emitted ones, scans) have no history; a simulation makes them up.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import text
from sqlalchemy.orm import Session

from domain.journeys.events import EVENTS
from domain.journeys.runs import Event

_ORDER = """o.id as order_id, o.channel, o.order_no, o.paid_fen,
    (select l.title from order_line l where l.order_id = o.id and l.n = 1) as title,
    (select l.category from order_line l where l.order_id = o.id and l.n = 1) as category"""
_WHOSE = "o.buyer_id = any(:people)"
_BETWEEN = "between :since and :until"
_RETURNED = "(o.closed_at is not null or (o.paid_fen > 0 and o.refunded_fen = o.paid_fen))"


def _of_orders(at: str, more: str = "", joined: str = "", where: str = "true") -> str:
    return (f"select o.buyer_id as person_id, {at} as happened_at, {_ORDER}{more} from customer_order o {joined}"  # noqa: S608
            f" where {_WHOSE} and {at} {_BETWEEN} and {where}")


_READ = {
    "order.paid": _of_orders("o.paid_at", ", (select count(*) from order_line l where l.order_id = o.id) as lines"),
    "line.paid": f"""
        select o.buyer_id as person_id, o.paid_at as happened_at, o.id as order_id, o.channel, o.order_no, l.sku,
               l.title, l.category, l.quantity, l.paid_fen
          from customer_order o join order_line l on l.order_id = o.id
         where {_WHOSE} and o.paid_at {_BETWEEN}
           and not exists (select from order_line e where e.order_id = l.order_id and e.sku = l.sku and e.n < l.n)""",  # noqa: S608
    "order.shipped": _of_orders("o.shipped_at", ", o.carrier, o.tracking_no"),
    "order.received": _of_orders("o.completed_at"),
    "order.refunded": _of_orders("r.refunded_at", f", r.refund_no, r.amount_fen as refund_fen, {_RETURNED} as full",
                                 "join refund r on r.order_id = o.id"),
    "order.closed": _of_orders("o.closed_at"),
    "order.first_completed": _of_orders("o.completed_at", where="""not exists (select from customer_order e
        where e.buyer_id = o.buyer_id and e.completed_at < o.completed_at)"""),
    "person.followed": f"""
        select i.person_id, i.followed_at as happened_at, true as first, false as by_poster, '' as sharer, '' as sku
          from identity i where i.person_id = any(:people) and i.kind = 'openid' and i.followed_at {_BETWEEN}""",  # noqa: S608
    "person.unfollowed": f"""
        select person_id, unfollowed_at as happened_at from identity
         where person_id = any(:people) and kind = 'openid' and unfollowed_at {_BETWEEN}""",  # noqa: S608
    "role.granted": f"""
        select person_id, granted_at as happened_at, role from role_grant
         where person_id = any(:people) and granted_at {_BETWEEN}""",  # noqa: S608
    "role.revoked": f"""
        select person_id, revoked_at as happened_at, role from role_grant
         where person_id = any(:people) and revoked_at {_BETWEEN}""",  # noqa: S608
    "consent.stopped": f"""
        select person_id, changed_at as happened_at, purpose from consent
         where person_id = any(:people) and not given and changed_at {_BETWEEN}""",  # noqa: S608
}
_WROTE = text("""
    select person_id, received_at from inbox_message
     where person_id = any(:people) and received_at between :since and :until
       and kind in ('text', 'image', 'voice', 'video', 'location', 'link')
       and (payload -> 'data' ? 'bizmsgmenuid') is not true
     order by received_at
""")
_SAMPLE = text("""
    select id from person where merged_into is null and joined_at <= :until
     order by hashint8extended(id, 11), id limit :most
""")
_EVERYBODY = text("select count(*) from person where merged_into is null and joined_at <= :until")


def has(kind: str) -> bool:
    """Whether the past of this kind of event can be read."""
    return kind in _READ


def sample(session: Session, most: int, until: datetime) -> list[int]:
    """People to try something on: the same ones each time, spread over everybody."""
    return list(session.scalars(_SAMPLE, {"most": most, "until": until}))


def everybody(session: Session, until: datetime) -> int:
    """How many people there are, of whom a sample is taken."""
    return int(session.execute(_EVERYBODY, {"until": until}).scalar_one())


def read(session: Session, kind: str, people: Sequence[int], since: datetime, until: datetime) -> list[Event]:
    """What happened of this kind to these people. Raises KeyError for a kind without history."""
    rows = session.execute(text(_READ[kind]), {"people": list(people), "since": since, "until": until}).mappings()
    return [Event(kind, f"{kind}:{n}", row["person_id"], row["happened_at"], EVENTS[kind].data(dict(row)))
            for n, row in enumerate(rows)]


def made_up(kind: str, people: Sequence[int], since: datetime, until: datetime) -> list[Event]:
    """One event for each person, spread evenly over the time, with empty fields."""
    empty: dict[str, Any] = {"int": 0, "text": "", "bool": False}
    data = {name: empty[what] for name, what in EVENTS[kind].fields.items()}
    pause = (until - since) / max(1, len(people))
    return [Event(kind, f"{kind}:{n}", person, since + pause * n, data) for n, person in enumerate(people)]


def wrote(session: Session, people: Sequence[int], since: datetime, until: datetime) -> dict[int, list[datetime]]:
    """When these people wrote to us, spoke or sent a picture: each time opens the right to write back for two days. Who
    tapped an entry of a menu in the chat did not (``bizmsgmenuid``)."""
    found: dict[int, list[datetime]] = {}
    for row in session.execute(_WROTE, {"people": list(people), "since": since, "until": until}):
        found.setdefault(row.person_id, []).append(row.received_at)
    return found
