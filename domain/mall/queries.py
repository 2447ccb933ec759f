"""The points mall as customers and operators see it."""

from datetime import datetime

from sqlalchemy import text
from sqlalchemy.orm import Session

from domain.shared.records import record


@record
class ItemView:
    """``no``: what people type. ``left`` None: no end. ``mine``: how many the person has had; ``most`` None: no limit.
    """

    no: int
    key: str
    title: str
    points: int
    kind: str
    detail: str
    amount: int
    worth_fen: int
    left: int | None
    most: int | None
    mine: int

    @property
    def refusal(self) -> str:
        """Why nobody (sold_out) or not this person (had) can take it; '' when they can."""
        if self.left is not None and self.left <= 0:
            return "sold_out"
        return "had" if self.most is not None and self.mine >= self.most else ""


@record
class ExchangeView:
    """``state``: done, waiting (goods that were not sent yet), sent, cancelled; ``note`` says how, or why."""

    id: int
    person_id: int
    nickname: str
    item: str
    title: str
    kind: str
    points: int
    at: datetime
    state: str
    note: str


_ITEMS = text("""
    select row_number() over (order by i.n) as no, i.key, i.title, i.points, i.kind, i.detail, i.amount, i.worth_fen,
           i.stock - i.taken as left, i.most,
           (select count(*) from mall_exchange e where e.item_key = i.key and e.person_id = :person
               and e.cancelled_at is null) as mine
      from mall_item i where i.listed order by i.n""")
_EXCHANGES = text("""
    select e.id, e.person_id, p.nickname, e.item_key as item, e.title, e.kind, e.points, e.at,
           case when e.cancelled_at is not null then 'cancelled' else coalesce(f.state, 'done') end as state,
           case when e.cancelled_at is not null then e.reason else coalesce(f.note, '') end as note
      from mall_exchange e join person p on p.id = e.person_id
      left join fulfilment f on f.cause = 'mall:' || e.id
     where (cast(:person as bigint) is null or e.person_id = :person) order by e.id desc limit :limit""")


def items(session: Session, person_id: int) -> list[ItemView]:
    """What is offered, in its order, as this person may take it."""
    return [ItemView(**row._mapping) for row in session.execute(_ITEMS, {"person": person_id})]


def exchanges(session: Session, person_id: int | None = None, limit: int = 100) -> list[ExchangeView]:
    """What was taken, the newest first, by everybody or one person."""
    rows = session.execute(_EXCHANGES, {"person": person_id, "limit": limit})
    return [ExchangeView(**row._mapping) for row in rows]
