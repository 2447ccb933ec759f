"""/me/progress: both ladders with their steps, what is provisional and until when, and the membership."""

from domain.rewards.programme import Programme
from domain.workflows import standings
from handlers.web.h5.pages import Content, Page, Visit


def show(visit: Visit) -> Content:
    rules = visit.tool(Programme)
    found = standings.progress(visit.session, visit.person.id, rules, visit.now)
    return {"found": found, "rules": rules, "bar": max(step.order for step in rules.steps)}


PAGE = Page("progress", show)
