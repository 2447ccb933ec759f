"""The page and its JSON API, which browser tests and dialogue tests use too. Mounted at /sim.

Bodies are JSON objects unless said otherwise; ``openid`` names a person. Errors are ``{"message": "<Chinese>"}``
with 404 (no such thing), 409 (not possible now), 415 or 422 (bad input).

  GET  /                       the page
  GET  /goods/<sku>, /films/<sku>: the mall's own pages, see ``goods`` · /fonts/<name>: see ``fonts``
  GET  /clock                  {now} · POST /clock {advance_seconds}: move business time, 0 s to ten years
  GET  /api/state              {shop, accounts, corps, merchants, people, menus, now, apis, faults}
  GET  /api/feed?after=<id>    {bubbles, transfers, contacts, last, now, people, menu_versions}: news of all phones
  GET  /api/products           {products}: the shelf
  POST /api/people             {name, account?} → the person, a follower of nobody; the mall tells the name
  POST /api/say                {openid, text}
  POST /api/voice              {openid, heard?}: a voice message, and what WeChat recognises in it
  POST /api/reply-menu         {openid, bubble_id, item_id}: tap a choice inside a message
  POST /api/menu-tap           {openid, key | index, image_id? | url?, latitude?, longitude?, label?}
  POST /api/scan               {openid, image_id | url} → {result: subscribe|scan|contact|expired|url|none, message}
  POST /api/scan-file          multipart openid, image: scan a picture from outside
  POST /api/follow, /unfollow  {openid}
  POST /api/location           {openid, latitude, longitude, label?}
  POST /api/image              multipart openid, image, or JSON {openid, image_id}: send a picture
  GET  /api/media/<id>.jpg     the bytes of a picture
  POST /api/buy                {openid, sku, quantity?, coupon_fen?, shipping_fen?, channel?, share_code?,
                                refund_first?} → the order
  POST /api/price              the same → {listed_fen, paid_fen}: what it would cost anybody, and this customer
  GET  /api/orders?openid=     {orders}, newest first, with their events
  POST /api/orders/<id>/ship|receive · /refund {refund_fen?, quantity?} · /duplicate {times?} · /reverse
  GET  /api/faults             {faults} · POST {api, fault, seconds?, next?} or {off: id | "all"};
                               ``seconds`` (0 to 60) is the delay of the fault "slow" and of no other; every fault
                               lasts until it is switched off or has hit ``next`` calls
  GET  /api/wecom, POST /api/wecom/...: see ``wecom.pages``
  GET  /api/subscribe?openid=, POST /api/subscribe, /api/unsubscribe: see ``subscribe_pages``
  POST /api/verify             {account?} → {ok, message}: the handshake with echostr
  GET  /api/inspector?openid=&before=   {entries}
"""

from datetime import datetime
from typing import Any

from flask import Blueprint, Response, jsonify, render_template, request

from bot.simulator import acts, callbacks, deliveries, faults, inspector, people, pictures, shop, texts
from bot.simulator.errors import SimError
from bot.simulator.fields import Fields
from bot.simulator.fonts import add_fonts
from bot.simulator.goods import add_goods
from bot.simulator.pay.door import APIS
from bot.simulator.pay.pages import add_pay, sweep, transfers
from bot.simulator.peer import Peer
from bot.simulator.seed import ensure_people
from bot.simulator.subscribe_pages import add_subscribing
from bot.simulator.wecom import contacts
from bot.simulator.wecom.door import APIS as WECOM_APIS
from bot.simulator.wecom.pages import add_wecom
from bot.simulator.weixin import menus
from bot.simulator.weixin.door import ENDPOINTS

TEN_YEARS_SECONDS = 10 * 365 * 24 * 3600
KUNMING = (25.0389, 102.7183)
_POLICY = ("default-src 'self'; img-src 'self' data: blob: http: https:; object-src 'none'; base-uri 'none'; "
           "frame-ancestors 'self'; form-action 'self'")


def add_page(bp: Blueprint, peer: Peer) -> None:
    """Hang the page and the clock on the blueprint."""

    @bp.get("/")
    def page() -> Response:
        response = Response(render_template("sim/page.html", shop=peer.config.shop_name))
        response.headers["Content-Security-Policy"] = _POLICY
        response.headers["Cache-Control"] = "no-store"
        return response

    @bp.get("/clock")
    def clock() -> Response:
        return jsonify(now=peer.now().isoformat())

    @bp.post("/clock")
    def advance() -> Response:
        seconds = Fields().raw("advance_seconds")
        if type(seconds) is not int or not 0 <= seconds <= TEN_YEARS_SECONDS:
            raise SimError(422, texts.BAD_CLOCK)
        moved = peer.config.advance_clock(seconds)
        sweep(peer)
        return jsonify(now=moved.isoformat())


