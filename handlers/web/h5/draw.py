"""/me/draw: the published terms, one's own chances and draws, and everything that proves them; /me/draw/<day>: every
draw of a day that is over, under codes that name nobody."""

from datetime import date

from domain.draws import queries
from domain.draws.queries import CampaignView
from domain.points import queries as points
from handlers.web.h5.pages import Content, File, NotThere, Page, Visit

DRAWS, DAYS = 20, 8
LISTED = 300
"""Draws of a day that the page lists; the file has all."""


def show(visit: Visit) -> Content | File:
    """The campaign that is open, else the one that was open last; with a day its draws, once its seed is shown."""
    found = queries.campaigns(visit.session, visit.now)
    campaign = next((one for one in found if one.state == "open"), None) or next(
        (one for one in found if one.state in ("over", "stopped")), None)
    if campaign is None:
        return {"campaign": None, "day": None}
    if visit.part:
        return _day(visit, campaign)
    mine = visit.person.id
    return {
        "campaign": campaign, "day": None, "open": campaign.state == "open",
        "allowed": queries.allowance(visit.session, campaign, mine, visit.now),
        "points": points.of(visit.session, mine, visit.now).active,
        "draws": queries.draws_of(visit.session, campaign.id, mine, DRAWS),
        "promises": queries.promises(visit.session, campaign.id, visit.now, DAYS),
        "code": queries.code_of(visit.session, campaign.id, mine),
    }


def _day(visit: Visit, campaign: CampaignView) -> Content | File:
    shown = {str(one.day): one for one in queries.promises(visit.session, campaign.id, visit.now, DAYS) if one.seed}
    found = shown.get(visit.part)
    if found is None:
        raise NotThere
    draws = queries.draws_on(visit.session, campaign.id, date.fromisoformat(visit.part))
    if visit.asked.get("as") == "csv":
        lines = ["code,number,roll,prize,at", *(f"{one.code},{one.number},{one.roll},{one.prize_n or 0},"
                                                f"{one.at.isoformat()}" for one in draws)]
        return File(f"{campaign.key}-{visit.part}.csv", "\r\n".join(lines))
    return {"campaign": campaign, "day": found, "draws": draws[:LISTED], "more": max(0, len(draws) - LISTED)}


PAGE = Page("draw", show)
