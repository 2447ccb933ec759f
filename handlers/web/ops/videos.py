"""The videos of share kits, through the API."""

from datetime import datetime
from typing import Annotated

import msgspec
from msgspec import Meta, Struct

from domain.materials import videos
from domain.shared.addresses import LONGEST
from handlers.web.ops.context import NO_SUCH, OPERATOR, REFUSED, Asked, OpsOperation, shaped

Sku = Annotated[str, Meta(max_length=64, description="Empty: of the shop, for products without one of their own.")]


class ShareVideo(Struct):
    """A video that an operator gave."""

    sku: Sku
    url: str
    set_at: datetime
    set_by: str


class ShareVideos(Struct):
    """The shop's first, then by sku."""

    videos: list[ShareVideo]


class NewShareVideo(Struct):
    """Whose, and where it is."""

    url: Annotated[str, Meta(min_length=1, max_length=LONGEST, description="An https address.")]
    sku: Sku = ""


class NoShareVideo(Struct):
    """Whose."""

    sku: Sku = ""


def index(asked: Asked) -> ShareVideos:
    return ShareVideos([_shape(one) for one in videos.listed(asked.session)])


def give(asked: Asked) -> ShareVideo:
    return _shape(videos.give(asked.session, asked.body.sku, asked.body.url, asked.actor, asked.now))


def take_away(asked: Asked) -> ShareVideos:
    videos.take_away(asked.session, asked.body.sku, asked.actor, asked.now)
    return index(asked)


def _shape(view: videos.VideoView) -> ShareVideo:
    return msgspec.convert(view, ShareVideo, from_attributes=True)


_WRONG = (NO_SUCH, REFUSED)

OPERATIONS = (
    OpsOperation("GET", "/videos", "listVideos", "Share kits", "The videos", "Those that operators gave.", ShareVideos,
                 index),
    OpsOperation("POST", "/videos", "setVideo", "Share kits", "Give a video",
                 "It comes before the one that the mall told with the product.", ShareVideo, give, roles=OPERATOR,
                 body=(NewShareVideo,), read_body=shaped(NewShareVideo), refusals=_WRONG),
    OpsOperation("POST", "/videos/remove", "removeVideo", "Share kits", "Take a video away",
                 "What the mall or the kit names counts again.", ShareVideos, take_away, roles=OPERATOR,
                 body=(NoShareVideo,), read_body=shaped(NoShareVideo), refusals=_WRONG),
)
