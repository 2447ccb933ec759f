"""``/r/<code>``: where a referral link leads. Who recommends, what, and a QR to follow the shop with their scene.

Public and unsigned: nothing here may be worth flooding. The platform is asked for a code at most once at a time for
each sharer and product, waited for only briefly, and left alone after a refusal; the page then says in words how to
find the shop. Touches are counted at most once in a while for each visitor.
"""

import hashlib
import io
import json
import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from concurrent.futures import TimeoutError as TooSlow
from datetime import datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import structlog
from flask import Blueprint, Response, abort, render_template, request
from PIL import Image
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.orm import Session, sessionmaker

from bot.kit.context import Shop
from bot.kit.gateway import GatewayError
from bot.kit.jobs import JobContext
from bot.pictures import avatar, goods, paint, qr, wares
from bot.pictures.keep import Kept
from domain.catalog import queries as catalog
from domain.materials import service as materials
from domain.people import queries as people
from domain.people.queries import PersonView
from domain.referrals import service as referrals
from domain.shared import addresses
from domain.shared.ids import ALPHABET
from domain.shared.records import record
from handlers.jobs.scenes import living_scene

log = structlog.get_logger(__name__)

ASSETS = Path(__file__).parents[2] / "assets"
STYLE = ASSETS / "static" / "landing" / "landing.css"

POLICY = (
    "default-src 'none'; style-src 'self'; font-src 'self'; img-src 'self' https:; base-uri 'none'; "
    "form-action 'none'; frame-ancestors 'none'"
)

PATIENCE_SECONDS = 1.5
REST_SECONDS = 60.0
AT_ONCE = 8
"""Codes being made at the same time, for all visitors of this process."""

QR_PIXELS, FACE_PIXELS, GOODS_PIXELS, CARD_PIXELS = 480, 240, 360, 440
LONGEST_CODE, LONGEST_SKU = 16, 64
INK = "#3d3229"
WALL, SHELF, SHELF_AT = "#f3e6cf", "#e6d3b3", 0.82
"""What the drawn goods stand on in a link's card, as on the page."""


@record
class LandingContext:
    """``jobs`` lends texts, transactions and the platform's gateway. ``now`` is business time. ``patience``: seconds
    that a visitor waits for a code to be made."""

    sessions: sessionmaker[Session]
    now: Callable[[], datetime]
    jobs: JobContext
    shop: Shop
    patience: float = PATIENCE_SECONDS


@record
class _Visit:
    """What one visit shows."""

    code: str
    sharer: PersonView
    product: catalog.ProductView | None


class Sparing:
    """Whether a touch may be written: once in ``pause`` seconds for a visitor and code, ``most`` in that time."""

    def __init__(self, pause: float = 600.0, most: int = 2_000, timer: Callable[[], float] = time.monotonic) -> None:
        self._pause, self._most, self._timer = pause, most, timer
        self._seen: OrderedDict[bytes, float] = OrderedDict()
        self._lock = threading.Lock()

    def allows(self, visitor: str, code: str) -> bool:
        """Visitors are kept as hashes and forgotten after the pause; a flood is not written down at all."""
        name = hashlib.blake2b(f"{visitor}\n{code}".encode("utf-8", "replace"), digest_size=12).digest()
        now = self._timer()
        with self._lock:
            while self._seen and now - next(iter(self._seen.values())) > self._pause:
                self._seen.popitem(last=False)
            if name in self._seen or len(self._seen) >= self._most:
                return False
            self._seen[name] = now
            return True