def add_feed(bp: Blueprint, peer: Peer) -> None:
    """Hang the state and the news of all phones on the blueprint."""

    @bp.get("/api/state")
    def state() -> Response:
        ensure_people(peer)
        with peer.store.begin() as connection:
            menu = {one.account: menus.current(connection, one.account) for one in peer.config.accounts}
            return jsonify(
                merchants=[one.mch_id for one in peer.config.merchants], shop=peer.config.shop_name,
                now=peer.now().isoformat(), menus=menu, apis=sorted(ENDPOINTS),
                accounts=[{"account": one.account, "name": one.name, "mode": one.mode}
                          for one in peer.config.accounts],
                corps=[{"account": one.account, "name": one.name,
                        "staff": [{"userid": member.userid, "name": member.name} for member in one.staff]}
                       for one in peer.config.corps],
                people=people.overview(connection, peer.now(), peer.real_now()), faults=faults.active(connection))

    @bp.get("/api/feed")
    def feed() -> Response:
        ensure_people(peer)
        after = request.args.get("after", "0")
        if not after.isdecimal() or len(after) > 18:
            raise SimError(422, texts.UNKNOWN_FIELD_TYPE.format(field="after"))
        with peer.store.begin() as connection:
            bubbles = people.bubbles_after(connection, int(after))
            answer = {
                "transfers": transfers(connection), "bubbles": bubbles, "contacts": contacts.of_phones(connection),
                "last": bubbles[-1]["id"] if bubbles else int(after),
                "now": peer.now().isoformat(), "people": people.overview(connection, peer.now(), peer.real_now()),
                "menu_versions": [(menus.current(connection, one.account) or {}).get("version", 0)
                                  for one in peer.config.accounts]}
            orphans = deliveries.sweep(peer, connection)
        deliveries.send(peer, orphans)
        sweep(peer)
        return jsonify(answer)


def add_tools(bp: Blueprint, peer: Peer) -> None:
    """Hang inspector, handshake and fault switches on the blueprint."""

    @bp.get("/api/inspector")
    def inspect() -> Response:
        raw = request.args.get("before", "")
        try:
            before = datetime.fromisoformat(raw) if raw else None
        except ValueError as error:
            raise SimError(422, texts.UNKNOWN_FIELD_TYPE.format(field="before")) from error
        with peer.store.begin() as connection:
            return jsonify(entries=inspector.entries(connection, request.args.get("openid", ""), before))

    @bp.post("/api/verify")
    def verify() -> Response:
        account = peer.config.by_name(Fields().text("account", peer.config.accounts[0].account))
        if account is None:
            raise SimError(422, texts.NO_ACCOUNT)
        attempt = callbacks.verify(peer, account)
        good = attempt.verdict == callbacks.SILENT
        return jsonify(ok=good, message=texts.VERIFIED if good else texts.NOT_VERIFIED.format(note=attempt.note))

    @bp.get("/api/faults")
    def show_faults() -> Response:
        with peer.store.begin() as connection:
            return jsonify(faults=faults.active(connection))

    @bp.post("/api/faults")
    def switch_fault() -> Response:
        fields = Fields()
        with peer.store.begin() as connection:
            if fields.raw("off") is not None:
                faults.switch_off(connection, None if fields.raw("off") == "all" else fields.whole("off"))
            else:
                faults.switch_on(connection, [*ENDPOINTS, *APIS, *WECOM_APIS], fields.raw("api", faults.EVERY_API),
                                 fields.raw("fault"), fields.raw("seconds", 0), fields.raw("next"))
            return jsonify(faults=faults.active(connection))


def add_people(bp: Blueprint, peer: Peer) -> None:
    """Hang people, following and scanning on the blueprint."""

    @bp.post("/api/people")
    def add_person() -> tuple[Response, int]:
        ensure_people(peer)
        fields = Fields()
        account = peer.config.by_name(fields.text("account", peer.config.accounts[0].account))
        if account is None:
            raise SimError(422, texts.NO_ACCOUNT)
        with peer.store.begin() as connection:
            made = people.add(connection, account=account.account, app_id=account.app_id,
                              name=fields.text("name"), now=peer.now())
            introduced = shop.introduce(peer, connection, made)
        deliveries.send(peer, [introduced])
        return jsonify(openid=made["openid"], name=made["name"], account=made["account"], following=False), 201

    @bp.post("/api/scan")
    def scan() -> Response:
        fields = Fields()
        image_id, url = fields.maybe_text("image_id"), fields.maybe_text("url")
        if (image_id is None) == (url is None):
            raise SimError(422, texts.SCAN_WHAT)
        return jsonify(acts.scan(peer, fields.text("openid"), acts.read_code(peer, image_id, url)))

    @bp.post("/api/scan-file")
    def scan_file() -> Response:
        content = _uploaded()
        return jsonify(acts.scan(peer, request.form.get("openid", ""), pictures.decode_qr(content)))

    @bp.post("/api/follow")
    def follow() -> Response:
        return jsonify(acts.follow(peer, Fields().text("openid")))

    @bp.post("/api/unfollow")
    def unfollow() -> Response:
        return jsonify(acts.unfollow(peer, Fields().text("openid")))


