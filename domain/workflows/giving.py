"""From a gift in the wallet to WeChat change: whether it may go on, to which account, and what it is called.

Facts for subscribers (queue ``fact``): ``packet.send`` {gifts: [[ladder, journal key]]}, put with the journal of each
gift in money. Whatever speaks against sending leaves the gift in the wallet, where it is nobody else's.
"""

from collections.abc import Callable, Sequence
from datetime import datetime

from sqlalchemy.orm import Session

from domain.payouts import packets, queries
from domain.payouts.packets import Packet
from domain.payouts.rules import PacketRules
from domain.people import queries as people
from domain.shared.errors import DomainError
from domain.workflows import withdrawing

Door = tuple[str, str]
"""A merchant account for gifts and the app to whose openids it pays."""
STAYS = {"packet.small": "small", "packet.large": "large", "packet.debt": "debt", "packet.spent": "spent"}


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
    found = next(((account, app_id, openid) for account, app_id in doors
                  if (openid := people.openid_of(session, alive, app_id))), None)
    if found is None:
        return "no_account"
    if queries.switch(session).stopped_at is not None:
        return "stopped"
    if withdrawing.word_of_caution(session, alive, now):
        return "under_review"
    fen = packets.reached(session, journals)
    if not fen:
        return "debt"
    account, app_id, openid = found
    try:
        with session.begin_nested():
            made = packets.send(session, Packet(alive, cause, fen, account, app_id, openid, remark()), rules.tax_bps,
                                now)
    except DomainError as refusal:
        if refusal.code not in STAYS:
            raise
        return STAYS[refusal.code]
    return made if made is not None else "sent_before"