class PatientScenes:
    """Scene codes for visitors who will not wait: ready soon, or not at all this time."""

    def __init__(self, jobs: JobContext, patience: float) -> None:
        self._jobs, self._patience = jobs, patience
        self._makers = ThreadPoolExecutor(2, "landing-scene")
        self._running: dict[tuple[str, int, str], Future[materials.SceneView]] = {}
        self._rest_until = 0.0
        self._lock = threading.Lock()

    def ready(self, sharer_id: int, sku: str) -> bool:
        """Whether a code of this sharer and product is kept now. Never raises."""
        account = next(iter(self._jobs.app_ids), "")
        if not account:
            return False
        making = self._start((account, sharer_id, sku))
        if making is None:
            return False
        try:
            making.result(timeout=self._patience)
        except TooSlow:
            return False
        except GatewayError as refusal:
            log.info("landing.scene_refused", outcome=refusal.result.outcome.value, errcode=refusal.result.errcode)
        except Exception as fault:  # noqa: BLE001 - a page without a QR is still a page
            log.warning("landing.scene_failed", fault=type(fault).__name__)
        else:
            return True
        self._rest_until = time.monotonic() + REST_SECONDS
        return False

    def _start(self, key: tuple[str, int, str]) -> Future[materials.SceneView] | None:
        with self._lock:
            making = self._running.get(key)
            if making is None:
                if len(self._running) >= AT_ONCE or time.monotonic() < self._rest_until:
                    return None
                making = self._makers.submit(living_scene, self._jobs, *key)
                self._running[key] = making
        making.add_done_callback(lambda _: self._running.pop(key, None))
        return making


