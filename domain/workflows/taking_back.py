"""What was given by mistake, taken back: one operator asks, another approves, and the customer is told once.

A red packet that waits for its person's tap is called back first; only what came back is taken. Whoever tapped has it,
and owes it where the two operators said so. Facts for subscribers (queue ``fact``): ``points.taken`` {points, owed},
``gift.taken`` {title, fen, owed, rest}. docs/adr/0067.
"""

from datetime import datetime
from typing import Literal

from sqlalchemy import text
from sqlalchemy.orm import Session

from domain.audit import approvals
from domain.audit import service as audit
from domain.audit.approvals import Approval
from domain.audit.rules import SYSTEM, Actor
from domain.ledger import queries as wallets
from domain.ledger import service as ledger
from domain.payouts import recalling
from domain.people.queries import survivors
from domain.points import taking
from domain.rewards import cash, unlocking
from domain.shared.errors import Conflict, DomainError
from domain.shared.outbox import Effect, put
from domain.workflows import gifts, programme
from domain.workflows.gifts import Gift

POINTS, GIFT = "points.take_back", "gift.take_back"

End = Literal["", "taken", "returned", "received", "spent"]
"""What came of taking a gift back: '' it is still being called back; else taken, or why it was left."""

_BEGIN = text("insert into gift_taking (approval_id, journal_id, fen, owe, at)"
              " values (:approval, :gift, :fen, :owe, :now)")
_CALLING = text("select journal_id, owe from gift_taking where approval_id = :id and state = 'calling' for update")
_WAITING = text("""
    select t.approval_id, t.journal_id from gift_taking t
     where t.state = 'calling' and exists (
           select from posting p join account a on a.id = p.credit join person m on m.id = a.owner_id
            where p.journal_id = t.journal_id and coalesce(m.merged_into, m.id) = :person) order by t.approval_id""")
_END = text("update gift_taking set state = case when :end = 'taken' then 'taken' else 'left' end,"
            " why = case when :end = 'taken' then '' else :end end, owed_fen = :owed, ended_at = :now"
            " where approval_id = :id")
_REST = text("""
    select g.gift from withdrawal w join outbox o on o.key = w.cause
     cross join lateral jsonb_array_elements(o.payload -> 'gifts') with ordinality g (gift, n)
      join journal j on j.idem in (g.gift ->> 1, replace(g.gift ->> 1, '\\:released', '\\:earned'))
                    and j.kind in ('reward.given', 'reward.earned')
      left join reward r on j.source_type = 'reward' and r.id = j.source_id
     where w.id = :id and coalesce(r.state, 'final') = 'final'
       and not exists (select from gift_taking t where t.journal_id = j.id and t.state <> 'left') order by g.n""")
_TRIES = 5


def ask_points(
    session: Session, lot_id: int, points: int | None, reason: str, actor: Actor, now: datetime
) -> Approval:
    """Ask for ``points`` of a lot (None: all that can be) to be taken back.

    Raises NotFound("points_lot_unknown"), Conflict("points_nothing_left"), DomainError("points_too_many"), and what
    ``approvals.ask`` raises.
    """
    lot = taking.lot(session, lot_id)
    if lot.takeable <= 0:
        raise Conflict("points_nothing_left", id=lot_id)
    wanted = lot.takeable if points is None else points
    if not 0 < wanted <= lot.takeable:
        raise DomainError("points_too_many", id=lot_id, most=lot.takeable)
    payload = {"lot_id": lot_id, "person_id": lot.person_id, "cause": lot.cause, "points": wanted,
               "target": lot.back + wanted}
    return approvals.ask(session, POINTS, f"point_lot:{lot_id}", payload, reason, actor, now)


def points_taken(session: Session, approval: Approval, actor: Actor, now: datetime) -> None:
    """What an approval of POINTS does. Raises Conflict("points_nothing_left") when returns took it meanwhile."""
    lot_id = int(approval.payload["lot_id"])
    done = taking.take(session, lot_id, int(approval.payload["target"]), approval.id, now)
    if not done.points:
        raise Conflict("points_nothing_left", id=lot_id)
    person_id = taking.lot(session, lot_id).person_id
    told = {"points": done.points, "owed": done.owed}
    audit.record(session, actor, POINTS, f"point_lot:{lot_id}", told | {
        "person_id": person_id, "cause": approval.payload["cause"], "asked_by": approval.asked_by}, now)
    alive = survivors(session, [person_id]).get(person_id, person_id)
    put(session, [Effect("fact", "points.taken", f"points.taken:{approval.id}", alive, told)], now)


def ask_gift(session: Session, gift_id: int, owe: bool, reason: str, actor: Actor, now: datetime) -> Approval:
    """Ask for a red packet to be taken back. ``owe``: what its person received or spent already becomes a debt that
    later income repays; without it, such a gift is left to them.

    Raises NotFound("gift_unknown"), Conflict("gift_taken" | "gift_returned"), DomainError("gift_received"), and what
    ``approvals.ask`` raises.
    """
    gift = gifts.one(session, gift_id)
    _refuse(gift, owe)
    payload = {"gift_id": gift.id, "person_id": gift.person_id, "title": gift.title, "fen": gift.fen, "owe": owe}
    return approvals.ask(session, GIFT, f"gift:{gift.id}", payload, reason, actor, now)


