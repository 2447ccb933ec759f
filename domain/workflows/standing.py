"""Who stood above the buyers of a batch when they paid, and as what: one call, whatever the number of orders."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime

from sqlalchemy.orm import Session

from domain.roles.rules import Role, highest
from domain.workflows.desk import Json

_STANDING = """
    select s.place, s.level, s.person_id, s.roles, s.renews, s.boost_bps,
           exists (select from account_hold h where h.person_id = s.person_id and h.lifted_at is null)
      from intake_standing(%(ids)s::bigint[], %(ats)s::timestamptz[], %(levels)s) s
"""


@dataclass(slots=True)
class Standing:
    """The people above one buyer (``buyer_id``) at the time of payment, nearest first, their roles and boosts (x bps)
    then.

    ``renews``: the buyer's own binding ends one day, so that this purchase may make it last longer. ``frozen``: those
    above whose accounts are frozen now, whatever they were at the time.
    """

    buyer_id: int = 0
    upline: list[int] = field(default_factory=list)
    roles: dict[int, Role] = field(default_factory=dict)
    boosts: dict[int, int] = field(default_factory=dict)
    renews: bool = False
    frozen: set[int] = field(default_factory=set)


def standing_at(session: Session, asked: Sequence[tuple[int, datetime]], levels: int) -> list[Standing]:
    """The standing of each (buyer, paid at), in order. What somebody became later changes no earlier deal."""
    found = [Standing() for _ in asked]
    wanted = {"ids": [one for one, _ in asked], "ats": [at for _, at in asked], "levels": levels}
    rows = session.connection().exec_driver_sql(_STANDING, wanted)
    for place, level, person_id, roles, renews, boost, frozen in rows:
        _add(found[place - 1], level, person_id, roles, renews, boost, frozen)
    return found


def standings_in(loaded: Json) -> dict[str, Standing] | None:
    """The standing of each order to be, by subject, as ``intake_take`` saw it; None when it could not tell."""
    told = loaded.get("standings")
    if told is None:
        return None
    found = {}
    for subject, people in told.items():
        found[subject] = standing = Standing()
        for level, person_id, roles, renews, boost, frozen in people:
            _add(standing, level, person_id, roles, renews, boost, frozen)
    return found


def _add(
    standing: Standing, level: int, person_id: int, roles: Sequence[str], renews: bool, boost: int, frozen: bool
) -> None:
    if level == 0:
        standing.buyer_id, standing.renews = person_id, renews
        return
    standing.upline.append(person_id)
    standing.roles[person_id] = highest(roles)
    standing.boosts[person_id] = boost
    if frozen:
        standing.frozen.add(person_id)
