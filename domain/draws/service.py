"""Draws: published, promised day by day, drawn, shown to be fair. Never commits; what a prize means in points, money
and coupons is domain/workflows/drawing.py.

Who draws is locked first (points.service.hold), then the entrant's row, then the prize's.
"""

from datetime import date, datetime

import msgspec
from sqlalchemy import insert, text
from sqlalchemy.orm import Session

from domain.audit import service as audit
from domain.audit.rules import Actor
from domain.draws import queries
from domain.draws.models import DrawPrize
from domain.draws.queries import CampaignView, DrawView
from domain.draws.rules import Campaign, Campaigns, Seeds, commitment, roll, won
from domain.people.queries import survivors
from domain.shared.clock import business_date
from domain.shared.errors import DomainError, NotFound
from domain.shared.ids import short_code
from domain.shared.outbox import WAITED_FOR, Effect, put

AHEAD_DAYS = 7
"""So many days' promises are out at any time."""
CODE_LENGTH = 8

_PUBLISH = text("""
    insert into draw_campaign (key, title, document, digest, opens_at, closes_at, points, daily_free, daily_most,
                               total_most, published_at)
    select :key, :title, cast(:document as jsonb), :digest, :opens, :closes, :points, :daily_free, :daily_most,
           :total_most, :now
     where not exists (select from draw_campaign c where c.stopped_at is null and c.key <> :key
                          and tstzrange(c.opens_at, c.closes_at) && tstzrange(:opens, :closes))
        on conflict (key) do nothing returning id""")
_PROMISE = text("""
    insert into draw_seed (campaign_id, day, commitment, published_at)
    select * from unnest(cast(:campaigns as bigint[]), cast(:days as date[]), cast(:commitments as text[])) as s
     cross join (values (cast(:now as timestamptz))) as n
        on conflict do nothing returning day""")
_OPEN_DAYS = text("""
    select c.id, c.key, d::date as day from draw_campaign c
     cross join generate_series(
         greatest(cast(:today as date), (c.opens_at at time zone 'Asia/Shanghai')::date),
         least(cast(:today as date) + cast(:ahead as int), (c.closes_at at time zone 'Asia/Shanghai')::date),
         interval '1 day') as d
     where c.stopped_at is null and c.closes_at > :now
       and not exists (select from draw_seed s where s.campaign_id = c.id and s.day = d::date)
     order by c.id, d""")
_SECRET = text("""
    select s.campaign_id, c.key, s.day, s.commitment from draw_seed s join draw_campaign c on c.id = s.campaign_id
     where s.revealed_at is null and s.day < :today order by s.campaign_id, s.day for update of s skip locked""")
_REVEAL = text("update draw_seed set seed = :seed, revealed_at = :now where campaign_id = :campaign and day = :day")
_ENTER = text("""
    insert into draw_entrant (campaign_id, person_id, code) values (:campaign, :person, :code)
        on conflict (campaign_id, person_id) do nothing""")
_NUMBER = text("""
    update draw_entrant set drawn = drawn + 1 where campaign_id = :campaign and person_id = :person
    returning code, drawn""")
_TAKE = text("""
    update draw_prize set given = given + 1
     where campaign_id = :campaign and n = :n and (stock is null or given < stock) returning n""")
_TICKET = text("""
    update draw_ticket set used_at = :now where id = (
        select id from draw_ticket where person_id = :person and campaign_id = :campaign and used_at is null
         order by id limit 1 for update) returning id""")
_KEEP = text("""
    insert into draw (campaign_id, person_id, code, number, day, key, paid_by, points, ticket_id, roll, prize_n, state,
                      at)
    values (:campaign, :person, :code, :number, :day, :key, :paid_by, :points, :ticket, :roll, :prize, :state, :now)
    returning id""")


def publish(session: Session, found: Campaigns, seeds: Seeds, now: datetime) -> list[str]:
    """Publish campaigns that are new, and promise their first days. What is published stays as it is: returns the keys
    of those that say something else by now, or would overlap."""
    known = {one.key: one.digest for one in queries.campaigns(session, now)}
    differing = []
    for one in found.campaign:
        kept = known[one.key] == one.digest if one.key in known else _publish(session, one, now)
        if not kept:
            differing.append(one.key)
    promise(session, seeds, now)
    return differing


def _publish(session: Session, one: Campaign, now: datetime) -> bool:
    row = session.execute(_PUBLISH, {
        "key": one.key, "title": one.title, "document": msgspec.json.encode(one).decode(), "digest": one.digest,
        "opens": one.opens, "closes": one.closes, "points": one.points, "daily_free": one.daily_free,
        "daily_most": one.daily_most, "total_most": one.total_most, "now": now}).first()
    if row is None:
        return False
    session.execute(insert(DrawPrize), [
        {"campaign_id": row.id, "n": n, "key": prize.key, "title": prize.title, "kind": prize.kind,
         "detail": prize.offer, "amount": prize.amount, "worth_fen": prize.worth, "odds_bps": prize.odds_bps,
         "stock": prize.stock} for n, prize in enumerate(one.prize, 1)])
    return True


