"""From a gift in the wallet to WeChat change: whether it may go on, to which account, and what it is called.

Facts for subscribers (queue ``fact``): ``packet.send`` {gifts: [[ladder, journal key]]}, put with the journal of each
gift in money. Whatever speaks against sending leaves the gift in the wallet, where it is nobody else's.
"""

from collections.abc import Callable, Sequence
from datetime import datetime

from sqlalchemy import text
from sqlalchemy.orm import Session

from domain.ledger import service as ledger
from domain.payouts import packets, queries
from domain.payouts.packets import Packet
from domain.payouts.rules import PacketRules
from domain.people import queries as people
from domain.rewards.cash import TAKEN
from domain.shared.errors import DomainError
from domain.shared.records import record
from domain.workflows import withdrawing
from domain.workflows.gifts import standing

Door = tuple[str, str]
"""A merchant account for gifts and the app to whose openids it pays."""
STAYS = {"packet.small": "small", "packet.large": "large", "packet.debt": "debt", "packet.spent": "spent"}

_OF_GIFTS = ("reward.given", "reward.released", "reward.taken_back", TAKEN, "packet.sent",
             "packet.returned")
_CHANGES = text("""
    with mine as (
        select a.id from account a where a.kind = 'available' and a.currency = 'CNY'
           and a.owner_id in (select :person union all select id from person where merged_into = :person))
    select j.id, j.kind = any (:kinds) and coalesce(r.ladder, '') <> all (:stays) as of_gifts,
           sum(case when p.credit in (select id from mine) then p.amount else 0 end)
         - sum(case when p.debit in (select id from mine) then p.amount else 0 end) as fen
      from (select journal_id, n from posting where credit in (select id from mine)
            union select journal_id, n from posting where debit in (select id from mine)) one
      join posting p using (journal_id, n) join journal j on j.id = p.journal_id
      left join reward r on j.source_type = 'reward' and r.id = j.source_id
     group by j.id, r.ladder order by j.id""")


@record
class Kept:
    """What of a wallet is gifts that never reached anybody's change, in fen; ``upto`` is the newest journal seen."""

    fen: int
    upto: int


def kept(session: Session, person_id: int, rules: PacketRules) -> Kept:
    """Gifts in the wallet that a red packet may still carry. Sales money is never one: what is taken out of the wallet
    comes from sales first, what a return takes back of a gift from the gifts.
    Exact while the purse is locked."""
    gifts = balance = upto = 0
    rows = session.execute(_CHANGES, {"person": person_id, "stays": list(rules.stays), "kinds": list(_OF_GIFTS)})
    for row in rows:
        balance += int(row.fen)
        gifts = max(gifts + int(row.fen) * row.of_gifts, 0)
        gifts, upto = min(gifts, balance), row.id
    return Kept(gifts, upto)


def waiting(session: Session, person_id: int, doors: Sequence[Door], rules: PacketRules) -> int:
    """Fen that ``send_again`` could send if nothing speaks against it."""
    return 0 if rules.to == "wallet" or not doors else kept(session, person_id, rules).fen


def pass_on(
    session: Session, person_id: int, cause: str, gifts: Sequence[Sequence[str]], doors: Sequence[Door],
    rules: PacketRules, remark: Callable[[], str], now: datetime,
) -> int | str:
    """Send these gifts, together, to their person's change: the id of the red packet, or why they stay where they
    are."""
    journals = [journal for ladder, journal in gifts if ladder not in rules.stays]
    if rules.to == "wallet" or not journals:
        return "wallet"
    alive = people.survivors(session, [person_id]).get(person_id, person_id)
    door = _open_door(session, alive, doors, now)
    if isinstance(door, str):
        return door
    ledger.lock(session, [alive])
    journals = standing(session, journals)
    if not journals:
        return "taken_back"
    fen = packets.reached(session, journals)
    if not fen:
        return "debt"
    if not packets.has_left(session, cause) and kept(session, alive, rules).fen < fen:
        return "spent"
    return _send(session, Packet(alive, cause, fen, *door, remark()), rules, now)


def send_again(
    session: Session, person_id: int, doors: Sequence[Door], rules: PacketRules, remark: Callable[[], str],
    now: datetime,
) -> tuple[int, str]:
    """Send the gifts that are still in the wallet, because their person asks for them: nobody has to earn a minimum to
    get what was given. Returns how much there is, in fen, and why it stays, '' when it left."""
    if rules.to == "wallet" or not doors:
        return 0, "wallet"
    ledger.lock(session, [person_id])
    found = kept(session, person_id, rules)
    if not found.fen:
        return 0, "none"
    door = _open_door(session, person_id, doors, now)
    if isinstance(door, str):
        return found.fen, door
    # The journal that the sum was read at: asked twice, the second finds the first one's hold after it.
    cause = f"packet.again:{person_id}:{found.upto}"
    made = _send(session, Packet(person_id, cause, found.fen, *door, remark()), rules, now)
    return found.fen, made if isinstance(made, str) else ""


def _open_door(
    session: Session, person_id: int, doors: Sequence[Door], now: datetime
) -> tuple[str, str, str] | str:
    """The merchant account, app and openid to send to, or why nothing may leave."""
    found = next(((account, app_id, openid) for account, app_id in doors
                  if (openid := people.openid_of(session, person_id, app_id))), None)
    if found is None:
        return "no_account"
    if queries.switch(session).stopped_at is not None:
        return "stopped"
    return "under_review" if withdrawing.word_of_caution(session, person_id, now) else found


def _send(session: Session, packet: Packet, rules: PacketRules, now: datetime) -> int | str:
    try:
        with session.begin_nested():
            made = packets.send(session, packet, rules.tax_bps, now)
    except DomainError as refusal:
        if refusal.code not in STAYS:
            raise
        return STAYS[refusal.code]
    return made if made is not None else "sent_before"
