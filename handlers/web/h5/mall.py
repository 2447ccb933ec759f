"""/me/mall: what points buy, and what somebody has taken."""

from domain.mall import queries
from domain.points import queries as points
from handlers.web.h5.pages import Content, Page, Visit

EXCHANGES = 20


def show(visit: Visit) -> Content:
    say = visit.copy.render
    return {
        "refusals": {name: say(f"h5.mall.{name}") for name in ("sold_out", "had")},
        "states": {name: say(f"h5.mall.state_{name}") for name in ("done", "waiting", "sent", "cancelled")},
        "items": queries.items(visit.session, visit.person.id),
        "points": points.of(visit.session, visit.person.id, visit.now),
        "taken": queries.exchanges(visit.session, visit.person.id, EXCHANGES),
    }


PAGE = Page("mall", show)
