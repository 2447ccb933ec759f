"""Red packets as an operator sees them: each gift, and where its money is. Reading only."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Literal

from sqlalchemy import text
from sqlalchemy.orm import Session

from domain.payouts.models import OPEN
from domain.payouts.recalling import TAKEN_BACK
from domain.shared.errors import NotFound
from domain.shared.records import record

Place = Literal["waiting", "wallet", "sent", "received", "returned"]
State = Literal["waiting", "wallet", "sent", "received", "returned", "calling", "taken"]


@record
class Gift:
    """``fen`` that somebody was given by the journal ``id``. ``reward_id``: their orders opened it; None: a present.

    ``place``: waiting (for a return window) → wallet → sent (a packet waits for a tap) → received; returned: a return
    took it back. A packet that nobody tapped leaves its gifts in the wallet. ``taking``: calling or taken where two
    operators take it back. ``called_back``: its packet was, for the sake of a gift in it.
    """

    id: int
    person_id: int
    title: str
    fen: int
    at: datetime
    source_id: int
    reward_id: int | None
    place: Place
    taking: Literal["", "calling", "taken"]
    packet_id: int | None
    packet_no: str
    called_back: bool

    @property
    def state(self) -> State:
        return self.taking or self.place


_GIFTS = """
    select j.id, coalesce(m.merged_into, m.id) as person_id, j.label as title, j.effective_at as at, j.source_id,
           r.id as reward_id, sum(p.amount)::bigint as fen, t.state as taking, w.id as packet_id, w.no as packet_no,
           w.state as packet, w.reason,
           r.id is not null and (r.state = 'revoked'
                                 or j.idem <> format('reward\\:%s\\:%s\\:earned', r.id, r.turn)) as lost,
           coalesce(r.state = 'provisional', false) as waits
      from journal j
      join posting p on p.journal_id = j.id
      join account a on a.id = p.credit and a.currency = 'CNY'
      join person m on m.id = a.owner_id
      left join reward r on j.source_type = 'reward' and r.id = j.source_id
      left join gift_taking t on t.journal_id = j.id and t.state <> 'left'
      left join lateral (
            select w.* from withdrawal w join outbox o on o.key = w.cause
             where w.person_id = coalesce(m.merged_into, m.id) and w.kind = 'red_packet'
               and exists (select from jsonb_array_elements(o.payload -> 'gifts') g
                            where g ->> 1 in (j.idem, replace(j.idem, '\\:earned', '\\:released')))
             order by w.id desc limit 1) w on true
     where j.kind in ('reward.given', 'reward.earned') and {which}
     group by j.id, m.id, r.id, t.approval_id, w.id, w.no, w.state, w.reason
     order by j.id desc limit :limit"""
_ONE = text(_GIFTS.format(which="j.id = :id"))
_OF = text(_GIFTS.format(which="""p.credit >= 1000 and a.owner_id in (
            select :person union all select id from person where merged_into = :person)"""))
_STANDING = text("""
    select g.idem from unnest(cast(:journals as text[])) with ordinality g (idem, n)
     where not exists (select from journal j join gift_taking t on t.journal_id = j.id and t.state = 'taken'
                        where j.idem in (g.idem, replace(g.idem, '\\:released', '\\:earned')))
     order by g.n""")
_SINCE = text("""
    select id from withdrawal where person_id = :person and kind = 'red_packet' and state = any(:open)
       and starts_with(cause, 'packet.again:') and asked_at >= :since order by id""")


def one(session: Session, gift_id: int) -> Gift:
    """Raises NotFound("gift_unknown")."""
    row = session.execute(_ONE, {"id": gift_id, "limit": 1}).one_or_none()
    if row is None:
        raise NotFound("gift_unknown", id=gift_id)
    return _gift(row)


def of(session: Session, person_id: int, limit: int = 100) -> list[Gift]:
    """What somebody was given, the newest first."""
    return [_gift(row) for row in session.execute(_OF, {"person": person_id, "limit": limit})]


def sent_again(session: Session, gift: Gift) -> Sequence[int]:
    """Open packets that carry what was left in the wallet, and so perhaps this gift."""
    return session.scalars(_SINCE, {"person": gift.person_id, "open": list(OPEN), "since": gift.at}).all()


def standing(session: Session, journals: Sequence[str]) -> list[str]:
    """Of the journals that made gifts available (their keys): those that operators did not take back."""
    return list(session.scalars(_STANDING, {"journals": list(journals)}))


def _gift(row: Any) -> Gift:
    back = row.packet_id is not None and row.reason == TAKEN_BACK and row.packet not in (*OPEN, "paid")
    return Gift(row.id, row.person_id, row.title, row.fen, row.at, row.source_id, row.reward_id, _place(row),
                row.taking or "", row.packet_id, row.packet_no or "", back)


def _place(row: Any) -> Place:
    if row.lost:
        return "returned"
    if row.waits:
        return "waiting"
    return "sent" if row.packet in OPEN else "received" if row.packet == "paid" else "wallet"
