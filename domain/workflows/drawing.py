"""抽奖: points or a free draw on one side, a prize on the other, in one transaction. Never commits.

Prizes go out by the grants there are: coupons, points, money in the wallet (docs/adr/0020); goods wait for an operator.
"""

from datetime import datetime

from sqlalchemy.orm import Session

from domain.draws import queries
from domain.draws import service as draws
from domain.draws.queries import CampaignView, DrawView, PrizeView
from domain.draws.rules import Seeds
from domain.fulfilment import service as fulfilment
from domain.ledger.queries import frozen_among
from domain.points import service as points
from domain.points.rules import Life
from domain.rewards import cash
from domain.rewards import service as rewards
from domain.rewards.rules import Offers
from domain.shared.errors import DomainError

SPENT_ON = "draw"
"""First word of what points were spent on: names it in the history."""


def draw(
    session: Session, person_id: int, campaign_id: int, key: str, seeds: Seeds, offers: Offers, life: Life,
    now: datetime,
) -> DrawView:
    """One draw for the request ``key``; the same request again is the same draw. All or nothing: a refusal leaves no
    trace.

    Raises NotFound("person_unknown"), DomainError("draw_closed" | "draw_frozen") and what ``draws.service.draw``
    raises.
    """
    alive = draws.living(session, person_id)
    with session.begin_nested():
        left = points.hold(session, alive, now)
        if (earlier := draws.known(session, key)) is not None:
            return earlier
        campaign = queries.current(session, now)
        if campaign is None or campaign.id != campaign_id:
            raise DomainError("draw_closed")
        if frozen_among(session, {alive}):
            raise DomainError("draw_frozen")
        made = draws.draw(session, campaign, alive, left, key, seeds, now)
        if made.points:
            points.spend(session, alive, made.points, f"{SPENT_ON}:{campaign.key}", _spending(made.id), now)
        if made.state == "won":
            _give(session, made, next(one for one in campaign.prizes if one.n == made.prize_n), offers, life, now)
    return made


def _spending(draw_id: int) -> str:
    return f"draw:{draw_id}"


def _give(
    session: Session, made: DrawView, prize: PrizeView, offers: Offers, life: Life, now: datetime
) -> None:
    cause = f"draw:{made.id}"
    match prize.kind:
        case "coupon":
            rewards.issue(session, made.person_id, offers.of(prize.detail), cause, now)
        case "points":
            points.give(session, made.person_id, prize.amount, cause, life, now)
        case "red_packet":
            cash.give(session, made.person_id, prize.amount, cause, made.id, now)
        case _:
            fulfilment.ask(session, made.person_id, cause, prize.title, prize.worth_fen, now)


def ready(session: Session, seeds: Seeds, now: datetime) -> tuple[CampaignView | None, bool]:
    """The campaign that is open now, with today's promise out; and whether it was out before: what is promised in this
    very transaction must be read before anybody draws."""
    campaign = queries.current(session, now)
    late = campaign is not None and draws.promise(session, seeds, now) > 0
    return campaign, not late
