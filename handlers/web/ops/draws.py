"""Draws through the API: campaigns as published, their promises, wins, the proof that they were fair, ending one."""

from datetime import date, datetime
from typing import Annotated, Literal

import msgspec
from msgspec import Meta, Struct

from domain.draws import queries, service
from domain.draws.queries import CampaignView
from domain.draws.rules import Campaigns
from domain.shared.errors import NotFound
from handlers.web.api.operations import Parameter
from handlers.web.api.shapes import Fen, PersonId
from handlers.web.ops.context import NO_SUCH, REFUSED, Asked, OpsOperation, shaped


class DrawPrize(Struct):
    """A prize: rolls from ``first`` to ``last`` (of 0 to 9999) win it."""

    n: int
    key: str
    title: str
    kind: Literal["coupon", "points", "red_packet", "product"]
    amount: Annotated[int, Meta(description="Fen of a red packet, or points.")]
    worth_fen: Fen
    odds_bps: int
    first: int
    last: int
    stock: Annotated[int | None, Meta(description="null: as many as are drawn.")]
    left: int | None


class DrawCampaign(Struct):
    """A campaign as it was published; its terms never change."""

    key: str
    title: str
    state: Literal["coming", "open", "over", "stopped"]
    opens_at: datetime
    closes_at: datetime
    points: Annotated[int, Meta(description="What a draw costs when nothing free is left; 0: only free draws.")]
    daily_free: int
    daily_most: int
    total_most: int
    published_at: datetime
    stopped_at: datetime | None
    stop_reason: str
    file_differs: Annotated[bool, Meta(description="The file says something else by now: that needs a new key.")]
    prizes: list[DrawPrize]


class DrawCampaigns(Struct):
    """The latest first."""

    campaigns: list[DrawCampaign]


class DrawPromise(Struct):
    """What was promised for a day, and its seed once that is shown."""

    day: date
    commitment: str
    published_at: datetime
    seed: Annotated[str, Meta(description="Empty until the day is over.")]
    draws: int


class DrawTerms(Struct):
    """A campaign with its promises up to today, the newest 14 first."""

    campaign: DrawCampaign
    promises: list[DrawPromise]


class DrawWin(Struct):
    """Something that was won."""

    id: int
    person_id: PersonId
    code: Annotated[str, Meta(description="With number, what its roll hangs on.")]
    number: int
    day: date
    roll: int
    prize: str
    kind: str
    worth_fen: Fen
    state: str
    at: datetime


class DrawWins(Struct):
    """The newest 1000 first."""

    wins: list[DrawWin]


class DrawProof(Struct):
    """Every draw of the days that are over, reckoned again."""

    verified: int
    faults: list[str]


class DrawEnd(Struct):
    """Why; kept and logged."""

    reason: Annotated[str, Meta(min_length=1, max_length=500)]


def index(asked: Asked) -> DrawCampaigns:
    return DrawCampaigns([_campaign(asked, one) for one in queries.campaigns(asked.session, asked.now)])


def one(asked: Asked) -> DrawTerms:
    found = _found(asked)
    return DrawTerms(_campaign(asked, found), [
        msgspec.convert(row, DrawPromise, from_attributes=True)
        for row in queries.promises(asked.session, found.id, asked.now)])


def wins(asked: Asked) -> DrawWins:
    worthy = asked.choice("which", ("worthy", "all"), "worthy") == "worthy"
    rows = queries.wins(asked.session, _found(asked).id, worthy=worthy, limit=1_000)
    return DrawWins([msgspec.convert(row, DrawWin, from_attributes=True) for row in rows])


def verify(asked: Asked) -> DrawProof:
    count, faults = service.verify(asked.session, _found(asked), asked.now)
    return DrawProof(count, faults)


def stop(asked: Asked) -> DrawCampaign:
    service.stop(asked.session, str(asked.path["key"]), asked.body.reason, asked.actor, asked.now)
    return _campaign(asked, _found(asked))


def _found(asked: Asked) -> CampaignView:
    key = str(asked.path["key"])
    found = next(iter(queries.campaigns(asked.session, asked.now, key)), None)
    if found is None:
        raise NotFound("draw_unknown", key=key)
    return found


def _campaign(asked: Asked, found: CampaignView) -> DrawCampaign:
    plain = {name: getattr(found, name) for name in DrawCampaign.__struct_fields__
             if name not in ("file_differs", "prizes")}
    return DrawCampaign(**plain, file_differs=queries.differs(found, asked.tool(Campaigns)), prizes=[
        msgspec.convert(prize, DrawPrize, from_attributes=True) for prize in found.prizes])


_PLACES = (("key", "The campaign's key."),)

OPERATIONS = (
    OpsOperation("GET", "/draws", "listDraws", "Draws", "Campaigns", "As they were published.", DrawCampaigns, index),
    OpsOperation("GET", "/draws/<key>", "getDraw", "Draws", "One campaign",
                 "Prizes with odds and stock, and the promises.", DrawTerms, one, places=_PLACES, refusals=(NO_SUCH,)),
    OpsOperation("GET", "/draws/<key>/wins", "listDrawWins", "Draws", "What was won",
                 "With what it is worth: for the tax on chance income.", DrawWins, wins, places=_PLACES,
                 refusals=(NO_SUCH,), query=(Parameter("which", "worthy (default: goods and money) or all."),)),
    OpsOperation("GET", "/draws/<key>/proof", "verifyDraw", "Draws", "Was it fair",
                 "From seeds and promises alone, as anybody outside can reckon it.", DrawProof, verify, places=_PLACES,
                 refusals=(NO_SUCH,)),
    OpsOperation("POST", "/draws/<key>/stop", "stopDraw", "Draws", "End it early",
                 "What was won stays won; seeds are shown as promised.", DrawCampaign, stop, body=(DrawEnd,),
                 read_body=shaped(DrawEnd), places=_PLACES, refusals=(NO_SUCH, REFUSED)),
)