class _Page:
    """Finds and renders what a visit shows."""

    def __init__(self, context: LandingContext) -> None:
        self._context = context
        self._say = context.jobs.copy.render
        self._scenes = PatientScenes(context.jobs, context.patience)
        self._sparing = Sparing()
        self._faces: Kept[bytes] = Kept(256)
        self._goods: Kept[bytes] = Kept(64)
        self._cards: Kept[bytes] = Kept(64)
        self._motifs = goods.load(ASSETS / "posters" / "goods" / "motifs.toml")
        self._style = STYLE.read_bytes()
        self._version = hashlib.sha256(self._style).hexdigest()[:12]

    def show(self, code: str) -> Response:
        visit = self._visit(code, touch=request.method == "GET")
        if visit is None:
            return self.unknown()
        sku = visit.product.sku if visit.product else ""
        scanned = self._kept_scene(visit) is not None or self._scenes.ready(visit.sharer.id, sku)
        return _html(render_template("landing/page.html", **self._facts(visit, scanned)))

    def unknown(self) -> Response:
        return self._notice("unknown", 404)

    def busy(self) -> Response:
        response = self._notice("busy", 503)
        response.headers["Retry-After"] = "5"
        return response

    def _notice(self, what: str, status: int) -> Response:
        shop = self._context.shop.name
        return _html(render_template(
            "landing/notice.html", shop=shop, title=self._say(f"landing.{what}_title"),
            text=self._say(f"landing.{what}_text", shop=shop), version=self._version,
        ), status)

    def _visit(self, code: str, *, touch: bool) -> _Visit | None:
        """Who recommends what; counts the touch if that is due."""
        if not 4 <= len(code) <= LONGEST_CODE or not set(code) <= set(ALPHABET):
            return None
        with self._context.sessions.begin() as session:
            sharer_id = people.by_codes(session, [code]).get(code)
            sharer = people.person(session, sharer_id) if sharer_id is not None else None
            if sharer is None:
                return None
            if touch and self._sparing.allows(_visitor(), code):
                referrals.visit(session, code, self._context.now(), source="link")
            return _Visit(code, sharer, self._product(session, sharer.id))

    def _product(self, session: Session, sharer_id: int) -> catalog.ProductView | None:
        """What the link names, else what the sharer shared last, else the first of the shelf."""
        named = request.args.get("p", "")
        for sku in (named, materials.choice(session, sharer_id)[0]):
            if 0 < len(sku) <= LONGEST_SKU and sku.isprintable():
                found = catalog.product(session, sku)
                if found is not None:
                    return found
        return next(iter(catalog.shelf(session, 1)), None)

    def _kept_scene(self, visit: _Visit) -> materials.SceneView | None:
        account = next(iter(self._context.jobs.app_ids), "")
        sku = visit.product.sku if visit.product else ""
        with self._context.sessions.begin() as session:
            return materials.current_scene(session, account, visit.sharer.id, sku, self._context.now())

    def _facts(self, visit: _Visit, scanned: bool) -> dict[str, Any]:
        shop, say, product = self._context.shop, self._say, visit.product
        headline = say("landing.from", name=visit.sharer.nickname) if visit.sharer.nickname else (
            say("landing.from_friend"))
        address = f"{shop.public_url}/r/{visit.code}"
        summary = say("landing.summary", title=product.title if product else "",
                      price_fen=product.price_fen if product else 0, shop=shop.name)
        picture = _picture(product, address)
        steps = say("landing.search_steps", shop=shop.name, code=visit.code).splitlines()
        return {
            "shop": shop.name, "code": visit.code, "headline": headline, "product": product, "scanned": scanned,
            "price": say("landing.price", price_fen=product.price_fen) if product else "",
            "summary": summary, "address": address, "picture": picture, "version": self._version,
            "card": picture.replace(f"{address}/goods.png", f"{address}/card.jpg") or f"{address}/face.jpg",
            "steps": [step for step in steps if step.strip()],
            "buy": addresses.with_query(product.url, share_code=visit.code) if product and product.url else "",
            "query": f"?{urlencode({'p': product.sku})}" if product else "",
            "shown": _relative(picture, address, visit.code),
            "linked": _linked_data(shop, headline, summary, address, product, picture),
            "say": {
                name: say(f"landing.{name}", **({"shop": shop.name} if name in _NAMES_SHOP else {}))
                for name in _TEXTS
            },
        }

    def code_picture(self, code: str) -> Response:
        """The QR of a kept scene; 404 when there is none. Makes nothing."""
        visit = self._visit(code, touch=False)
        scene = self._kept_scene(visit) if visit else None
        if scene is None:
            abort(404)
        return _picture_answer(_encoded(qr.draw(scene.url, QR_PIXELS), "PNG"), "image/png", 600)

    def face(self, code: str) -> Response:
        """The sharer's own picture if the platform keeps one, else the first letter of their name."""
        visit = self._visit(code, touch=False)
        if visit is None:
            abort(404)
        url, name = visit.sharer.avatar_url, visit.sharer.nickname
        jpeg = self._faces.get((url, name), lambda: _encoded(
            avatar.face(avatar.fetch(url) if url else None, name, FACE_PIXELS), "JPEG"))
        return _picture_answer(jpeg, "image/jpeg", 86_400)

    def goods_picture(self, code: str) -> Response:
        """The drawn picture of the product, for products without a photo."""
        ware = self._ware(code)
        png = self._goods.get(ware, lambda: _encoded(wares.draw(ware, GOODS_PIXELS), "PNG"))
        return _picture_answer(png, "image/png", 86_400)

    def card_picture(self, code: str) -> Response:
        """The same on a shelf, for the card that a chat makes of the link: chats show what is transparent as black."""
        ware = self._ware(code)
        jpeg = self._cards.get(ware, lambda: _encoded(_on_shelf(wares.draw(ware, GOODS_PIXELS)), "JPEG"))
        return _picture_answer(jpeg, "image/jpeg", 86_400)

    def _ware(self, code: str) -> wares.Ware:
        visit = self._visit(code, touch=False)
        if visit is None or visit.product is None:
            abort(404)
        motif = goods.choose(self._motifs, visit.product.title, visit.product.category)
        return wares.Ware(motif.form, motif.glyph, motif.label, motif.tint, INK)

    def style(self) -> Response:
        return _picture_answer(self._style, "text/css; charset=utf-8", 31_536_000)


_TEXTS = ("welcome", "product_label", "buy", "scan_title", "scan_hint", "qr_alt", "search_title", "code_label",
          "code_hint", "fine_print")
_NAMES_SHOP = frozenset({"welcome", "scan_title", "qr_alt", "search_title"})


