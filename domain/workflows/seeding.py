"""Seed promoters: who buys often and well is invited, and at their yes becomes a promoter with a boost for some months.

Nothing is paid for accepting: the boost lifts the commission of goods that others buy and keep.
"""

import calendar
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import text
from sqlalchemy.orm import Session

from domain.audit import service as audit
from domain.audit.rules import Actor
from domain.commissions import service as commissions
from domain.roles import invitations, rulebooks, service
from domain.roles.rulebook import Seed
from domain.roles.rules import later
from domain.roles.service import Cause
from domain.shared.clock import SHANGHAI
from domain.shared.money import BPS
from domain.shared.records import record

# Whom we could not reach, or who wants no offers, is not invited: the one invitation would be lost.
_CANDIDATES = text("""
    select o.buyer_id, count(*) as orders, (sum(o.goods_fen) / count(*))::bigint as average_fen
      from customer_order o
     where o.paid_at > :since and o.paid_at <= :now and o.closed_at is null and o.goods_fen > 0
       and not exists (select from invitation i where i.person_id = o.buyer_id)
     group by o.buyer_id
    having count(*) >= :orders and sum(o.goods_fen) > :average * count(*)
       and exists (select from identity i where i.person_id = o.buyer_id and i.followed_at is not null
                      and i.unfollowed_at is null)
       and not exists (select from consent c where c.person_id = o.buyer_id and not c.given
                          and c.purpose in ('marketing', '*'))
     order by o.buyer_id limit :limit
""")


@record
class Offer:
    """What an invitation promises: ``boost_bps`` on top (2 000 = 20 %) for ``months``; 0 when the plan has none."""

    boost_bps: int
    months: int


@record
class Accepted:
    """``boosted_until`` None: no boost."""

    boost_bps: int
    boosted_until: datetime | None


def invite_due(session: Session, now: datetime, limit: int) -> int:
    """Invite up to ``limit`` people whom the rules name; returns how many. Nobody twice, whoever asks how often."""
    return len(_invite(session, now, limit))


def invite_now(session: Session, actor: Actor, now: datetime, limit: int) -> list[int]:
    """An operator does not wait for the daily hour: the same people by the same rules. Returns who. Audited."""
    invited = _invite(session, now, limit)
    audit.record(session, actor, "role.invite", "invitations", {"invited": len(invited)}, now)
    return invited


def _invite(session: Session, now: datetime, limit: int) -> list[int]:
    book = rulebooks.shelf(session).at(now)
    if book is None or book.seed is None:
        return []
    return invitations.invite(session, due(session, now, limit), book.seed, now)


def due(session: Session, now: datetime, limit: int) -> list[tuple[int, Mapping[str, Any]]]:
    """Whom the rules name and nobody invited yet: (person_id, what speaks for them and what they would be offered)."""
    book = rulebooks.shelf(session).at(now)
    if book is None or book.seed is None:
        return []
    rules, offered = book.seed, offer(session, book.seed, now)
    rows = session.execute(_CANDIDATES, {
        "since": now - timedelta(days=rules.within_days), "now": now, "orders": rules.orders,
        "average": rules.average_above_fen, "limit": limit})
    return [
        (person_id, {"orders": orders, "average_fen": average, "days": rules.within_days, "rulebook": book.version,
                     "boost_bps": offered.boost_bps, "months": offered.months})
        for person_id, orders, average in rows
    ]


def offer(session: Session, rules: Seed, now: datetime) -> Offer:
    """What can be promised honestly: the rules' boost, as far as the live plan lets boosts count."""
    allowed = commissions.live_plan(session, now).boosts.max_bps - BPS
    return Offer(max(0, min(rules.boost_bps, allowed)), rules.boost_months)


def accept(session: Session, person_id: int, words: str, now: datetime) -> Accepted | None:
    """The yes: a promoter from now on, with the boost that was offered. None when nothing waited for an answer."""
    invitation = invitations.waiting(session, person_id, now)
    if invitation is None or not invitations.answer(session, person_id, "accepted", words, now):
        return None
    alive = invitation.person_id
    service.grant(session, alive, "promoter", Cause("invitation", str(alive), invitation.evidence), now, now)
    bps, months = int(invitation.evidence["boost_bps"]), int(invitation.evidence["months"])
    if not bps:
        return Accepted(0, None)
    until = months_later(now, months)
    commissions.grant_boost(session, alive, BPS + bps, now, until, f"seed:{alive}", now)
    return Accepted(bps, until)


def decline(session: Session, person_id: int, words: str, now: datetime) -> bool:
    """The no: never asked again. False when nothing waited for an answer."""
    return invitations.answer(session, person_id, "declined", words, now)


def months_later(moment: datetime, months: int) -> datetime:
    """The same local time of day that many months later; the last day of a shorter month."""
    local = moment.astimezone(SHANGHAI)
    month = later(local.date().replace(day=1), months)
    last = calendar.monthrange(month.year, month.month)[1]
    return local.replace(year=month.year, month=month.month, day=min(local.day, last)).astimezone(moment.tzinfo)
