"""The page behind /r/<code>: who recommends what, a QR that scans, and words when there is none."""

import html
import io
import json
import re
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import urlsplit

import pytest
import zxingcpp
from PIL import Image, ImageStat
from sqlalchemy import Engine, create_engine, text
from sqlalchemy.orm import Session, sessionmaker

from bot.kit.context import Shop
from bot.kit.gateway import Outcome, SceneCode, SendResult
from bot.runtime.context import ProcessContext
from bot.runtime.routes import Application
from bot.runtime.voice import Voice
from domain.catalog.models import Product
from domain.people import service as people
from domain.people.rules import IdentityRef
from domain.shared.clock import FixedClock
from handlers.web import landing
from tests.fakes.gateway import FakeGateway
from tests.web.mall import ASSETS, PEPPER

COPY = Voice(ASSETS / "copy")
SHOP = Shop("李记有机", "https://shop.example", "wx1")


class Landing:
    """The page over a real database, a fake platform and the real texts."""

    def __init__(self, engine: Engine, clock: FixedClock, gateway: FakeGateway, patience: float = 5) -> None:
        self.engine, self.clock, self.gateway = engine, clock, gateway
        sessions = sessionmaker(engine, expire_on_commit=False)
        jobs = ProcessContext(sessions, clock, COPY, SHOP, {"demo": "wx1"}, {"demo": gateway}, {}, lambda bells: None)
        self.app = Application("test", static_folder=None, template_folder=str(ASSETS / "templates"))
        context = landing.LandingContext(sessions, clock.now, jobs, SHOP, patience)
        self.app.register_blueprint(landing.blueprint(context))
        self.client = self.app.test_client()

    def sharer(self, nickname: str = "李姐🌸") -> str:
        with Session(self.engine) as session, session.begin():
            one = people.resolve(session, [IdentityRef("mall_user_id", "sharer")], self.clock.now(),
                                 pepper=PEPPER)
            people.set_profile(session, one, nickname=nickname)
            return str(session.execute(text("select referral_code from person where id = :id"), {"id": one}).scalar())

    def product(self, no: int, sku: str, title: str, price_fen: int = 9_900, image_url: str = "",
                url: str = "") -> None:
        with Session(self.engine) as session, session.begin():
            session.add(Product(no=no, sku=sku, title=title, category="fmcg", price_fen=price_fen,
                                image_url=image_url, url=url, told_at=self.clock.now(), told_by="mall"))

    def page(self, path: str, status: int = 200) -> str:
        answer = self.client.get(path)
        assert answer.status_code == status
        assert answer.content_type == "text/html; charset=utf-8"
        policy = answer.headers["Content-Security-Policy"]
        assert "default-src 'none'" in policy and "unsafe" not in policy and "script-src" not in policy
        return str(answer.get_data(as_text=True))

    def count(self, table: str) -> int:
        with self.engine.connect() as db:
            return int(db.execute(text(f"select count(*) from {table}")).scalar_one())


@pytest.fixture
def shop(engine: Engine, clock: FixedClock) -> Iterator[Landing]:
    yield Landing(engine, clock, FakeGateway())


def meta(page: str, name: str) -> str:
    found = re.search(rf'<meta (?:property|name)="{name}" content="([^"]*)">', page)
    assert found, name
    return html.unescape(found[1])


def linked(page: str) -> dict[str, Any]:
    block = re.search(r'<script type="application/ld\+json">(.*?)</script>', page, re.S)
    assert block
    found: dict[str, Any] = json.loads(block[1])
    return found


def test_says_who_recommends_and_what(shop: Landing) -> None:
    shop.product(1, "RICE", "有机大米 5kg", 9_905)
    code = shop.sharer()
    page = shop.page(f"/r/{code}")
    assert "<h1>来自@李姐🌸的推荐</h1>" in page and "fonts.css" not in page  # that is the simulator's, beside a demo
    assert "有机大米 5kg" in page and "¥99.05" in page and "李记有机" in page and code in page
    assert meta(page, "og:title") == "来自@李姐🌸的推荐"
    assert meta(page, "og:url") == f"https://shop.example/r/{code}"
    assert meta(page, "og:image").startswith(f"https://shop.example/r/{code}/card.jpg")
    facts = linked(page)
    assert facts["mainEntity"]["offers"] == {"@type": "Offer", "price": "99.05", "priceCurrency": "CNY"}