def blueprint(context: LandingContext) -> Blueprint:
    """The page and its pictures. They say so in words when the database or the platform is away."""
    door = Blueprint("landing", __name__)
    page = _Page(context)
    door.add_url_rule("/r/landing.css", "style", page.style, methods=["GET"])
    door.add_url_rule("/r/", "none", page.unknown, methods=["GET"])
    door.add_url_rule("/r/<code>", "show", page.show, methods=["GET"])
    door.add_url_rule("/r/<code>/qr.png", "code_picture", page.code_picture, methods=["GET"])
    door.add_url_rule("/r/<code>/face.jpg", "face", page.face, methods=["GET"])
    door.add_url_rule("/r/<code>/goods.png", "goods_picture", page.goods_picture, methods=["GET"])
    door.add_url_rule("/r/<code>/card.jpg", "card_picture", page.card_picture, methods=["GET"])

    def away(fault: Exception) -> Response:
        log.warning("landing.away", fault=type(fault).__name__)
        return page.busy()

    for kind in (DBAPIError, PoolTimeout):
        door.register_error_handler(kind, away)
    return door


def _visitor() -> str:
    return f"{request.remote_addr} {request.headers.get('User-Agent', '')[:200]}"


def _picture(product: catalog.ProductView | None, address: str) -> str:
    """An absolute address of the product's picture, '' without a product; only https leaves the house."""
    if product is None:
        return ""
    if product.image_url.startswith("https://"):
        return product.image_url
    return f"{address}/goods.png?{urlencode({'p': product.sku})}"


def _relative(picture: str, address: str, code: str) -> str:
    """Our own pictures without the host: the page may be read under another name than its public one."""
    return picture.replace(address, f"/r/{code}", 1) if picture.startswith(f"{address}/") else picture


def _linked_data(shop: Shop, headline: str, summary: str, address: str, product: catalog.ProductView | None,
                 picture: str) -> str:
    """JSON-LD that is safe inside a script element: no markup character is left in it."""
    facts: dict[str, Any] = {"@context": "https://schema.org", "@type": "WebPage", "name": headline, "url": address,
                             "description": summary, "inLanguage": "zh-CN",
                             "publisher": {"@type": "Organization", "name": shop.name}}
    if product is not None:
        price = f"{product.price_fen // 100}.{product.price_fen % 100:02d}"
        facts["mainEntity"] = {
            "@type": "Product", "name": product.title, "sku": product.sku, "category": product.category,
            "image": picture, "offers": {"@type": "Offer", "price": price, "priceCurrency": "CNY"}}
    plain = json.dumps(facts, ensure_ascii=False)
    for character in "<>&\u2028\u2029":
        plain = plain.replace(character, f"\\u{ord(character):04x}")
    return plain


def _on_shelf(drawn: Image.Image) -> Image.Image:
    """The goods, RGBA, in the middle of a square card, on its shelf."""
    card = Image.new("RGB", (CARD_PIXELS, CARD_PIXELS), WALL)
    card.paste(SHELF, (0, round(CARD_PIXELS * SHELF_AT), CARD_PIXELS, CARD_PIXELS))
    left, _, right, bottom = drawn.getchannel("A").getbbox() or (0, 0, *drawn.size)
    at = (CARD_PIXELS - left - right) // 2, round(CARD_PIXELS * 0.93) - bottom
    paint.shadow(card, at, drawn.getchannel("A"), "#18100838", 20, 8)
    paint.lay(card, at, drawn)
    return card


def _html(text: str, status: int = 200) -> Response:
    response = Response(text, status, content_type="text/html; charset=utf-8")
    response.headers["Content-Security-Policy"] = POLICY
    response.headers["X-Content-Type-Options"] = "nosniff"
    response.headers["Referrer-Policy"] = "no-referrer"
    response.headers["X-Robots-Tag"] = "noindex"
    response.headers["Cache-Control"] = "no-cache"
    return response


def _picture_answer(data: bytes, kind: str, seconds: int) -> Response:
    response = Response(data, content_type=kind)
    response.headers["Cache-Control"] = f"public, max-age={seconds}"
    response.headers["X-Content-Type-Options"] = "nosniff"
    return response


def _encoded(picture: Image.Image, kind: str) -> bytes:
    out = io.BytesIO()
    picture.save(out, kind, **({"quality": 88} if kind == "JPEG" else {}))
    return out.getvalue()
