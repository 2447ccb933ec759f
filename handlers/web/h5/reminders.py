"""/me/reminders: what somebody may allow us to remind them of, one tap a message.

The button is WeChat's own (the open tag wx-open-subscribe): only WeChat asks, and it tells us the answer by an event.
"""

from domain.people import queries as people
from domain.subscriptions import queries as subscriptions
from domain.subscriptions.rules import Catalogue
from handlers.web.h5.pages import Content, Page, Visit


def show(visit: Visit) -> Content:
    """``offers``: dicts of id, title, offer and left, for the account that the person follows; ``app`` its app id."""
    catalogue = visit.tool(Catalogue)
    for account, app_id in visit.jobs.app_ids.items():
        openid = people.openid_of(visit.session, visit.person.id, app_id)
        offers = catalogue.offered(account)
        if openid and offers:
            banked = subscriptions.banked(visit.session, account, openid)
            return {"app": app_id, "offers": [
                {"id": template_id, "title": one.title, "offer": one.offer, "left": banked.get(template_id, 0)}
                for one, template_id in offers]}
    return {"app": "", "offers": []}


PAGE = Page("reminders", show, script="allow.js", sdk=True, tags=True)
