"""The sheet on which people allow subscription notices: its part of the page's API (see ``pages``)."""

from flask import Blueprint, Response, jsonify, request

from bot.simulator import permissions, texts
from bot.simulator.errors import SimError
from bot.simulator.fields import Fields
from bot.simulator.peer import Peer


def add_subscribing(bp: Blueprint, peer: Peer) -> None:
    """Hang the sheet on the blueprint.

    GET  /api/subscribe?openid=  {templates: [{id, title, fields, left}]}: what may be allowed, and how many are
    POST /api/subscribe          {openid, accept?: [id], reject?: [id]}: the sheet is answered
    POST /api/unsubscribe        {openid, template_id}: refused in the settings, with everything allowed before
    """

    @bp.get("/api/subscribe")
    def sheet() -> Response:
        with peer.store.begin() as connection:
            return jsonify(templates=permissions.offered(peer, connection, request.args.get("openid", "")))

    @bp.post("/api/subscribe")
    def answer() -> Response:
        fields = Fields()
        lists = [fields.raw(name, []) for name in ("accept", "reject")]
        if not all(isinstance(one, list) for one in lists):
            raise SimError(422, texts.SUBSCRIBE_WHAT)
        return jsonify(permissions.answer(peer, fields.text("openid"), *lists))

    @bp.post("/api/unsubscribe")
    def refuse() -> Response:
        fields = Fields()
        return jsonify(permissions.switch_off(peer, fields.text("openid"), fields.text("template_id")))
