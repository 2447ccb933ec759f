"""Rewards for coming back, through the API: what somebody has, and the buyers whose count failed."""

from datetime import datetime
from typing import Annotated, Literal

import msgspec
from msgspec import Meta, Struct

from domain.audit import queries as audit
from domain.rewards import queries, unlocking
from domain.workflows import correcting, gifts, taking_back
from handlers.web.api.shapes import Coupon, Fen, PersonId
from handlers.web.ops.approvals import Approval
from handlers.web.ops.context import BIGGEST_ID, NO_SUCH, OPERATOR, REFUSED, Asked, OpsOperation, shaped
from handlers.web.ops.roles import known


class OpenedReward(Struct):
    """Something that orders opened."""

    ladder: str
    rung: Annotated[str, Meta(description="By which step of the ladder.")]
    what: Literal["red_packet", "points", "coupon", "tier"]
    amount: Annotated[int, Meta(description="Fen of a red packet, or points; 0 otherwise.")]
    title: str
    state: Literal["provisional", "final"]
    since: datetime
    until: Annotated[datetime | None, Meta(description="When a provisional one becomes final; null while an order is "
                                                       "on its way.")]


class PersonRewards(Struct):
    """What somebody has, the newest first; nothing that was revoked."""

    person_id: PersonId
    rewards: list[OpenedReward]
    coupons: Annotated[list[Coupon], Meta(description="The newest 100, whatever their state.")]


class Parked(Struct):
    """A buyer whose rewards could not be counted."""

    person_id: PersonId
    fault: str
    look_at: Annotated[datetime, Meta(description="When it is tried again by itself.")]


class ParkedBuyers(Struct):
    """The next to be tried first; 1000 at most."""

    parked: list[Parked]


class Again(Struct):
    """Whom to count; everybody who is parked if not given."""

    person_id: Annotated[int, Meta(ge=1, le=BIGGEST_ID)] | None = None


class ActReason(Struct):
    """Why an operator does it; kept in the log."""

    reason: Annotated[str, Meta(min_length=1, max_length=200)]


class Retried(Struct):
    """Who is counted at once."""

    person_ids: list[PersonId]


class RedPacket(Struct):
    """A gift in money, and where it is."""

    id: int
    title: str
    fen: Fen
    at: datetime
    state: Annotated[gifts.State, Meta(description=(
        "waiting: for the end of a return window. sent: waits for a tap in WeChat. received: in their change. "
        "returned: taken back with an order. calling, taken: operators take it back."))]
    packet_no: Annotated[str, Meta(description="The packet that carries or carried it into WeChat change, or empty.")]


class PersonGifts(Struct):
    """The newest 100 first."""

    person_id: PersonId
    gifts: list[RedPacket]


class TakeGift(Struct):
    """Why (kept in the log, not shown to the customer), and what of money that is out of reach."""

    reason: Annotated[str, Meta(min_length=1, max_length=1000)]
    owe: Annotated[bool, Meta(description="What they received or spent already becomes a debt that later income "
                                          "repays. Without it, such a gift is left to them.")] = False


def one(asked: Asked) -> PersonRewards:
    person = known(asked)
    return PersonRewards(
        person.id,
        [msgspec.convert(each, OpenedReward, from_attributes=True)
         for each in queries.rewards_of(asked.session, person.id)],
        [msgspec.convert(each, Coupon, from_attributes=True)
         for each in queries.coupons_of(asked.session, person.id, asked.now)])


def parked(asked: Asked) -> ParkedBuyers:
    return ParkedBuyers([msgspec.convert(each, Parked, from_attributes=True)
                         for each in unlocking.parked(asked.session, 1_000)])


def retry(asked: Asked) -> Retried:
    return Retried(unlocking.retry(asked.session, asked.body.person_id, asked.actor, asked.now))


def revoke(asked: Asked) -> Coupon:
    done = correcting.revoke(asked.session, asked.path["code"], asked.body.reason, asked.actor, asked.now)
    return msgspec.convert(done, Coupon, from_attributes=True)


def again(asked: Asked) -> Coupon:
    made = correcting.give_again(asked.session, asked.path["code"], asked.body.reason, asked.actor, asked.now)
    return msgspec.convert(made, Coupon, from_attributes=True)


def gifts_of(asked: Asked) -> PersonGifts:
    person = known(asked)
    return PersonGifts(person.id, [msgspec.convert(each, RedPacket, from_attributes=True)
                                   for each in gifts.of(asked.session, person.id)])


def take_gift(asked: Asked) -> Approval:
    wanted: TakeGift = asked.body
    approval = taking_back.ask_gift(asked.session, min(asked.path["gift_id"], BIGGEST_ID), wanted.owe, wanted.reason,
                                    asked.actor, asked.now)
    return msgspec.convert(audit.approval_view(approval, asked.now), Approval, from_attributes=True)


_CODE = (("code", "The coupon's code."),)

OPERATIONS = (
    OpsOperation("GET", "/rewards/people/<int:person_id>", "getPersonRewards", "Rewards", "What somebody has",
                 "Rewards by their own orders or those of friends, and coupons.", PersonRewards, one,
                 places=(("person_id", "The person's id."),), refusals=(NO_SUCH,)),
    OpsOperation("GET", "/rewards/people/<int:person_id>/gifts", "getPersonGifts", "Rewards", "Somebody's red packets",
                 "What they were given in money, by orders or as presents, and where it is.", PersonGifts, gifts_of,
                 places=(("person_id", "The person's id."),), refusals=(NO_SUCH,)),
    OpsOperation("POST", "/rewards/gifts/<int:gift_id>/take-back", "askToTakeGiftBack", "Rewards",
                 "Ask to take a red packet back",
                 "Given by mistake. One that waits for a tap is called back through WeChat first; whoever tapped has "
                 "it, and owes it only with owe. A second person approves (gift.take_back), then the customer is told "
                 "once.", Approval, take_gift, status=201, body=(TakeGift,), read_body=shaped(TakeGift),
                 places=(("gift_id", "The gift's id."),), refusals=(NO_SUCH, REFUSED)),
    OpsOperation("GET", "/rewards/parked", "listParkedBuyers", "Rewards", "Buyers who could not be counted",
                 "With the reason. They are tried again each hour and get nothing until it works.", ParkedBuyers,
                 parked),
    OpsOperation("POST", "/rewards/parked/retry", "retryParkedBuyers", "Rewards", "Count them at once",
                 "After mending the cause; one, or everybody who is parked.", Retried, retry, body=(Again,),
                 read_body=shaped(Again), refusals=(NO_SUCH,)),
    OpsOperation("POST", "/rewards/coupons/<code>/revoke", "revokeCoupon", "Rewards", "Take a coupon back",
                 "An unused one, with a reason. One that was spent cannot be taken back, and says for which order. "
                 "Repeating it changes nothing.", Coupon, revoke, roles=OPERATOR, places=_CODE, body=(ActReason,),
                 read_body=shaped(ActReason), refusals=(NO_SUCH, REFUSED)),
    OpsOperation("POST", "/rewards/coupons/<code>/again", "giveCouponAgain", "Rewards", "Give a coupon anew",
                 "Instead of one that ran out or was taken back: the same terms, for as long, from now. Repeating it "
                 "gives the same one.", Coupon, again, roles=OPERATOR, places=_CODE, body=(ActReason,),
                 read_body=shaped(ActReason), refusals=(NO_SUCH, REFUSED)),
)
