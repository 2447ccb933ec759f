"""Paid membership: cards follow the orders that paid for them, whatever the order of facts. Never commits.

Facts for subscribers (queue ``fact``), which journeys hear too: ``membership.set`` when somebody's membership has a new
end in the future {card, title, until, renewal}; ``membership.ended`` when it was taken {card, title, why}.
"""

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import insert, text
from sqlalchemy.orm import Session

from domain.audit import service as audit
from domain.audit.rules import Actor
from domain.memberships.models import MemberCard
from domain.memberships.rules import MOST_DAYS, Card, Cards, Piece, Span, kept, lay
from domain.people.queries import survivors
from domain.shared.errors import DomainError, NotFound
from domain.shared.ids import short_code
from domain.shared.outbox import WAITED_FOR, Effect, put, withdraw

_LOCK = text("""
    select pg_advisory_xact_lock(hashtextextended('membership:' || b.id, 0))
      from (select distinct i as id from unnest(cast(:ids as bigint[])) as i order by 1) b""")
_STORED = text("select id, person_id, cause, order_id, card, title, days, kept_days, bought_at, starts_at, ends_at,"
               " cut_at, turn from member_card where person_id = any(:ids) order by id")
_BOUGHT = text("""
    select o.buyer_id as person_id, o.id as order_id, l.n, l.sku, l.quantity, l.paid_fen, l.refunded_fen, o.paid_at,
           o.closed_at is not null as closed
      from customer_order o join order_line l on l.order_id = o.id
     where o.buyer_id = any(:ids) and (l.sku = any(:skus) or o.id = any(:orders))
     order by o.id, l.n""")
_WRITE = text("""
    update member_card c set kept_days = d.kept_days, starts_at = d.starts_at, ends_at = d.ends_at, turn = c.turn + 1
      from unnest(cast(:ids as bigint[]), cast(:kept as bigint[]), cast(:starts as timestamptz[]),
                  cast(:ends as timestamptz[])) as d (id, kept_days, starts_at, ends_at)
     where c.id = d.id returning c.id, c.turn""")
_CUT = text("update member_card set cut_at = :now, reason = :reason, actor = :actor"
            " where person_id = :person and ends_at > :now and cut_at is null returning id")


@dataclass(slots=True)
class Held:
    """A stored card while it is counted."""

    id: int
    person_id: int
    cause: str
    order_id: int | None
    card: str
    title: str
    days: int
    kept_days: int
    bought_at: datetime
    starts_at: datetime
    ends_at: datetime
    cut_at: datetime | None
    turn: int

    @property
    def piece(self) -> Piece:
        place = self.cause.split(":")
        order = (self.order_id or 0, int(place[2]) if self.order_id else self.id)
        return Piece(self.cause, self.bought_at, order, self.kept_days, self.cut_at)


def recount(session: Session, person_ids: Collection[int], cards: Cards, now: datetime) -> int:
    """Bring the cards of these people in line with their orders; how many people's membership has another end.

    Locks them until the transaction ends.
    """
    ids = sorted(set(person_ids))
    if not ids:
        return 0
    session.execute(_LOCK, {"ids": ids})
    held = _held(session, ids)
    paid = [one.order_id for mine in held.values() for one in mine if one.order_id]
    lines = session.execute(_BOUGHT, {"ids": ids, "skus": cards.skus, "orders": paid}).all()
    before = {person: _end(mine) for person, mine in held.items()}
    known = {one.cause: one for mine in held.values() for one in mine}
    fresh, kept_days = [], {}
    for line in lines:
        cause = f"order:{line.order_id}:{line.n}"
        if one := known.get(cause):
            kept_days[one.id] = kept(one.days, line.paid_fen, line.refunded_fen, closed=line.closed)
        elif card := cards.sold_as(line.sku):
            fresh.append(_row(card, line, cause))
    if not known and not fresh:
        return 0
    return _settle(session, ids, before, fresh, kept_days, now, "refunded")


def _row(card: Card, line: Any, cause: str) -> dict[str, Any]:
    days = min(card.days * line.quantity, MOST_DAYS)
    return {
        "person_id": line.person_id, "cause": cause, "order_id": line.order_id, "days": days,
        "kept_days": kept(days, line.paid_fen, line.refunded_fen, closed=line.closed), "bought_at": line.paid_at,
        **_terms(card)}


def _terms(card: Card) -> dict[str, Any]:
    return {"card": card.key, "tier": card.tier, "title": card.title, "benefits": list(card.benefits)}


def _settle(
    session: Session, ids: Sequence[int], before: Mapping[int, datetime | None], fresh: Sequence[Mapping[str, Any]],
    kept_days: Mapping[int, int], now: datetime, why: str,
) -> int:
    """Write new cards, kept days and new places, and tell whose end has moved."""
    if fresh:
        session.execute(insert(MemberCard), [
            {**row, "starts_at": row["bought_at"], "ends_at": row["bought_at"]} for row in fresh])
    held = _held(session, ids)
    changed: list[tuple[Held, Span]] = []
    for mine in held.values():
        stored = {one.id: one.kept_days for one in mine}
        for one in mine:
            one.kept_days = kept_days.get(one.id, one.kept_days)
        spans = lay([one.piece for one in mine])
        changed += [(one, spans[one.cause]) for one in mine
                    if (one.starts_at, one.ends_at) != (spans[one.cause].starts_at, spans[one.cause].ends_at)
                    or one.kept_days != stored[one.id]]
    _write(session, changed)
    facts = [fact for person, mine in held.items() if (fact := _fact(person, before.get(person), mine, why, now))]
    put(session, facts, now)
    return len(facts)


