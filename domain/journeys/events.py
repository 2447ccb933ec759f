"""What may happen to a person that a journey can listen to: a closed set of events, each with typed fields.

A room that wants journeys to hear of something adds its event here. Events that are facts of the outbox (``fact=True``)
reach journeys by themselves, with the fields below taken from the payload; others are told by
``journeys.service.happened``.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Literal

from domain.shared.clock import SHANGHAI
from domain.shared.records import record

FieldType = Literal["int", "text", "bool"]
TYPES: dict[FieldType, type] = {"int": int, "text": str, "bool": bool}


@record
class EventKind:
    """One kind of event. ``fact``: it comes by the outbox, under this kind."""

    name: str
    about: str
    fields: Mapping[str, FieldType]
    fact: bool = False

    def data(self, given: Mapping[str, Any]) -> dict[str, Any]:
        """The known fields of ``given`` that have the right type; the rest is left out."""
        return {name: given[name] for name, kind in self.fields.items() if type(given.get(name)) is TYPES[kind]}


_ORDER: dict[str, FieldType] = {"order_id": "int", "channel": "text", "order_no": "text", "title": "text",
                                "category": "text", "paid_fen": "int"}
_MONEY: dict[str, FieldType] = {"order_id": "int", "order_no": "text", "title": "text", "amount_fen": "int"}
_ROLE: dict[str, FieldType] = {"role": "text"}

_KINDS = (
    EventKind("order.paid", "an order was paid (not told of one that was returned before it was booked)",
              _ORDER | {"lines": "int"}),
    EventKind("line.paid", "one product of a paid order, once for each sku",
              {"order_id": "int", "channel": "text", "order_no": "text", "sku": "text", "title": "text",
               "category": "text", "quantity": "int", "paid_fen": "int"}),
    EventKind("order.shipped", "an order left the shop", _ORDER | {"carrier": "text", "tracking_no": "text"}),
    EventKind("order.received", "an order counts as received: confirmed, or by time", _ORDER),
    EventKind("order.refunded", "money went back; full: nothing of the order is left",
              _ORDER | {"refund_no": "text", "refund_fen": "int", "full": "bool"}),
    EventKind("order.closed", "an order was cancelled after payment", _ORDER),
    EventKind("person.followed", "somebody follows an account; first: for the first time ever",
              {"first": "bool", "by_poster": "bool", "sharer": "text", "sku": "text"}),
    EventKind("person.scanned", "a follower scanned a poster", {"sharer": "text", "sku": "text"}),
    EventKind("person.unfollowed", "somebody left an account", {}),
    EventKind("contact.added", "somebody added an employee in WeCom; first: they never followed anything of ours;"
              " by_way: by the code or link of a sharer",
              {"first": "bool", "by_way": "bool", "sharer": "text", "sku": "text", "category": "text",
               "userid": "text"}),
    EventKind("contact.ended", "an employee and a customer parted (by: customer, staff, transfer); alone: no other has"
              " them", {"by": "text", "alone": "bool", "userid": "text"}),
    EventKind("consent.stopped", "somebody wants no more of a purpose ('*': of anything)", {"purpose": "text"}),
    EventKind("consent.resumed", "somebody wants to hear from the shop again", {}),
    EventKind("order.first_completed", "the first order ever that counts as received", _ORDER, fact=True),
    EventKind("role.granted", "somebody became promoter, gold or partner", _ROLE, fact=True),
    EventKind("role.revoked", "somebody lost a role", _ROLE, fact=True),
    EventKind("commission.accrued", "somebody earned commission", _MONEY | {"level": "int"}, fact=True),
    EventKind("commission.clawed_back", "a refund took commission back", _MONEY | {"left_fen": "int"}, fact=True),
    EventKind("person.birthday", "somebody's birthday month has begun, or they told us in its midst; once in 365 days",
              {"month": "int"}),
    EventKind("referrals.reached", "so many friends whom somebody brought have bought and kept it; each number once",
              {"friends": "int"}),
    EventKind("promoter.at_risk", "a promoter fell silent (why: silent) or earns much less than before (earnings)",
              {"why": "text", "earned_fen": "int", "before_fen": "int"}),
    EventKind("month.star", "somebody sold most, net and directly, in a month that is over",
              {"month": "text", "orders": "int", "volume_fen": "int"}),
    EventKind("year.top", "somebody is one of the best customers of the year that is over",
              {"year": "int", "place": "int"}),
    EventKind("membership.set", "somebody's paid membership has a new end; renewal: added before the last one ended;"
              " fewer: a refund took days", {"card": "text", "title": "text", "until": "text", "renewal": "bool",
                                             "fewer": "bool"}, fact=True),
    EventKind("membership.ended", "a paid membership was taken by a refund or an operator (why: refunded, revoked)",
              {"card": "text", "title": "text", "why": "text"}, fact=True),
    EventKind("feedback.adopted", "the shop does what somebody suggested (outcome: what came of it); once for each"
              " feedback", {"number": "int", "about": "text", "outcome": "text"}),
    EventKind("points.expiring", "points will expire soon, from day to until (assets/points.toml: warn_days,"
              " warn_from); at most once a week", {"points": "int", "day": "text", "until": "text", "week": "text"},
              fact=True),
    EventKind("topic.picked", "somebody's word in a topic was picked for everybody to read; once for each word",
              {"topic": "int", "title": "text", "about": "text"}),
    EventKind("quiz.answered", "somebody answered the question of the day; once a day",
              {"day": "text", "right": "bool"}),
    EventKind("tag.added", "a tag was put on somebody, by the rules, a journey or by hand", {"tag": "text"}, fact=True),
    EventKind("tag.removed", "a tag was taken off somebody", {"tag": "text"}, fact=True),
    EventKind("segment.changed", "somebody moved from one segment (was) to another",
              {"segment": "text", "was": "text"}, fact=True),
    EventKind("commission.released", "commission can be withdrawn", _MONEY | {"to_available_fen": "int"}, fact=True),
)

EVENTS: dict[str, EventKind] = {kind.name: kind for kind in _KINDS}
"""Every event by name."""

def example(kind: str, name: str, now: datetime) -> int | str | None:
    """What stands for a field of an event in a preview that was not given it: of the right form, and seen to be none.
    None for what is true or false."""
    local = now.astimezone(SHANGHAI)
    what = EVENTS[kind].fields[name]
    known: dict[tuple[str, FieldType], int | str] = {
        ("month", "int"): local.month, ("month", "text"): f"{local:%Y-%m}", ("year", "int"): local.year,
        ("day", "text"): now.isoformat(), ("until", "text"): now.isoformat(), ("week", "text"): f"{local:%G-W%V}"}
    return known.get((name, what)) or (None if what == "bool" else 1 if what == "int" else f"〈{name}〉")


FACTS_HEARD = frozenset(kind.name for kind in _KINDS if kind.fact)
"""The kinds of outbox facts that journeys may listen to."""
