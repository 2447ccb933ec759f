"""How much of an interface may be used: its day, marketing's share of it, and its pace. Kept per app and interface.

The day is Beijing's, by the shop's clock, which is the platform's outside of a demo. 30 % of it is for what people wait
for: money, their orders, answers. The platform may know better (45009): then marketing is closed as long as it says,
until midnight, whatever we counted.
"""

import tomllib
from collections.abc import Mapping
from dataclasses import fields
from datetime import datetime, timedelta
from typing import Self

from sqlalchemy import text
from sqlalchemy.orm import Session

from domain.shared import trips
from domain.shared.clock import SHANGHAI
from domain.shared.records import record

_TAKE = text("select * from budget_take(:app, :api, :marketing, :at, :day, :share, :minute, :burst)")

_TAKE_SOME = """
    select budget_take_some(%(app)s, %(api)s, %(marketing)s, %(wanted)s, %(at)s, %(day)s, %(share)s, %(minute)s,
                            %(burst)s)
"""


@record
class Limits:
    """``per_day`` calls, of which ``reserve_percent`` are not for marketing; ``per_minute`` on average, with ``burst``
    at once."""

    per_day: int
    per_minute: int
    burst: int
    reserve_percent: int = 30

    @property
    def marketing_share(self) -> int:
        return self.per_day * (100 - self.reserve_percent) // 100


@record
class Refused:
    """Why a call may not leave now, and after how long to ask again. ``why``: day, closed or pace."""

    why: str
    wait: timedelta


@record
class Used:
    """What an interface was used for today. ``marketing_until``: closed for marketing until then."""

    app_id: str
    api: str
    used: int
    marketing_until: datetime | None


def take(session: Session, app_id: str, api: str, limits: Limits, *, marketing: bool, at: datetime) -> Refused | None:
    """Count one call, or say why not. In a transaction of its own, committed at once: the row is
    every caller's, and the count need not reach the disk."""
    row = session.execute(_TAKE, {
        "app": app_id, "api": api, "marketing": marketing, "at": at, "day": limits.per_day,
        "share": limits.marketing_share, "minute": limits.per_minute, "burst": limits.burst}).one()
    return Refused(row.why, timedelta(seconds=row.wait)) if row.why else None


def take_some(session: Session, app_id: str, api: str, limits: Limits, wanted: int, *, marketing: bool,
              at: datetime) -> int:
    """Count up to ``wanted`` calls that leave together; returns how many may. In the caller's transaction, which holds
    the row until its end: ask last."""
    asked = {"app": app_id, "api": api, "marketing": marketing, "wanted": wanted, "at": at, "day": limits.per_day,
             "share": limits.marketing_share, "minute": limits.per_minute, "burst": limits.burst}
    return int(trips.opening(session, _TAKE_SOME, asked))


def close_marketing(session: Session, app_id: str, api: str, at: datetime, until: datetime) -> None:
    """The platform says that the day is used up: nothing for marketing leaves before ``until``."""
    session.execute(text("""
        insert into platform_budget (app_id, api, day, next_at, marketing_until)
        values (:app, :api, :day, :at, :until)
            on conflict (app_id, api) do update set marketing_until = excluded.marketing_until"""),
        {"app": app_id, "api": api, "day": at.astimezone(SHANGHAI).date(), "at": at, "until": until})


def used(session: Session, at: datetime) -> list[Used]:
    """Every interface that was used today."""
    rows = session.execute(text("""
        select app_id, api, case when day = :today then used else 0 end as used,
               case when marketing_until > :at then marketing_until end as marketing_until
          from platform_budget order by app_id, api"""), {"today": at.astimezone(SHANGHAI).date(), "at": at})
    return [Used(row.app_id, row.api, int(row.used), row.marketing_until) for row in rows]


@record
class Budgets:
    """The shop's limits by interface (assets/budgets.toml); one that is not listed has none."""

    by_api: Mapping[str, Limits]

    @classmethod
    def load(cls, toml: str) -> Self:
        """From the text of the file. Raises ValueError naming what is wrong."""
        known = {field.name for field in fields(Limits)}
        found = {}
        for api, table in tomllib.loads(toml).get("api", {}).items():
            if not known - {"reserve_percent"} <= set(table) <= known:
                raise ValueError(f"budgets.toml {api}: takes {', '.join(sorted(known))}")
            if any(type(value) is not int or value < 1 for value in table.values()) or table.get(
                    "reserve_percent", 30) > 100:
                raise ValueError(f"budgets.toml {api}: takes whole numbers from 1 on, and at most 100 percent")
            found[api] = Limits(**table)
        return cls(found)