def test_the_qr_scans_to_the_sharers_scene_and_is_made_once(shop: Landing) -> None:
    shop.product(1, "RICE", "有机大米")
    code = shop.sharer()
    for _ in range(3):
        page = shop.page(f"/r/{code}")
        address = html.unescape(re.search(r'class="code" src="([^"]+)"', page)[1])  # type: ignore[index]
    assert len(shop.gateway.scenes) == shop.count("scene") == 1
    picture = shop.client.get(address)
    assert picture.content_type == "image/png"
    found, = zxingcpp.read_barcodes(Image.open(io.BytesIO(picture.data)))
    token = shop.gateway.scenes[found.text]
    with shop.engine.connect() as db:
        row = db.execute(text("select p.referral_code, s.sku from scene s join person p on p.id = s.sharer_id"
                              " where token = :token"), {"token": token}).one()
    assert tuple(row) == (code, "RICE")


def test_every_picture_and_the_style_are_there(shop: Landing) -> None:
    shop.product(1, "RICE &?=#", "有机大米")
    page = shop.page(f"/r/{shop.sharer()}")
    ours = [html.unescape(one) for one in re.findall(r'(?:src|href)="(/[^"]+)"', page)]
    assert len(ours) == 4
    for address in ours:
        answer = shop.client.get(address)
        assert answer.status_code == 200, address
        if answer.content_type.startswith("image/"):
            Image.open(io.BytesIO(answer.data)).load()


def test_the_way_to_the_mall_keeps_whose_link_it_was(shop: Landing) -> None:
    shop.product(1, "RICE", "有机大米", url="https://mall.example/rice?x=1&y=2")
    shop.product(2, "TEA", "高山绿茶")
    code = shop.sharer()
    ways = re.findall(r'<a class="buy" href="([^"]+)"', shop.page(f"/r/{code}"))
    assert [html.unescape(one) for one in ways] == [f"https://mall.example/rice?x=1&y=2&share_code={code}"]
    assert 'class="buy"' not in shop.page(f"/r/{code}?p=TEA")


def test_a_chat_shows_the_goods_on_a_shelf_not_on_nothing(shop: Landing) -> None:
    """Chats want at least 300 pixels and show what is transparent as black."""
    shop.product(1, "RICE", "有机大米")
    address = urlsplit(meta(shop.page(f"/r/{shop.sharer()}"), "og:image"))
    answer = shop.client.get(f"{address.path}?{address.query}")
    picture = Image.open(io.BytesIO(answer.data))
    assert answer.content_type == "image/jpeg" and picture.format == "JPEG"
    assert picture.width == picture.height >= 300
    wall, third = picture.getpixel((6, 6)), picture.width // 3
    goods = picture.crop((third, third, 2 * third, 2 * third))
    assert min(wall) > 180 and ImageStat.Stat(goods).stddev[0] > 20, "light, and something stands on it"


def test_the_link_may_name_the_product(shop: Landing) -> None:
    shop.product(1, "RICE", "有机大米")
    shop.product(2, "TEA", "高山绿茶", image_url="https://img.example/tea.jpg")
    code = shop.sharer()
    page = shop.page(f"/r/{code}?p=TEA")
    assert "高山绿茶" in page and 'src="https://img.example/tea.jpg"' in page
    assert meta(page, "og:image") == "https://img.example/tea.jpg"
    for odd in ("none", "%00", "x" * 500, "%ff"):
        assert "有机大米" in shop.page(f"/r/{code}?p={odd}")


def test_a_photo_that_is_not_https_is_not_loaded(shop: Landing) -> None:
    shop.product(1, "TEA", "高山绿茶", image_url="http://10.0.0.1/tea.jpg")
    page = shop.page(f"/r/{shop.sharer()}")
    assert "10.0.0.1" not in page and "goods.png" in page


def test_an_empty_shop_still_has_a_page(shop: Landing) -> None:
    page = shop.page(f"/r/{shop.sharer()}")
    assert "来自@李姐🌸的推荐" in page and "¥" not in page and 'class="code"' in page
    assert "mainEntity" not in linked(page)


def test_a_sharer_without_a_name_is_a_friend(shop: Landing) -> None:
    page = shop.page(f"/r/{shop.sharer('')}")
    assert "来自好友的推荐" in page and "@" not in re.search(r"<h1>.*</h1>", page)[0]  # type: ignore[index]


