"""Reading customers' pictures: one, a list, the bytes, the words of consent, and what to give to whom."""

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import text
from sqlalchemy.orm import Session

from domain.shared.errors import NotFound
from domain.shared.records import record
from domain.shots.rules import Standing

STATES = ("draft", "waiting", "approved", "declined", "withdrawn", "retired")
OPEN = ("draft", "waiting", "approved")
"""What its author can still take back."""


@record
class ShotView:
    """One picture without its bytes. ``has_picture``: they are here. ``title``: the product's, '' where none is known.
    ``given``, ``clicks``, ``orders``: see ``rules.Standing``."""

    id: int
    person_id: int
    nickname: str
    sku: str
    title: str
    words: str
    state: str
    consent: str
    has_picture: bool
    width: int
    height: int
    sent_at: datetime
    reviewed_at: datetime | None
    reviewed_by: str
    thanked_at: datetime | None
    ended_at: datetime | None
    why: str
    said: str
    given: int
    clicks: int
    orders: int

    @property
    def credit(self) -> str:
        """The name to show with it, '' for nobody's."""
        return self.nickname if self.consent == "named" else ""

    @property
    def standing(self) -> Standing:
        return Standing(self.given, self.clicks, self.orders)


@record
class WordView:
    """One word of consent. ``wording``: what they were asked."""

    word: str
    wording: str
    at: datetime


# People who came are touches of the posters' own codes; a sharer who scans their own poster leaves none. An order of
# theirs counts for thirty days.
_STANDING = """
    (select count(*) from shot_given g where g.shot_id = s.id) as given,
    (select count(distinct t.visitor_id) from scene c join touch t on t.sharer_id = c.sharer_id and t.scene = c.token
      where c.shot_id = s.id) as clicks,
    (select count(distinct o.buyer_id) from scene c join touch t on t.sharer_id = c.sharer_id and t.scene = c.token
       join customer_order o on o.buyer_id = t.visitor_id and o.closed_at is null and o.paid_at >= t.at
            and o.paid_at < t.at + interval '30 days'
      where c.shot_id = s.id) as orders"""
_VIEW = f"""
    select s.id, s.person_id, p.nickname, s.sku, coalesce(r.title, '') as title, s.words, s.state, s.consent,
           s.picture is not null as has_picture, s.width, s.height, s.sent_at, s.reviewed_at, s.reviewed_by,
           s.thanked_at, s.ended_at, s.why, s.said, {_STANDING}
      from shot s join person p on p.id = s.person_id left join product r on r.sku = s.sku"""  # noqa: S608 - constants


def one(session: Session, number: int, *, lock: bool = False) -> ShotView:
    """Raises NotFound("shot_unknown")."""
    row = session.execute(text(f"{_VIEW} where s.id = :id {'for update of s' if lock else ''}"),
                          {"id": min(number, 2**63 - 1)}).first()
    if row is None:
        raise NotFound("shot_unknown", number=number)
    return ShotView(**row._mapping)


def listed(session: Session, state: str = "", person_id: int | None = None, limit: int = 100) -> list[ShotView]:
    """The newest first; of one state, of one person, or all. Those that wait for their picture are not to be looked at
    yet and stand among the drafts only."""
    rows = session.execute(text(f"""{_VIEW}
         where (:state = '' or s.state = :state) and (cast(:person as bigint) is null or s.person_id = :person)
           and (:state <> 'waiting' or s.picture is not null)
         order by s.id desc limit :limit"""), {"state": state, "person": person_id, "limit": limit})
    return [ShotView(**row._mapping) for row in rows]


def open_of(session: Session, person_id: int, limit: int = 50) -> list[ShotView]:
    """What somebody has sent and can still take back, the oldest first."""
    rows = session.execute(text(f"""{_VIEW} where s.person_id = :person and s.state = any (:open)
         order by s.id limit :limit"""), {"person": person_id, "open": list(OPEN), "limit": limit})
    return [ShotView(**row._mapping) for row in rows]


def gone_by_leaving(session: Session, person_id: int, since: datetime) -> int:
    """How many pictures of somebody were deleted because their erasure was noted, from ``since`` on."""
    return int(session.execute(text("""
        select count(*) from shot where person_id = :person and state = 'withdrawn' and why = 'leaving'
           and ended_at >= :since"""), {"person": person_id, "since": since}).scalar_one())


def drafts(session: Session, numbers: Sequence[int], person_id: int) -> list[int]:
    """Which of these of somebody's pictures are still there to be allowed: not refused meanwhile."""
    return list(session.scalars(text("""
        select id from shot where id = any (:ids) and person_id = :person and state = 'draft' order by id"""),
        {"ids": list(numbers), "person": person_id}))


def picture(session: Session, number: int) -> bytes | None:
    """The JPEG, None when it is not here (any more)."""
    found = session.scalar(text("select picture from shot where id = :id"), {"id": min(number, 2**63 - 1)})
    return bytes(found) if found is not None else None


def words(session: Session, number: int) -> Sequence[WordView]:
    """Every word of its author on it, the first first."""
    rows = session.execute(text("select word, wording, at from shot_word where shot_id = :id order by id"),
                           {"id": number})
    return [WordView(**row._mapping) for row in rows]


def to_share(session: Session, person_id: int, sku: str) -> ShotView | None:
    """The picture of a product that suits a sharer now: first those they were not given yet; of those the ones that
    bring people, with a chance for new ones. None when there is none."""
    chosen = f"""
        with shown as ({_VIEW} where s.sku = :sku and s.state = 'approved' order by s.id desc limit 200)
        select shown.* from shown left join shot_given g on g.shot_id = shown.id and g.person_id = :person
         order by coalesce(g.times, 0), (shown.clicks + 1)::float8 / (shown.given + 5) desc, shown.id limit 1"""  # noqa: S608 - constants
    row = session.execute(text(chosen), {"sku": sku, "person": person_id}).first()
    return ShotView(**row._mapping) if row else None


def shown_skus(session: Session, limit: int) -> list[str]:
    """Products that have pictures to share, the one with the newest first."""
    return list(session.scalars(text("""
        select sku from shot where state = 'approved' group by sku order by max(id) desc limit :limit"""),
        {"limit": limit}))
