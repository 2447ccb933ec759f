"""The pages of the mall that links lead to: one for each product, where it is bought, and one with its film.

A real mall knows who opened its page inside WeChat; here the phone says so itself (``as``), and anybody may choose.
"""

import re

from flask import Blueprint, Response, render_template, request

from bot.simulator import people, shop, texts
from bot.simulator.errors import SimError
from bot.simulator.peer import Peer
from bot.simulator.seed import ensure_people
from bot.simulator.store import Row

_YUAN = re.compile(r"(\d{1,7})(?:\.(\d{1,2}))?")
_POLICY = ("default-src 'self'; img-src 'self' data: http: https:; object-src 'none'; base-uri 'none'; "
           "frame-ancestors 'self'; form-action 'self'")


def add_goods(bp: Blueprint, peer: Peer) -> None:
    """Hang the two pages on the blueprint.

    GET /goods/<sku>?as=<openid>&share_code=<code>   POST openid, quantity, coupon (yuan), share_code: bought
    GET /films/<sku>
    """

    @bp.get("/goods/<sku>")
    def goods(sku: str) -> Response:
        return _goods(peer, sku)

    @bp.post("/goods/<sku>")
    def pay(sku: str) -> Response:
        form = request.form
        try:
            bought = shop.buy(peer, form.get("openid", ""), {
                "sku": sku, "quantity": _whole(form.get("quantity", "1")), "coupon_fen": _fen(form.get("coupon", "")),
                "shipping_fen": 0, "channel": "mall", "share_code": form.get("share_code", "")[:64],
                "refund_first": False})
        except SimError as refusal:
            return _goods(peer, sku, refusal.status, fault=refusal.message)
        return _goods(peer, sku, 201, bought=bought)

    @bp.get("/films/<sku>")
    def film(sku: str) -> Response:
        return _page(render_template("sim/film.html", shop=peer.config.shop_name, product=_product(peer, sku)))


def _goods(peer: Peer, sku: str, status: int = 200, **facts: object) -> Response:
    ensure_people(peer)
    with peer.store.begin() as connection:
        buyers: list[Row] = people.overview(connection, peer.now(), peer.real_now())
    known = {one["openid"] for one in buyers}
    chosen = request.values.get("openid") or request.values.get("as", "")
    return _page(render_template(
        "sim/goods.html", shop=peer.config.shop_name, product=_product(peer, sku), buyers=buyers,
        chosen=chosen if chosen in known else buyers[0]["openid"] if buyers else "",
        share_code=request.values.get("share_code", "")[:64], **{"fault": "", "bought": None, **facts}), status)


def _product(peer: Peer, sku: str) -> dict[str, object]:
    found = next((one for one in peer.config.products() if one["sku"] == sku), None)
    if found is None:
        raise SimError(404, texts.NO_PRODUCT)
    return found


def _whole(typed: str) -> int:
    if not (typed.isascii() and typed.isdecimal() and len(typed) < 4):
        raise SimError(422, texts.BAD_QUANTITY)
    return int(typed)


def _fen(typed: str) -> int:
    """Yuan as typed, '' for none."""
    match = _YUAN.fullmatch(typed.strip()) if typed.strip() else None
    if typed.strip() and match is None:
        raise SimError(422, texts.BAD_COUPON)
    return int(match[1]) * 100 + int((match[2] or "").ljust(2, "0")) if match else 0


def _page(html: str, status: int = 200) -> Response:
    response = Response(html, status, content_type="text/html; charset=utf-8")
    response.headers["Content-Security-Policy"] = _POLICY
    response.headers["Cache-Control"] = "no-store"
    return response
