"""What the law looks at, through the API: how far down plans may pay."""

from typing import Annotated

import msgspec
from msgspec import Meta, Struct

from domain.audit import queries
from domain.audit import service as audit
from domain.commissions.limits import Limits as ShopLimits
from domain.commissions.limits import limits
from domain.workflows import evidence, levels
from handlers.web.api.operations import Parameter
from handlers.web.api.problems import invalid
from handlers.web.api.shapes import Fault
from handlers.web.ops.approvals import Approval
from handlers.web.ops.context import MONEY, OWNER, REFUSED, Asked, Download, OpsOperation, shaped

CSV = "text/csv; charset=utf-8"


class Limits(Struct):
    """How far down plans may pay."""

    max_levels: Annotated[int, Meta(ge=1, le=3)]
    team_pay: Annotated[bool, Meta(description="Whether a team's sales may pay its leader.")]


class Warned(Struct):
    """What an owner must read before asking for more than one level, or for team pay."""

    warning: str


class NewLimits(Struct):
    """``warning_read``: the text of getLevelsWarning was read; needed for more than one level, or for team pay."""

    max_levels: Annotated[int, Meta(ge=1, le=3)]
    team_pay: bool
    reason: Annotated[str, Meta(min_length=1, max_length=1000)]
    warning_read: bool = False


def show(asked: Asked) -> Limits:
    return msgspec.convert(limits(asked.session), Limits, from_attributes=True)


def warning(asked: Asked) -> Warned:
    return Warned(_warning(asked, asked.number("levels", 2, 3), asked.choice("team", ("yes", "no"), "no") == "yes"))


def ask(asked: Asked) -> Approval:
    wanted: NewLimits = asked.body
    risky = wanted.max_levels > 1 or wanted.team_pay
    if risky and not wanted.warning_read:
        raise invalid([Fault("/warning_read", "must be true: read GET /compliance/levels-warning first")])
    text = _warning(asked, wanted.max_levels, wanted.team_pay) if risky else ""
    asked_for = levels.ask(asked.session, ShopLimits(wanted.max_levels, wanted.team_pay), text, wanted.reason,
                           asked.actor, asked.now)
    return msgspec.convert(queries.approval_view(asked_for, asked.now), Approval, from_attributes=True)


def export(asked: Asked) -> Download:
    first, last = asked.day("from"), asked.day("to")
    if not evidence.sensible(first, last):
        raise invalid([Fault("/to", "is before /from, or one of them is no day that can be meant")])
    days = {"from": first.isoformat(), "to": last.isoformat()}
    audit.record(asked.session, asked.actor, "export.regulator", "shop", days, asked.now)
    pieces = evidence.regulator_csv(asked.context.sessions, asked.tool(evidence.Pseudonyms), first, last)
    return Download(f"commissions-{first}-{last}.csv", CSV, pieces)


def _warning(asked: Asked, most: int, team: bool) -> str:
    return asked.copy.render("compliance.levels_warning", levels=most, team=team)


OPERATIONS = (
    OpsOperation("GET", "/compliance/levels", "getLevels", "Compliance", "How far down plans may pay",
                 "The database refuses plans beyond it.", Limits, show),
    OpsOperation("GET", "/compliance/levels-warning", "getLevelsWarning", "Compliance", "What the law says",
                 "To be read before more than one level, or team pay, is asked for.", Warned, warning,
                 query=(Parameter("levels", "How many levels are wanted, 1 to 3; 2 if not given."),
                        Parameter("team", "yes or no; no if not given."))),
    OpsOperation("GET", "/compliance/export", "exportForRegulator", "Compliance", "Every commission, as evidence",
                 "CSV: every commission with its order, goods, payer, level, rule, plan version, refunds and payment, "
                 "then every other movement of money between the shop and a promoter. People under pseudonyms. Noted "
                 "in the log.", str, export, media=CSV, roles=MONEY,
                 query=(Parameter("from", "First business day (Shanghai), as in 2026-11-01."),
                        Parameter("to", "Last business day, included."))),
    OpsOperation("POST", "/compliance/levels", "askForLevels", "Compliance", "Ask for other limits",
                 "An owner asks, a second person approves (plan.levels).", Approval, ask, status=201,
                 body=(NewLimits,), read_body=shaped(NewLimits), roles=OWNER, refusals=(REFUSED,)),
)
