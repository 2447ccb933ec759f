"""/me/draw: the published terms, one's own chances and draws, and everything that proves them."""

from domain.draws import queries
from domain.points import queries as points
from handlers.web.h5.pages import Content, Page, Visit

DRAWS, DAYS = 20, 8


def show(visit: Visit) -> Content:
    """The campaign that is open, else the one that was open last."""
    found = queries.campaigns(visit.session, visit.now)
    campaign = next((one for one in found if one.state == "open"), None) or next(
        (one for one in found if one.state in ("over", "stopped")), None)
    if campaign is None:
        return {"campaign": None}
    mine = visit.person.id
    return {
        "campaign": campaign, "open": campaign.state == "open",
        "allowed": queries.allowance(visit.session, campaign, mine, visit.now),
        "points": points.of(visit.session, mine, visit.now).active,
        "draws": queries.draws_of(visit.session, campaign.id, mine, DRAWS),
        "promises": queries.promises(visit.session, campaign.id, visit.now, DAYS),
        "code": queries.code_of(visit.session, campaign.id, mine),
    }


PAGE = Page("draw", show)
