"""Who stood above the buyers of a batch when they paid, and as what: one call, whatever the number of orders."""

from collections.abc import Sequence
from datetime import datetime

import msgspec
from sqlalchemy.orm import Session

from domain.commissions.rules import Above
from domain.roles.rules import highest

_STANDING = """
    select s.place, s.level, s.person_id, s.roles, s.renews, s.boost_bps,
           exists (select from account_hold h where h.person_id = s.person_id and h.lifted_at is null)
      from intake_standing(%(ids)s::bigint[], %(ats)s::timestamptz[], %(levels)s) s
"""


class Standing(msgspec.Struct, gc=False):
    """A buyer and the people above them at the time of payment (``people``: the buyer, then nearest first), which roles
    those had been granted then, and what multiplied their rates (x bps).

    ``renews``: the buyer's own binding ends one day, so that this purchase may make it last longer. ``frozen``: whose
    accounts are frozen now, whatever they were at the time. ``subject``: the order, when the claim tells of it.
    """

    subject: str = ""
    people: list[int] = []
    granted: list[tuple[int, str]] = []
    boosts: list[tuple[int, int]] = []
    frozen: set[int] = set()
    renews: bool = False

    @property
    def buyer_id(self) -> int:
        return self.people[0]

    def above(self) -> Above:
        """As commissions ask for it: everybody's highest role, everybody's highest boost."""
        if not self.granted and not self.boosts:  # mostly
            return Above(self.people[1:], {})
        roles: dict[int, list[str]] = {}
        for person, role in self.granted:
            roles.setdefault(person, []).append(role)
        return Above(self.people[1:], {person: highest(held) for person, held in roles.items()},
                     {person: bps for bps, person in sorted((bps, person) for person, bps in self.boosts)})


def standing_at(session: Session, asked: Sequence[tuple[int, datetime]], levels: int) -> list[Standing]:
    """The standing of each (buyer, paid at), in order. What somebody became later changes no earlier deal."""
    found = [Standing() for _ in asked]
    wanted = {"ids": [one for one, _ in asked], "ats": [at for _, at in asked], "levels": levels}
    rows = session.connection().exec_driver_sql(_STANDING, wanted)
    for place, level, person_id, roles, renews, boost, frozen in rows:
        standing = found[place - 1]
        standing.people.append(person_id)
        if level == 0:
            standing.renews = renews
            continue
        standing.granted += [(person_id, role) for role in roles]
        standing.boosts.append((person_id, boost))
        if frozen:
            standing.frozen.add(person_id)
    return found
