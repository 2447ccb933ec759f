"""Who runs a demo (or a test) shop, and their decision to let it pay two levels and a team: both can be seen there."""

import tomllib
from datetime import datetime
from typing import cast

from sqlalchemy.orm import Session

from bot.runtime.bootstrap import ASSETS
from domain.audit import queries as audit_queries
from domain.audit import service as audit
from domain.audit.rules import Actor, Role
from domain.commissions.limits import Limits, limits
from domain.workflows import acts, levels

REASON = "示例商店：展示两级佣金与团队奖励"
WARNING = "示例商店没有真实顾客，仅供演示；真实商店开启前会显示法律提示。"


def hire(session: Session, now: datetime) -> dict[str, Actor]:
    """The operators of assets/demo/operators.toml by role, hired once."""
    known = {one.name for one in audit_queries.operators(session)}
    team: dict[str, Actor] = {}
    for raw in tomllib.loads((ASSETS / "demo" / "operators.toml").read_text("utf-8"))["operator"]:
        name, role = raw["name"], cast(Role, raw["role"])
        if name in known:
            team[role] = Actor(name, role)
        else:
            team[role] = audit.add_operator(session, name, role, team.get("owner"), now)
    return team


def allow_levels(session: Session, now: datetime, max_levels: int = 2, team_pay: bool = True) -> None:
    """The owner asks, finance agrees: plans may pay ``max_levels`` levels. Repeating changes nothing."""
    wanted = Limits(max_levels, team_pay)
    if limits(session) == wanted:
        return
    team = hire(session, now)
    asked = levels.ask(session, wanted, WARNING, REASON, team["owner"], now)
    acts.decide(session, asked.id, True, team["finance"], now)
