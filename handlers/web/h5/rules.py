"""/me/rules: the plan as it is for this person, with a form to try out what selling more would bring."""

from domain.roles.rules import Titles
from domain.shared.amounts import find_fen
from domain.workflows.terms import Terms, terms_of, what_if
from handlers.web.h5.pages import Content, Page, Visit


def show(visit: Visit) -> Content:
    terms = terms_of(visit.session, visit.person.id, visit.now)
    asked = visit.asked.get("more", "").strip()
    fen = find_fen(asked)
    names = {rate.category: visit.copy.render(f"category.{rate.category}") for rate in terms.rates
             if visit.copy.has(f"category.{rate.category}")}
    titles = visit.tool(Titles).by_role
    return {
        "terms": terms, "plan": terms.plan, "names": names, "titles": titles, "asked": asked,
        "earning_titles": visit.copy.render("h5.rules.and").join(titles.get(role, role) for role in _team_roles(terms)),
        "guess": what_if(terms, fen) if fen and terms.earns else None, "unread": bool(asked) and fen is None,
    }


def _team_roles(terms: Terms) -> tuple[str, ...]:
    return terms.team.roles if terms.team else ()


PAGE = Page("rules", show)
