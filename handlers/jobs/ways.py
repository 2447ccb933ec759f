"""The ways that a message may take to a person: a customer message in an open window, a permission that was banked, a
template message, a task of the employee who has them. Tried in the order of its purpose; why each of the others was not
taken is kept with the notice."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from bot.kit.gateway import Card
from bot.kit.jobs import Claimed, JobContext
from domain.notices.rules import Purpose
from domain.platform import budgets
from domain.platform import service as platform
from domain.shared.records import record
from domain.stafftasks import queries as stafftasks
from domain.stafftasks.queries import Employee
from domain.stafftasks.rules import PREFIX as STAFF_PREFIX
from domain.stafftasks.rules import StaffWay
from domain.stafftasks.rules import objection as staff_objection
from domain.subscriptions import service as subscriptions
from domain.subscriptions.rules import NO_TOKEN, PREFIX, Catalogue, Channel, Unfit, fit

NO_RIGHT, UNFOLLOWED = "no_right", "unfollowed"
API: dict[Channel, str] = {"custom": "message/custom/send", "template": "message/template/send",
                           "subscription": "message/subscribe/bizsend"}

LONG = timedelta(minutes=10)
"""An interface that rests longer than this is passed by where there is another way; a shorter rest is waited for."""


@record
class Says:
    """What a notice says: the key of its text and the facts in it."""

    key: str
    facts: Mapping[str, Any]


@record
class Errand:
    """One message to one person: through which account, for what, how many rights it must leave alone, and what it
    says (None for a picture: those go in windows only). ``openid`` '': they follow no account, an employee has them."""

    effect: Claimed
    purpose: Purpose
    account: str
    openid: str
    reserve: int
    says: Says | None


@record
class Way:
    """What was taken for one message; given back when it surely did not leave."""

    channel: Channel
    right: platform.Right | None = None
    token: int | None = None
    card: Card | None = None
    employee: Employee | None = None


@dataclass(slots=True)
class Tried:
    """Why ways were not taken. ``again``: the reason and the moment (business time) at which one opens by itself."""

    refused: dict[str, str] = field(default_factory=dict)
    again: tuple[str, datetime] | None = None

    def wait(self, channel: Channel, reason: str, at: datetime) -> None:
        self.refused[channel] = reason
        if self.again is None or at < self.again[1]:
            self.again = (reason, at)


def choose(ctx: JobContext, session: Any, errand: Errand, tried: Tried) -> Way | None:
    """The first way that is open, with its right or permission taken in this transaction; None when there is none."""
    for channel in ctx.tool(Catalogue).order[errand.purpose]:
        if channel in tried.refused:
            continue
        if channel == "staff":
            found: Way | str | None = _staff(ctx, session, errand)
        elif not errand.openid:
            found = UNFOLLOWED
        elif _rests(ctx, session, errand, channel, tried):
            continue
        else:
            found = _custom(ctx, session, errand) if channel == "custom" else _card(ctx, session, errand, channel)
        if isinstance(found, Way):
            return found
        if found is not None:
            tried.refused[channel] = found
    return None


def employee_of(ctx: JobContext, session: Any, person_id: int) -> Employee | None:
    """The employee who may be asked to write to the person; None where the shop does not use this way."""
    monthly = ctx.tool(StaffWay).monthly
    return stafftasks.employee_of(session, person_id, list(monthly)) if monthly else None


def _staff(ctx: JobContext, session: Any, errand: Errand) -> Way | str | None:
    """None: there is no such way to this person at all, and nothing to tell of it."""
    way, person_id = ctx.tool(StaffWay), errand.effect.person_id
    assert person_id is not None
    employee = employee_of(ctx, session, person_id)
    if employee is None or errand.says is None:
        return None
    had = stafftasks.had(session, person_id, ctx.now())
    closed = staff_objection(way, errand.says.key, way.monthly[employee.account], had, errand.effect.expires_at,
                             ctx.now())
    return closed or Way("staff", employee=employee)


def staff_words(ctx: JobContext, says: Says) -> str:
    """What the employee is asked to send."""
    key = STAFF_PREFIX + says.key
    return ctx.copy.part(key, says.facts)


def _rests(ctx: JobContext, session: Any, errand: Errand, channel: Channel, tried: Tried) -> bool:
    """Whether the platform told us to leave this interface alone for long."""
    own, *_ = platform.holds(session, ctx.app_ids[errand.account], API[channel])
    rest = own.until - ctx.real_now() if own and own.until else timedelta(0)
    if own is None or rest <= LONG:
        return False
    tried.wait(channel, f"{own.outcome}:{own.errcode}", ctx.now() + rest)
    return True


def _custom(ctx: JobContext, session: Any, errand: Errand) -> Way | str:
    right = platform.take(session, errand.account, errand.openid, ctx.now(), reserve=errand.reserve)
    return Way("custom", right=right) if right else NO_RIGHT


def _card(ctx: JobContext, session: Any, errand: Errand, channel: Channel) -> Way | str:
    catalogue, says = ctx.tool(Catalogue), errand.says
    key = says.key if says else ""
    if objection := catalogue.objection(channel, errand.account, key, errand.purpose):
        return objection
    assert says is not None
    template_id = catalogue.id_of(channel, errand.account, key)
    alarm, *_ = platform.holds(session, ctx.app_ids[errand.account], alarm_of(channel, template_id))
    if alarm and alarm.until and alarm.until > ctx.real_now():
        return f"{alarm.outcome}:{alarm.errcode}"
    try:
        values = {name: fit(name, value) for name, value in ctx.copy.parts(PREFIX + key, says.facts).items()}
    except Unfit as fault:
        return f"unfit:{fault}"
    page = says.facts.get("page", "")
    card = Card(template_id, values, page if isinstance(page, str) else "")
    if channel == "template":
        return Way(channel, card=card)
    token = subscriptions.spend(session, errand.account, errand.openid, template_id, errand.effect.id, ctx.now())
    return Way(channel, token=token, card=card) if token is not None else NO_TOKEN


def alarm_of(channel: Channel, template_id: str) -> str:
    """Under which name a template that the platform refuses is held back."""
    return f"{API[channel]}#{template_id}"


def give_back(session: Any, errand: Errand, way: Way) -> None:
    """The message surely did not leave: what it took is free again."""
    if way.right is not None:
        platform.give_back(session, errand.account, errand.openid, way.right)
    if way.token is not None:
        subscriptions.give_back(session, way.token)


def over_budget(ctx: JobContext, errand: Errand, way: Way) -> budgets.Refused | None:
    """Why the shop's own budget does not let the call leave; None: it is counted."""
    limits = ctx.tool(budgets.Budgets).by_api.get(API[way.channel])
    if limits is None or errand.purpose == "answer":
        return None
    with ctx.begin() as session:
        return budgets.take(session, ctx.app_ids[errand.account], API[way.channel], limits,
                            marketing=errand.purpose == "marketing", at=ctx.now())
