"""What a watched shop can do beside selling: look, decide, and say what waits."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sqlalchemy import Engine

from bot.runtime import demo_team
from domain.audit.rules import Actor
from domain.commissions import plans
from domain.commissions import service as commissions
from domain.risk import holding, queries, service, watch
from domain.risk.rules import Rules
from domain.shared.clock import FixedClock
from domain.shared.seal import Seal
from domain.workflows import acts, freezing
from tests.integration.money.world import PEPPER, PLANS
from tests.integration.money.world import Shop as MoneyShop

RULES = Rules.load((Path(__file__).parents[3] / "assets" / "risk.toml").read_text("utf-8"))


@dataclass
class Watched(MoneyShop):
    """``look`` does what the chores do."""

    rules: Rules = RULES

    @property
    def team(self) -> dict[str, Actor]:
        """The demo's operators by role."""
        with self.sessions.begin() as session:
            return demo_team.hire(session, self.clock.now())

    def look(self) -> None:
        with self.sessions.begin() as session:
            while watch.scan(session, self.rules, Seal(PEPPER), self.clock.now(), 100):
                pass
        with self.sessions.begin() as session:
            while watch.sweep(session, self.rules, self.clock.now(), 50):
                pass
        with self.sessions.begin() as session:
            while holding.settle(session, self.clock.now()):
                pass

    def cases(self, state: str = "waiting") -> list[queries.CaseView]:
        with self.sessions() as session:
            return queries.cases(session, self.clock.now(), state=state)

    def rules_hit(self, state: str = "waiting") -> list[tuple[str, str]]:
        """(person, rule) of each case."""
        names = {one: name for name, one in self.people.items()}
        return sorted((names[case.person_id], case.rule) for case in self.cases(state))

    def frozen(self, name: str) -> int:
        """Fen on the frozen account."""
        return self.wallet(name).frozen_fen

    def freeze(self, name: str) -> int:
        """By two people; returns the case."""
        with self.sessions.begin() as session:
            asked = freezing.ask_freeze(session, self.people[name], "looks odd", self.team["finance"], self.clock.now())
            acts.decide(session, asked.id, True, self.team["owner"], self.clock.now())
        case, = (case for case in self.cases() if case.rule == "freeze" and case.person_id == self.people[name])
        return case.id

    def decide(self, case_id: int, outcome: service.Outcome) -> None:
        with self.sessions.begin() as session:
            team, now = self.team, self.clock.now()
            asked = freezing.ask_decision(session, case_id, outcome, "looked at", team["finance"], now)
            acts.decide(session, asked.id, True, team["owner"], now)

    def only_case(self) -> queries.CaseView:
        case, = self.cases()
        return case

    def openid(self, name: str) -> dict[str, Any]:
        return {"openid": f"o-{name.encode().hex()}", "app_id": "wx1"}


def of_one_level(engine: Engine, clock: FixedClock) -> MoneyShop:
    """李姐 invited 小王, in a shop that has hired nobody."""
    shop = MoneyShop(engine, clock, plan="")
    with shop.sessions.begin() as session:
        commissions.ensure_plan(session, plans.load(PLANS / "first-shop.toml"), clock.now())
    shop.person("李姐")
    shop.person("小王", invited_by="李姐")
    return shop
