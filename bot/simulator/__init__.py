"""The other side, locally: WeChat's API and callbacks, a mall that sends orders, and phones in the browser.

A peer of the service, not a part of it: it has its own crypto and XML, imports none of the service's code, and
talks to it only through HTTP, so each side checks the other. It is strict: what WeChat would refuse, it refuses,
with WeChat's own numbers. For demos and tests only; the composition root mounts it when HUITOU_DEMO=1:

    app.register_blueprint(bot.simulator.blueprint(SimConfig(...)))      # at /sim

``api_base`` is <base>/sim/weixin for an Official Account and <base>/sim/qyapi for a corp.

The page's own API is described in ``bot.simulator.pages``.
"""

from pathlib import Path

from flask import Blueprint, Response, jsonify, request
from werkzeug.exceptions import HTTPException

from bot.simulator import texts
from bot.simulator.config import SimAccount, SimConfig, SimCorp, SimMerchant, SimPerson, SimStaff, SimTemplate
from bot.simulator.errors import SimError
from bot.simulator.pages import PARTS
from bot.simulator.peer import Peer
from bot.simulator.people import openid_for, unionid_for
from bot.simulator.store import Store
from bot.simulator.weixin import door

__all__ = ["SimAccount", "SimConfig", "SimCorp", "SimMerchant", "SimPerson", "SimStaff", "SimTemplate", "blueprint",
           "openid_for", "unionid_for"]

_ASSETS = Path(__file__).resolve().parents[2] / "assets"
_MAX_BODY = 6 * 1024 * 1024
"""Above the platform's 2 MB, so that an oversized picture is refused with 40009 and not by the web server."""
_HTTP_TEXTS = {404: texts.NOT_FOUND, 405: texts.WRONG_METHOD, 413: texts.TOO_LARGE}


def blueprint(config: SimConfig) -> Blueprint:
    """The simulator as a Flask blueprint at /sim. Opens no connection before its first request."""
    peer = Peer(config, Store(config.database_url))
    bp = Blueprint("sim", __name__, url_prefix="/sim", static_folder=str(_ASSETS / "static" / "sim"),
                   static_url_path="/static", template_folder=str(_ASSETS / "templates"))
    for add_part in PARTS:
        add_part(bp, peer)

    @bp.before_request
    def allow_pictures() -> None:
        request.max_content_length = _MAX_BODY

    @bp.route("/weixin/cgi-bin/<path:api>", methods=["GET", "POST", "PUT", "DELETE"])
    def weixin(api: str) -> Response:
        return door.answer(peer, api)

    @bp.route("/api/<path:rest>", methods=["GET", "POST", "PUT", "DELETE"])
    def unknown(rest: str) -> Response:
        raise SimError(404, texts.NOT_FOUND)

    @bp.errorhandler(SimError)
    def refuse(error: SimError) -> tuple[Response, int]:
        return jsonify(message=error.message), error.status

    @bp.errorhandler(HTTPException)
    def refuse_http(error: HTTPException) -> tuple[Response, int]:
        code = error.code or 500
        return jsonify(message=_HTTP_TEXTS.get(code, error.name)), code

    return bp