@pytest.mark.parametrize("name", [
    "<script>alert(1)</script>", "\"><img src=x onerror=alert(1)>", "{{ 7 * 7 }}", "</script><b>", "a\u2028b", "&amp;",
])
def test_names_and_titles_stay_text(shop: Landing, name: str) -> None:
    shop.product(1, "S", name)
    page = shop.page(f"/r/{shop.sharer(name)}")
    assert "<script>alert" not in page and "<img src=x" not in page
    assert meta(page, "og:title") == f"来自@{name}的推荐"
    assert page.count("</script>") == 1
    assert linked(page)["mainEntity"]["name"] == name


@pytest.mark.parametrize("code", [
    "nobody22", "x", "x" * 200, "..%2f..%2fetc", "%00", "李姐", "l1O0l1O0", "a b", "<b>", "%ff%fe",
])
def test_an_unknown_code_is_a_friendly_404(untouched: Engine, clock: FixedClock, code: str) -> None:
    shop = Landing(untouched, clock, FakeGateway())
    page = shop.page(f"/r/{code}", 404) if "%2f" not in code else ""
    if page:
        assert "失效" in page and "李记有机" in page
    for picture in ("qr.png", "face.jpg", "goods.png", "card.jpg"):
        assert shop.client.get(f"/r/{code}/{picture}").status_code == 404
    assert "失效" in shop.page("/r/", 404)
    assert shop.count("touch") == 0


@pytest.mark.parametrize("outcome", [Outcome.BACK_OFF, Outcome.CONFIG, Outcome.REJECTED])
def test_when_the_platform_refuses_the_page_says_how_to_find_the_shop(shop: Landing, outcome: Outcome) -> None:
    shop.gateway.refusals.append(SendResult(outcome, 45009))
    code = shop.sharer()
    page = shop.page(f"/r/{code}")
    assert "搜索公众号「李记有机」" in page and code in page and 'class="code"' not in page
    assert shop.client.get(f"/r/{code}/qr.png").status_code == 404
    assert 'class="code"' not in shop.page(f"/r/{code}"), "a refusal is not asked for again at once"
    assert shop.gateway.scenes == {}


class SlowGateway(FakeGateway):
    """Answers when it is let go."""

    def __init__(self) -> None:
        super().__init__()
        self.asked = 0
        self.go = threading.Event()

    def create_scene(self, scene: str, ttl_seconds: int) -> SceneCode:
        self.asked += 1
        self.go.wait(20)
        return SceneCode("t", "http://weixin.qq.com/q/slow", datetime.now(UTC) + timedelta(seconds=ttl_seconds))


def test_when_the_platform_is_slow_nobody_waits_and_it_is_asked_once(
    engine: Engine, clock: FixedClock
) -> None:
    gateway = SlowGateway()
    shop = Landing(engine, clock, gateway, patience=0.05)
    code = shop.sharer()
    try:
        for _ in range(3):
            assert "搜索公众号" in shop.page(f"/r/{code}")
        assert gateway.asked == 1
    finally:
        gateway.go.set()
    for _ in range(200):
        if shop.count("scene"):
            break
        threading.Event().wait(0.02)
    assert 'class="code"' in shop.page(f"/r/{code}"), "what came late is there next time"


def test_touches_are_counted_once_in_a_while_for_each_visitor(shop: Landing) -> None:
    code = shop.sharer()
    for _ in range(5):
        shop.page(f"/r/{code}")
    assert shop.count("touch") == 1
    shop.client.get(f"/r/{code}", headers={"User-Agent": "another phone"})
    shop.client.head(f"/r/{code}", headers={"User-Agent": "a preview"})
    shop.client.get(f"/r/{code}/face.jpg", headers={"User-Agent": "a picture"})
    assert shop.count("touch") == 2
    with shop.engine.connect() as db:
        assert set(db.execute(text("select visitor_id, source from touch")).all()) == {(None, "link")}


def test_a_flood_of_visitors_is_not_written_down() -> None:
    now = 0.0
    sparing = landing.Sparing(pause=10, most=3, timer=lambda: now)
    assert [sparing.allows(f"v{n}", "code") for n in range(5)] == [True, True, True, False, False]
    now = 11.0
    assert sparing.allows("v0", "code") and not sparing.allows("v0", "code")


def test_without_a_database_the_page_asks_for_patience(clock: FixedClock) -> None:
    nowhere = create_engine("postgresql+psycopg://x:x@127.0.0.1:1/x?connect_timeout=1")
    answer = Landing(nowhere, clock, FakeGateway()).client.get("/r/abcd2345")
    assert answer.status_code == 503
    assert answer.headers["Retry-After"]
    assert "李记有机" in answer.get_data(as_text=True)