def promise(session: Session, seeds: Seeds, now: datetime) -> int:
    """Publish the promises of today and the coming days, as far as they are missing; how many."""
    rows = session.execute(_OPEN_DAYS, {"today": business_date(now), "ahead": AHEAD_DAYS, "now": now}).all()
    if not rows:
        return 0
    return len(session.execute(_PROMISE, {
        "campaigns": [row.id for row in rows], "days": [row.day for row in rows],
        "commitments": [commitment(seeds.of(row.key, row.day)) for row in rows], "now": now}).all())


def reveal(session: Session, seeds: Seeds, now: datetime) -> list[str]:
    """Show the seeds of days that are over. Returns what cannot be shown: the secret is not the one that promised."""
    lost = []
    for row in session.execute(_SECRET, {"today": business_date(now)}).all():
        seed = seeds.of(row.key, row.day)
        if commitment(seed) == row.commitment:
            session.execute(_REVEAL, {"campaign": row.campaign_id, "day": row.day, "seed": seed.hex(), "now": now})
        else:
            lost.append(f"{row.key} {row.day}")
    return lost


def give_ticket(session: Session, person_id: int, campaign_key: str, cause: str, now: datetime) -> bool:
    """A free draw for the fact ``cause``, once ever; False when it gave one before.

    Raises NotFound("draw_unknown") for a campaign that is not open or coming.
    """
    found = next((one for one in queries.campaigns(session, now, campaign_key)), None)
    if found is None or found.state not in ("open", "coming"):
        raise NotFound("draw_unknown", key=campaign_key)
    row = session.execute(text("""
        insert into draw_ticket (campaign_id, person_id, cause, given_at) values (:campaign, :person, :cause, :now)
            on conflict (cause) do nothing returning id"""),
        {"campaign": found.id, "person": person_id, "cause": cause, "now": now}).first()
    return row is not None


def take_tickets(session: Session, prefix: str) -> bool:
    """Take back the free draws whose causes begin so, if none of them was used; whether that happened."""
    rows = session.execute(text("select id, used_at from draw_ticket where starts_with(cause, :prefix) for update"),
                           {"prefix": prefix}).all()
    if not rows or any(row.used_at for row in rows):
        return False
    session.execute(text("delete from draw_ticket where id = any(:ids)"), {"ids": [row.id for row in rows]})
    return True


def known(session: Session, key: str) -> DrawView | None:
    """The draw that the request ``key`` made, if it made one."""
    found = session.execute(text("select id from draw where key = :key"), {"key": key}).scalar()
    return queries.draw(session, found) if found is not None else None


def draw(
    session: Session, campaign: CampaignView, person_id: int, points_left: int, key: str, seeds: Seeds, now: datetime
) -> DrawView:
    """One draw, for somebody whose points are held: ``points_left`` can be spent. Stock and ticket are taken; points
    and the prize itself are the caller's.

    Raises DomainError: draw_today, draw_ever (limits), draw_points (too few), draw_free_only, draw_not_ready (the day's
    promise is not out).
    """
    session.execute(_ENTER, {"campaign": campaign.id, "person": person_id, "code": short_code(CODE_LENGTH)})
    entrant = session.execute(_NUMBER, {"campaign": campaign.id, "person": person_id}).one()
    paid_by = _payment(session, campaign, person_id, points_left, now)
    day = business_date(now)
    seed = _seed(session, campaign, seeds, day, now)
    rolled = roll(seed, campaign.key, entrant.code, entrant.drawn)
    n = won(campaign.prizes, rolled)
    state = "nothing"
    if n is not None:
        taken = session.execute(_TAKE, {"campaign": campaign.id, "n": n}).first()
        state = "won" if taken else "sold_out"
    ticket = None
    if state == "sold_out":
        paid_by = "none"
    elif paid_by == "ticket":
        ticket = session.execute(_TICKET, {"person": person_id, "campaign": campaign.id, "now": now}).scalar_one()
    made = session.execute(_KEEP, {
        "campaign": campaign.id, "person": person_id, "code": entrant.code, "number": entrant.drawn, "day": day,
        "key": key, "paid_by": paid_by, "points": campaign.points if paid_by == "points" else 0, "ticket": ticket,
        "roll": rolled, "prize": n, "state": state, "now": now}).scalar_one()
    return queries.draw(session, made)


def _payment(session: Session, campaign: CampaignView, person_id: int, points_left: int, now: datetime) -> str:
    allowed = queries.allowance(session, campaign, person_id, now)
    if allowed.left_today <= 0:
        raise DomainError("draw_today", most=campaign.daily_most)
    if allowed.left <= 0:
        raise DomainError("draw_ever", most=campaign.total_most)
    paid_by = allowed.payment(campaign.points)
    if paid_by is None:
        raise DomainError("draw_free_only")
    if paid_by == "points" and points_left < campaign.points:
        raise DomainError("draw_points", have=points_left, wanted=campaign.points)
    return paid_by


