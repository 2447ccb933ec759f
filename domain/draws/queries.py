"""Draws as people, operators and whoever checks them see them."""

from collections.abc import Sequence
from datetime import date, datetime

from sqlalchemy import text
from sqlalchemy.orm import Session

from domain.draws.rules import Allowance, Campaigns
from domain.shared.clock import business_date
from domain.shared.records import record

BPS = 10_000


@record
class PrizeView:
    """A prize on the line 0 … 9999: ``first`` to ``last`` win it. ``left`` None: as many as are drawn."""

    n: int
    key: str
    title: str
    kind: str
    detail: str
    amount: int
    worth_fen: int
    odds_bps: int
    stock: int | None
    given: int
    first: int = 0

    @property
    def last(self) -> int:
        return self.first + self.odds_bps - 1

    @property
    def left(self) -> int | None:
        return None if self.stock is None else self.stock - self.given


@record
class CampaignView:
    """A campaign as published. ``state``: coming, open, over, stopped."""

    id: int
    key: str
    title: str
    digest: str
    opens_at: datetime
    closes_at: datetime
    points: int
    daily_free: int
    daily_most: int
    total_most: int
    published_at: datetime
    stopped_at: datetime | None
    stop_reason: str
    state: str
    prizes: tuple[PrizeView, ...]

    @property
    def nothing_bps(self) -> int:
        return BPS - sum(prize.odds_bps for prize in self.prizes)


@record
class Promise:
    """A day's promise; ``seed`` is '' until it is shown."""

    day: date
    commitment: str
    published_at: datetime
    seed: str
    draws: int = 0


@record
class DrawView:
    """One draw. ``prize`` '' for nothing. ``code`` and ``number`` are what its roll hangs on."""

    id: int
    person_id: int
    code: str
    number: int
    day: date
    paid_by: str
    points: int
    roll: int
    prize_n: int | None
    prize: str
    kind: str
    worth_fen: int
    state: str
    at: datetime


_CAMPAIGNS = text("""
    select c.id, c.key, c.title, c.digest, c.opens_at, c.closes_at, c.points, c.daily_free, c.daily_most, c.total_most,
           c.published_at, c.stopped_at, c.stop_reason,
           case when c.stopped_at is not null then 'stopped' when c.closes_at <= :now then 'over'
                when c.opens_at > :now then 'coming' else 'open' end as state
      from draw_campaign c
     where (cast(:key as text) is null or c.key = :key) order by c.opens_at desc, c.id desc""")
_PRIZES = text("""
    select campaign_id, n, key, title, kind, detail, amount, worth_fen, odds_bps, stock, given
      from draw_prize where campaign_id = any(:ids) order by campaign_id, n""")
_ALLOWED = text("""
    select count(d.*) filter (where d.day = :today and d.state <> 'sold_out') as today,
           count(d.*) filter (where d.state <> 'sold_out') as ever,
           count(d.*) filter (where d.day = :today and d.paid_by = 'free') as free,
           (select count(*) from draw_ticket t where t.person_id = :person and t.campaign_id = :campaign
               and t.used_at is null) as tickets
      from draw d where d.person_id = :person and d.campaign_id = :campaign""")
_DRAWS = """
    select d.id, d.person_id, d.code, d.number, d.day, d.paid_by, d.points, d.roll, d.prize_n,
           coalesce(p.title, '') as prize, coalesce(p.kind, '') as kind, coalesce(p.worth_fen, 0) as worth_fen,
           d.state, d.at
      from draw d left join draw_prize p on p.campaign_id = d.campaign_id and p.n = d.prize_n"""
_MINE = text(f"{_DRAWS} where d.person_id = :person and d.campaign_id = :campaign order by d.id desc limit :limit")
_DAY = text(f"{_DRAWS} where d.campaign_id = :campaign and d.day = :day order by d.id")
_WINS = text(f"{_DRAWS} where d.campaign_id = :campaign and d.state = 'won'"
             " and (not cast(:worthy as boolean) or p.worth_fen > 0) order by d.id desc limit :limit")
_ONE = text(f"{_DRAWS} where d.id = :id")
_PROMISES = text("""
    select s.day, s.commitment, s.published_at, s.seed,
           (select count(*) from draw d where d.campaign_id = s.campaign_id and d.day = s.day) as draws
      from draw_seed s where s.campaign_id = :campaign and s.day <= :until order by s.day desc limit :limit""")


def campaigns(session: Session, now: datetime, key: str | None = None) -> list[CampaignView]:
    """All campaigns, or the one of a key; the latest first."""
    rows = session.execute(_CAMPAIGNS, {"now": now, "key": key}).all()
    prizes: dict[int, list[PrizeView]] = {row.id: [] for row in rows}
    for row in session.execute(_PRIZES, {"ids": list(prizes)}):
        mine = prizes[row.campaign_id]
        facts = {name: value for name, value in row._mapping.items() if name != "campaign_id"}
        mine.append(PrizeView(**facts, first=mine[-1].last + 1 if mine else 0))
    return [CampaignView(**row._mapping, prizes=tuple(prizes[row.id])) for row in rows]


def differs(found: CampaignView, campaigns: Campaigns) -> bool:
    """Whether the file says something else by now than what was published: that would need a new key."""
    return any(one.key == found.key and one.digest != found.digest for one in campaigns.campaign)


def current(session: Session, now: datetime) -> CampaignView | None:
    """The campaign that is open now; they never overlap."""
    return next((one for one in campaigns(session, now) if one.state == "open"), None)


def allowance(session: Session, campaign: CampaignView, person_id: int, now: datetime) -> Allowance:
    """What somebody may still do today."""
    row = session.execute(_ALLOWED, {"person": person_id, "campaign": campaign.id, "today": business_date(now)}).one()
    return Allowance(campaign.daily_most - row.today, campaign.total_most - row.ever,
                     max(0, campaign.daily_free - row.free), row.tickets)


def draws_of(session: Session, campaign_id: int, person_id: int, limit: int = 20) -> list[DrawView]:
    """Somebody's draws, the newest first."""
    return _views(session.execute(_MINE, {"campaign": campaign_id, "person": person_id, "limit": limit}).all())


def draws_on(session: Session, campaign_id: int, day: date) -> list[DrawView]:
    """Every draw of a day, in order."""
    return _views(session.execute(_DAY, {"campaign": campaign_id, "day": day}).all())


def wins(session: Session, campaign_id: int, *, worthy: bool = False, limit: int = 100) -> list[DrawView]:
    """Won prizes, the newest first; ``worthy``: only goods and money."""
    return _views(session.execute(_WINS, {"campaign": campaign_id, "worthy": worthy, "limit": limit}).all())


def draw(session: Session, draw_id: int) -> DrawView:
    """One draw."""
    return _views([session.execute(_ONE, {"id": draw_id}).one()])[0]


def promises(session: Session, campaign_id: int, now: datetime, limit: int = 14) -> list[Promise]:
    """Promises up to today, the newest first."""
    rows = session.execute(_PROMISES, {"campaign": campaign_id, "until": business_date(now), "limit": limit})
    return [Promise(**row._mapping) for row in rows]


def code_of(session: Session, campaign_id: int, person_id: int) -> str:
    """Under which code somebody takes part; '' while they never drew."""
    found: str | None = session.execute(text(
        "select code from draw_entrant where campaign_id = :campaign and person_id = :person"),
        {"campaign": campaign_id, "person": person_id}).scalar()
    return found or ""


def _views(rows: Sequence[object]) -> list[DrawView]:
    return [DrawView(**row._mapping) for row in rows]  # type: ignore[attr-defined]