def add_talk(bp: Blueprint, peer: Peer) -> None:
    """Hang everything that is said, tapped or sent from a phone on the blueprint."""

    @bp.post("/api/say")
    def say() -> Response:
        fields = Fields()
        return jsonify(acts.say(peer, fields.text("openid"), fields.text("text")))

    @bp.post("/api/voice")
    def voice() -> Response:
        fields = Fields()
        return jsonify(acts.speak(peer, fields.text("openid"), fields.text("heard", "")))

    @bp.post("/api/reply-menu")
    def reply_menu() -> Response:
        fields = Fields()
        return jsonify(acts.answer_menu(peer, fields.text("openid"), fields.whole("bubble_id"),
                                        fields.text("item_id")))

    @bp.post("/api/menu-tap")
    def menu_tap() -> Response:
        fields = Fields()
        image_id, url = fields.maybe_text("image_id"), fields.maybe_text("url")
        code = acts.read_code(peer, image_id, url) if image_id or url else None
        wanted = {"key": fields.text("key", ""), "index": fields.raw("index"), "code": code, "image_id": image_id,
                  "latitude": fields.number("latitude", KUNMING[0]),
                  "longitude": fields.number("longitude", KUNMING[1]),
                  "label": fields.text("label", texts.LOCATION_LABEL)}
        return jsonify(acts.tap_menu(peer, fields.text("openid"), wanted))

    @bp.post("/api/location")
    def location() -> Response:
        fields = Fields()
        return jsonify(acts.send_location(
            peer, fields.text("openid"), fields.number("latitude", KUNMING[0]),
            fields.number("longitude", KUNMING[1]), fields.text("label", texts.LOCATION_LABEL)))

    @bp.post("/api/image")
    def image() -> Response:
        if not request.is_json:
            return jsonify(acts.send_image(peer, request.form.get("openid", ""), _uploaded()))
        fields = Fields()
        return jsonify(acts.send_image(peer, fields.text("openid"), _picture(peer, fields.text("image_id"))))


def add_media(bp: Blueprint, peer: Peer) -> None:
    """Hang the pictures that phones show on the blueprint."""

    @bp.get("/api/media/<media_id>.jpg")
    def media(media_id: str) -> Response:
        with peer.store.begin() as connection:
            found = pictures.load(connection, media_id)
        if found is None:
            raise SimError(404, texts.NO_IMAGE)
        return Response(bytes(found["content"]), mimetype=found["mime"],
                        headers={"Cache-Control": "private, max-age=86400, immutable",
                                 "X-Content-Type-Options": "nosniff"})


def _uploaded() -> bytes:
    """The picture of a multipart request. Raises SimError 422 unless it is one."""
    upload = request.files.get("image")
    content = upload.read() if upload is not None else b""
    if pictures.mime_of(content) is None:
        raise SimError(422, texts.BAD_IMAGE)
    return content


def _picture(peer: Peer, image_id: str) -> bytes:
    with peer.store.begin() as connection:
        found = pictures.load(connection, image_id)
    if found is None:
        raise SimError(404, texts.NO_IMAGE)
    return bytes(found["content"])


def add_shop(bp: Blueprint, peer: Peer) -> None:
    """Hang the shelf and the orders on the blueprint."""

    @bp.get("/api/products")
    def products() -> Response:
        return jsonify(products=peer.config.products())

    @bp.post("/api/price")
    def price() -> Response:
        fields = Fields()
        return jsonify(shop.price(peer, fields.text("openid"), _wanted(fields)))

    @bp.post("/api/buy")
    def buy() -> tuple[Response, int]:
        fields = Fields()
        return jsonify(shop.buy(peer, fields.text("openid"), _wanted(fields))), 201

    @bp.get("/api/orders")
    def orders() -> Response:
        with peer.store.begin() as connection:
            return jsonify(orders=shop.orders_of(connection, request.args.get("openid", "")))

    @bp.post("/api/orders/<order_id>/ship")
    def ship(order_id: str) -> Response:
        return jsonify(shop.ship(peer, order_id))

    @bp.post("/api/orders/<order_id>/receive")
    def receive(order_id: str) -> Response:
        return jsonify(shop.receive(peer, order_id))

    @bp.post("/api/orders/<order_id>/refund")
    def refund(order_id: str) -> Response:
        fields = Fields()
        return jsonify(shop.refund(peer, order_id, fields.maybe_whole("refund_fen"), fields.maybe_whole("quantity")))

    @bp.post("/api/orders/<order_id>/duplicate")
    def duplicate(order_id: str) -> Response:
        return jsonify(shop.repeat(peer, order_id, Fields().whole("times", 3)))

    @bp.post("/api/orders/<order_id>/reverse")
    def reverse(order_id: str) -> Response:
        return jsonify(shop.replay_backwards(peer, order_id))


def _wanted(fields: Fields) -> dict[str, Any]:
    return {
        "sku": fields.text("sku"), "quantity": fields.whole("quantity", 1),
        "coupon_fen": fields.whole("coupon_fen", 0), "shipping_fen": fields.whole("shipping_fen", 0),
        "channel": fields.text("channel", "mall"), "share_code": fields.text("share_code", ""),
        "refund_first": fields.flag("refund_first")}


PARTS = (add_page, add_fonts, add_feed, add_tools, add_people, add_talk, add_media, add_shop, add_goods, add_pay,
         add_subscribing, add_wecom)
"""Everything below /sim except the Official Account's API."""