def _write(session: Session, changed: Sequence[tuple[Held, Span]]) -> None:
    if not changed:
        return
    rows = session.execute(_WRITE, {
        "ids": [one.id for one, _ in changed], "kept": [one.kept_days for one, _ in changed],
        "starts": [span.starts_at for _, span in changed], "ends": [span.ends_at for _, span in changed]})
    turns = {row.id: row.turn for row in rows}
    for one, span in changed:
        one.starts_at, one.ends_at, one.turn = span.starts_at, span.ends_at, turns[one.id]


def _fact(person_id: int, before: datetime | None, mine: Sequence[Held], why: str, now: datetime) -> Effect | None:
    """What came of it for one person: nothing when the end is where it was, or was and is in the past."""
    after = _end(mine)
    was, runs = before is not None and before > now, after is not None and after > now
    if after == before or not (was or runs):
        return None
    last = max(mine, key=lambda one: (one.ends_at > one.starts_at, one.ends_at, one.id))
    key = f"{person_id}:{last.id}:{sum(one.turn for one in mine)}"
    told = {"card": last.card, "title": last.title}
    if not runs or after is None:
        return Effect("fact", "membership.ended", f"membership.ended:{key}", person_id, told | {"why": why})
    renewal = before is not None and after > before
    return Effect("fact", "membership.set", f"membership.set:{key}", person_id, told | {
        "until": after.isoformat(), "renewal": was and renewal, "fewer": was and not renewal})


def _end(mine: Sequence[Held]) -> datetime | None:
    return max((one.ends_at for one in mine if one.ends_at > one.starts_at), default=None)


def _held(session: Session, ids: Collection[int]) -> dict[int, list[Held]]:
    found: dict[int, list[Held]] = defaultdict(list)
    for row in session.execute(_STORED, {"ids": list(ids)}):
        found[row.person_id].append(Held(*row))
    return found


def grant(
    session: Session, person_id: int, card: Card, days: int, reason: str, actor: Actor, now: datetime
) -> datetime:
    """Give a card for ``days``, from now on or after what runs; returns the new end.

    Raises DomainError("reason_missing" | "card_days"), NotFound("person_unknown").
    """
    if not reason.strip():
        raise DomainError("reason_missing")
    if not 1 <= days <= MOST_DAYS:
        raise DomainError("card_days", most=MOST_DAYS)
    alive = _living(session, person_id)
    session.execute(_LOCK, {"ids": [alive]})
    held = _held(session, [alive])
    row = {"person_id": alive, "cause": f"grant:{short_code(12)}", "days": days, "kept_days": days, "bought_at": now,
           "reason": reason.strip()[:500], "actor": actor.name, **_terms(card)}
    _settle(session, [alive], {alive: _end(held.get(alive, []))}, [row], {}, now, "")
    audit.record(session, actor, "membership.grant", f"person:{alive}",
                 {"card": card.key, "days": days, "reason": reason}, now)
    end = _end(_held(session, [alive])[alive])
    assert end is not None
    return end


def revoke(session: Session, person_id: int, reason: str, actor: Actor, now: datetime) -> int:
    """Take away what runs and what comes after it; how many cards that were. Money is not touched.

    Raises DomainError("reason_missing"), NotFound("person_unknown").
    """
    if not reason.strip():
        raise DomainError("reason_missing")
    alive = _living(session, person_id)
    session.execute(_LOCK, {"ids": [alive]})
    before = _end(_held(session, [alive]).get(alive, []))
    cut = session.execute(_CUT, {"person": alive, "now": now, "reason": reason.strip()[:500],
                                 "actor": actor.name}).all()
    _settle(session, [alive], {alive: before}, [], {}, now, "revoked")
    audit.record(session, actor, "membership.revoke", f"person:{alive}", {"cards": len(cut), "reason": reason}, now)
    return len(cut)


def move(session: Session, kept_id: int, gone_id: int, now: datetime) -> dict[str, int]:
    """A merge's part: cards follow, and lie one after the other; whoever had two at once keeps the days of both."""
    session.execute(_LOCK, {"ids": [kept_id, gone_id]})
    moved = session.execute(text("update member_card set person_id = :kept where person_id = :gone returning id"),
                            {"kept": kept_id, "gone": gone_id}).all()
    if not moved:
        return {}
    _settle(session, [kept_id], {kept_id: _end(_held(session, [kept_id])[kept_id])}, [], {}, now, "merged")
    return {"member_card": len(moved)}


def _living(session: Session, person_id: int) -> int:
    alive = survivors(session, [person_id]).get(person_id)
    if alive is None:
        raise NotFound("person_unknown", id=person_id)
    return alive


def order_picture(session: Session, person_id: int, account: str, key: str, now: datetime) -> bool:
    """Put the drawing of the person's card into the outbox for whoever waits for it, once for ``key``, in place of one
    that waits."""
    withdraw(session, "membership.picture", person_id, now)
    effect = Effect("slow", "membership.picture", f"membership.picture:{key}", person_id,
                    {"account": account, "purpose": "answer"}, expires_at=now + WAITED_FOR)
    return put(session, [effect], now) == 1