def gift_taken(session: Session, approval: Approval, actor: Actor, now: datetime) -> None:
    """What an approval of GIFT does: the gift is taken, or called back to be taken. Raises Conflict("gift_taken" |
    "gift_returned") or DomainError("gift_received" | "gift_spent") when there is nothing to take any more."""
    gift, owe = gifts.one(session, int(approval.payload["gift_id"])), bool(approval.payload["owe"])
    _refuse(gift, owe)
    session.execute(_BEGIN, {"approval": approval.id, "gift": gift.id, "fen": gift.fen, "owe": owe, "now": now})
    end = _go(session, approval.id, actor, now)
    if end not in ("", "taken"):
        raise DomainError(f"gift_{end}", id=gift.id)
    audit.record(session, actor, GIFT, f"gift:{gift.id}", {
        "person_id": gift.person_id, "fen": gift.fen, "owe": owe, "asked_by": approval.asked_by,
        "calling": end == ""}, now)


def _refuse(gift: Gift, owe: bool) -> None:
    if gift.taking:
        raise Conflict("gift_taken", id=gift.id)
    if gift.place == "returned":
        raise Conflict("gift_returned", id=gift.id)
    if gift.place == "received" and not owe:
        raise DomainError("gift_received", id=gift.id)


def go_on(session: Session, person_id: int, now: datetime) -> None:
    """News of somebody's packets: what was called back for the sake of a gift is taken, or left to them."""
    for row in session.execute(_WAITING, {"person": person_id}).all():
        end = _go(session, row.approval_id, SYSTEM, now)
        if end:
            audit.record(session, SYSTEM, f"{GIFT}.end", f"gift:{row.journal_id}", {"end": end}, now)


def was_for(session: Session, withdrawal_id: int) -> bool:
    """Whether a packet was called back for a gift that is taken now: its person hears of that, and of nothing else."""
    return bool(session.scalar(text("""
        select exists (select from withdrawal w join outbox o on o.key = w.cause
                        cross join lateral jsonb_array_elements(o.payload -> 'gifts') g
                         join journal j on j.idem in (g ->> 1, replace(g ->> 1, '\\:released', '\\:earned'))
                         join gift_taking t on t.journal_id = j.id and t.state = 'taken'
                        where w.id = :id and w.reason = :reason)"""),
        {"id": withdrawal_id, "reason": recalling.TAKEN_BACK}))


def send_rest(session: Session, withdrawal_id: int, person_id: int, now: datetime) -> None:
    """What of a packet that was called back for another gift is its person's still, goes on its way again, once."""
    gifts_left = session.scalars(_REST, {"id": withdrawal_id}).all()
    if gifts_left:
        put(session, [Effect("fact", "packet.send", f"packet.rest:{withdrawal_id}", person_id,
                             {"gifts": gifts_left})], now)


class _MeanwhileError(Exception):
    """Something was sent or spent between reading and holding the balances."""


def _go(session: Session, approval_id: int, actor: Actor, now: datetime) -> End:
    row = session.execute(_CALLING, {"id": approval_id}).one_or_none()
    if row is None:  # somebody else was quicker
        return ""
    for _ in range(_TRIES):
        try:
            with session.begin_nested():
                end, owed = _once(session, row.journal_id, row.owe, now)
        except _MeanwhileError:
            continue
        if end:
            session.execute(_END, {"id": approval_id, "end": end, "owed": owed, "now": now})
        return end
    raise Conflict("gift_busy", id=row.journal_id)


def _once(session: Session, gift_id: int, owe: bool, now: datetime) -> tuple[End, int]:
    """(what came of it, what its person owes in fen). Counts, packets, bills, balances: in the order in which everybody
    locks them."""
    gift = gifts.one(session, gift_id)
    reward = unlocking.held(session, gift.reward_id) if gift.reward_id else None
    gift = _called_back(session, gifts.one(session, gift_id), now)
    if gift.place == "sent":
        return "", 0
    if gift.place == "returned" or (gift.place == "received" and not owe):
        return gift.place, 0
    if gift.place == "wallet" and _sent_again(session, gift, now):
        return "", 0
    here = gift.place == "waiting" or _here(session, gift)
    if not (here or owe or gift.called_back):
        return "spent", 0
    if reward is not None:
        owed = programme.strike(session, reward, gift.id, now)
    else:
        owed = cash.take_back(session, gift.person_id, gift.id, gift.source_id, gift.title, gift.fen, now)
    put(session, [Effect("fact", "gift.taken", f"gift.taken:{gift.id}", gift.person_id,
                         {"title": gift.title, "fen": gift.fen, "owed": owed, "rest": _rest(session, gift)})], now)
    return "taken", owed


def _rest(session: Session, gift: Gift) -> int:
    """What of a packet that was called back is its person's still, in fen."""
    return sum(one.fen for one in gifts.of(session, gift.person_id) if gift.called_back
               and one.packet_id == gift.packet_id and one.id != gift.id and one.state == "wallet")


def _called_back(session: Session, gift: Gift, now: datetime) -> Gift:
    """What has not left ends at once; what WeChat has, the jobs ask it for."""
    if gift.place != "sent" or gift.packet_id is None:
        return gift
    recalling.of_gift(session, gift.packet_id, now)
    return gifts.one(session, gift.id)


def _sent_again(session: Session, gift: Gift, now: datetime) -> bool:
    """Whether money that may be this gift is on its way again, because its person asked for it; called back then."""
    if wallets.wallet(session, gift.person_id).available_fen >= gift.fen:
        return False
    for packet_id in gifts.sent_again(session, gift):
        recalling.of_gift(session, packet_id, now)
    return bool(gifts.sent_again(session, gift))


def _here(session: Session, gift: Gift) -> bool:
    """Whether the wallet holds what is to be taken; nothing is sent from it until the transaction ends."""
    purse = ledger.lock(session, [gift.person_id]).get(gift.person_id)
    here = purse is not None and purse.available >= gift.fen
    if gifts.one(session, gift.id) != gift or (not here and gifts.sent_again(session, gift)):
        raise _MeanwhileError
    return here