def _seed(session: Session, campaign: CampaignView, seeds: Seeds, day: date, now: datetime) -> bytes:
    """The day's seed, if it is the one that was promised before."""
    promised = session.execute(text("select commitment from draw_seed where campaign_id = :campaign and day = :day"
                                    " and published_at <= :now and revealed_at is null"),
                               {"campaign": campaign.id, "day": day, "now": now}).scalar()
    seed = seeds.of(campaign.key, day)
    if promised is None or promised != commitment(seed):
        raise DomainError("draw_not_ready")
    return seed


def stop(session: Session, key: str, reason: str, actor: Actor, now: datetime) -> None:
    """End a campaign before its time. Raises NotFound("draw_unknown"), DomainError("reason_missing" | "draw_over")."""
    if not reason.strip():
        raise DomainError("reason_missing")
    found = next(iter(queries.campaigns(session, now, key)), None)
    if found is None:
        raise NotFound("draw_unknown", key=key)
    if found.state in ("over", "stopped"):
        raise DomainError("draw_over", key=key)
    session.execute(text("update draw_campaign set stopped_at = :now, stop_reason = :reason"
                         " where id = :id and stopped_at is null"),
                    {"id": found.id, "now": now, "reason": reason.strip()[:500]})
    audit.record(session, actor, "draw.stop", f"draw:{key}", {"reason": reason}, now)


def verify(session: Session, campaign: CampaignView, now: datetime) -> tuple[int, list[str]]:
    """Reckon every draw of the days whose seed is shown again, from what is published alone; (how many, what is wrong).
    """
    count, faults = 0, []
    for one in queries.promises(session, campaign.id, now, limit=4_000):
        if not one.seed:
            continue
        seed = bytes.fromhex(one.seed)
        if commitment(seed) != one.commitment:
            faults.append(f"{one.day}: the seed is not what was promised")
        for made in queries.draws_on(session, campaign.id, one.day):
            count += 1
            rolled = roll(seed, campaign.key, made.code, made.number)
            if (rolled, won(campaign.prizes, rolled)) != (made.roll, made.prize_n):
                faults.append(f"{one.day}: draw {made.code}/{made.number} says {made.roll}, it must be {rolled}")
            if one.published_at > made.at:
                faults.append(f"{one.day}: draw {made.code}/{made.number} came before the promise")
    return count, faults + _gaps(session, campaign)


def _gaps(session: Session, campaign: CampaignView) -> list[str]:
    """Numbers that are missing (a draw that was made to disappear), and prizes that were not counted."""
    rows = session.execute(text("""
        select format('entrant %s: %s draws, the last has number %s', code, count(*), max(number)) from draw
         where campaign_id = :campaign group by code having count(*) <> max(number)
        union all
        select format('prize %s: %s given, %s won', p.key, p.given, count(d.*)) from draw_prize p
          left join draw d on d.campaign_id = p.campaign_id and d.prize_n = p.n and d.state = 'won'
         where p.campaign_id = :campaign group by p.key, p.given having p.given <> count(d.*)"""),
        {"campaign": campaign.id})
    return list(rows.scalars())


def forfeit(session: Session, person_id: int, now: datetime) -> int:
    """Unused tickets of somebody are void; how many."""
    return len(session.execute(text("update draw_ticket set used_at = greatest(:now, given_at)"
                                    " where person_id = :person and used_at is null returning id"),
                               {"person": person_id, "now": now}).all())


def move(session: Session, kept_id: int, gone_id: int, now: datetime) -> dict[str, int]:
    """A merge's part: draws and tickets follow; codes stay with their draws, so every proof still holds."""
    ends = {"kept": kept_id, "gone": gone_id}
    session.execute(text("""
        delete from draw_entrant g using draw_entrant k
         where g.person_id = :gone and k.person_id = :kept and k.campaign_id = g.campaign_id"""), ends)
    session.execute(text("update draw_entrant set person_id = :kept where person_id = :gone"), ends)
    session.execute(text("update draw_ticket set person_id = :kept where person_id = :gone"), ends)
    moved = session.execute(text("update draw set person_id = :kept where person_id = :gone returning id"), ends).all()
    return {"draw": len(moved)} if moved else {}


def living(session: Session, person_id: int) -> int:
    """Raises NotFound("person_unknown")."""
    alive = survivors(session, [person_id]).get(person_id)
    if alive is None:
        raise NotFound("person_unknown", id=person_id)
    return alive


def order_picture(session: Session, made: DrawView, account: str, now: datetime) -> bool:
    """Put the drawing of a won draw into the outbox for whoever waits for it, once for the draw; whether that is new.
    """
    effect = Effect("slow", "draw.picture", f"draw.picture:{made.id}", made.person_id,
                    {"draw": made.id, "account": account, "purpose": "answer"}, expires_at=now + WAITED_FOR)
    return put(session, [effect], now) == 1
