"""Pictures on people's phones, sent through the callback door and fetched from the platform's gateway."""

import io
import itertools
from typing import Any

from PIL import Image, ImageDraw

from bot.runtime import demo_team
from domain.shared.wording import Wording
from domain.shots import queries, service
from domain.shots.queries import ShotView
from tests.fakes.shop import Person, Shop

_names = itertools.count(1)


def photo(colour: str = "#8a5a2b", width: int = 900, height: int = 1_200) -> bytes:
    """A JPEG with a place and a comment in it: what a phone writes."""
    made = Image.new("RGB", (width, height), "#d9cfb8")
    ImageDraw.Draw(made).ellipse((width // 5, height // 5, width * 4 // 5, height * 4 // 5), fill=colour)
    exif = Image.Exif()
    exif[0x010F] = "CANARYCAMERA"
    out = io.BytesIO()
    made.save(out, "JPEG", exif=exif, comment=b"CANARYPLACE")
    return out.getvalue()


def sends(who: Person, content: bytes | None) -> Person:
    """A picture in the chat; None: the platform has lost it when we ask."""
    name = f"sent-{next(_names)}"
    if content is not None:
        who.shop.gateway.pictures[name] = content
    return who._post({"MsgType": "image", "MediaId": name, "PicUrl": f"http://mmbiz.qpic.cn/{name}/0",
                      "MsgId": str(next(who.shop.numbers))})


def bought(shop: Shop, who: Person, order: str = "", sku: str = "RICE-5KG") -> None:
    order = order or f"S{next(_names)}"
    shop.paid(order, by=who, fen=5_980, sku=sku)
    shop.received(order)


def allowed(who: Person, colour: str = "#8a5a2b", words: str = "煮出来满屋子香", answer: str = "1") -> Person:
    """投稿 with a picture, words and consent, by somebody who bought one thing."""
    who.says("投稿")
    sends(who, photo(colour))
    return who.says(words).says(answer)


def all_of(shop: Shop) -> list[ShotView]:
    with shop.runtime.sessions() as session:
        return queries.listed(session)[::-1]


def one(shop: Shop, number: int = 1) -> ShotView:
    with shop.runtime.sessions() as session:
        return queries.one(session, number)


def jpeg(shop: Shop, number: int = 1) -> bytes | None:
    with shop.runtime.sessions() as session:
        return queries.picture(session, number)


def approve(shop: Shop, number: int = 1, sku: str = "", *, with_words: bool = True, work: bool = True) -> ShotView:
    with shop.runtime.sessions.begin() as session:
        boss = demo_team.hire(session, shop.clock.now())["owner"]
        done = service.approve(session, number, sku, with_words, shop.runtime.context.tool(Wording), boss,
                               shop.clock.now())
    if work:
        shop.work()
    return done


def act(shop: Shop, what: Any, number: int, *given: Any) -> ShotView:
    """``service.decline`` or ``service.retire`` by the owner."""
    with shop.runtime.sessions.begin() as session:
        boss = demo_team.hire(session, shop.clock.now())["owner"]
        done: ShotView = what(session, number, *given, boss, shop.clock.now())
    shop.work()
    return done
