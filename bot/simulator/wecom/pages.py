"""The page's own API of the WeCom side: adding staff on a phone, and the staff's own view. Mounted at /sim.

``corp`` and ``userid`` name a member and may be left out for the first of the first.

  GET  /api/wecom             {corps: [{account, name, staff: [{userid, name, contacts, tasks, notes}], tags, ways}],
                               faults}
  POST /api/wecom/add         {openid, userid?, corp?, state?, coded?} → {chat}: the customer adds the member
  POST /api/wecom/delete      {openid, ...}: the customer deletes the member · /remove: the member deletes the customer
  POST /api/wecom/say         {openid, text, ...}: the customer writes · /answer: the member does
  POST /api/wecom/tag         {openid, tag_id, on, ...}: the member turns a tag by hand
  POST /api/wecom/send        {msgid, userid?, corp?}: the member sends a mass message that waits
  POST /api/wecom/verify      {corp?} → {ok, message}: the handshake with an enciphered echostr
  GET  /wecom/qr/<id>.jpg     a code that leads to a member; any /qyapi/cgi-bin/... is the API itself
"""

from typing import Any

from flask import Blueprint, Response, jsonify
from sqlalchemy import Connection

from bot.simulator import callbacks as wechat
from bot.simulator import faults, texts
from bot.simulator.config import SimCorp, SimStaff
from bot.simulator.fields import Fields
from bot.simulator.peer import Peer
from bot.simulator.store import rows
from bot.simulator.wecom import acts, callbacks, contacts, door, ways

LATEST = 30


def add_wecom(bp: Blueprint, peer: Peer) -> None:
    """Hang the API, the staff's view and the pictures of codes on the blueprint."""

    @bp.route("/qyapi/cgi-bin/<path:api>", methods=["GET", "POST", "PUT", "DELETE"])
    def wecom_api(api: str) -> Response:
        return door.answer(peer, api)

    @bp.get("/wecom/qr/<config_id>.jpg")
    def wecom_picture(config_id: str) -> Response:
        with peer.store.begin() as connection:
            return ways.picture(connection, config_id)

    @bp.get("/api/wecom")
    def wecom_show() -> Response:
        with peer.store.begin() as connection:
            known = contacts.of_phones(connection)
            return jsonify(corps=[_corp(connection, one, known) for one in peer.config.corps],
                           faults=faults.active(connection))

    @bp.post("/api/wecom/verify")
    def wecom_verify() -> Response:
        corp, _ = _named(peer, Fields())
        attempt = callbacks.verify(peer, corp)
        good = attempt.verdict == wechat.SILENT
        return jsonify(ok=good, message=texts.VERIFIED if good else texts.NOT_VERIFIED.format(note=attempt.note))

    _add_customers(bp, peer)
    _add_staff(bp, peer)


def _named(peer: Peer, fields: Fields) -> tuple[SimCorp, SimStaff]:
    return acts.corp_and_member(peer, fields.text("corp", ""), fields.text("userid", ""))


def _add_customers(bp: Blueprint, peer: Peer) -> None:

    @bp.post("/api/wecom/add")
    def wecom_add() -> Response:
        fields = Fields()
        coded = fields.raw("coded", True) is not False
        return jsonify(acts.add(peer, fields.text("openid"), *_named(peer, fields), state=fields.text("state", ""),
                                coded=coded))

    @bp.post("/api/wecom/delete")
    def wecom_delete() -> Response:
        fields = Fields()
        return jsonify(acts.delete(peer, fields.text("openid"), *_named(peer, fields)))

    @bp.post("/api/wecom/say")
    def wecom_say() -> Response:
        fields = Fields()
        return jsonify(acts.say(peer, fields.text("openid"), *_named(peer, fields), fields.text("text"),
                                by_staff=False))


def _add_staff(bp: Blueprint, peer: Peer) -> None:

    @bp.post("/api/wecom/answer")
    def wecom_answer() -> Response:
        fields = Fields()
        return jsonify(acts.say(peer, fields.text("openid"), *_named(peer, fields), fields.text("text"),
                                by_staff=True))

    @bp.post("/api/wecom/remove")
    def wecom_remove() -> Response:
        fields = Fields()
        return jsonify(acts.remove(peer, fields.text("openid"), *_named(peer, fields)))

    @bp.post("/api/wecom/tag")
    def wecom_tag() -> Response:
        fields = Fields()
        return jsonify(acts.turn_tag(peer, fields.text("openid"), *_named(peer, fields), fields.text("tag_id"),
                                     on=fields.flag("on")))

    @bp.post("/api/wecom/send")
    def wecom_send() -> Response:
        fields = Fields()
        acts.confirm(peer, *_named(peer, fields), fields.text("msgid"))
        return jsonify(ok=True)


def _corp(connection: Connection, corp: SimCorp, known: list[dict[str, Any]]) -> dict[str, Any]:
    tags = rows(connection, """
        select t.id, t.name, g.name as group_name from sim.corp_tags t join sim.corp_tag_groups g on g.id = t.group_id
        where t.account = :account order by g.position, t.position""", account=corp.account)
    codes = rows(connection, "select config_id, url, state, remark, userids from sim.contact_ways "
                 "where account = :account order by position desc limit :latest", account=corp.account, latest=LATEST)
    return {"account": corp.account, "name": corp.name, "tags": tags, "ways": codes,
            "staff": [_staff(connection, corp, one, known) for one in corp.staff]}


def _staff(connection: Connection, corp: SimCorp, staff: SimStaff, known: list[dict[str, Any]]) -> dict[str, Any]:
    notes = rows(connection, "select body, at from sim.staff_inbox where account = :account and userid = :userid "
                 "order by id desc limit :latest", account=corp.account, userid=staff.userid, latest=LATEST)
    return {"userid": staff.userid, "name": staff.name, "tasks": _tasks(connection, corp, staff),
            "contacts": [one for one in known if one["chat"] == contacts.chat_of(corp, staff)],
            "notes": [{**one["body"], "at": one["at"].isoformat()} for one in notes]}


def _tasks(connection: Connection, corp: SimCorp, staff: SimStaff) -> list[dict[str, Any]]:
    """The member's mass messages, newest first: {msgid, body, state: waits|sent|cancelled, reminded, people}."""
    found = rows(connection, """
        select t.msgid, t.body, s.reminded, t.created_at, case when s.sent_at is not null then 'sent'
            when t.cancelled_at is not null then 'cancelled' else 'waits' end as state,
            (select json_agg(json_build_object('openid', p.openid, 'status', p.status) order by p.external_userid)
             from sim.mass_people p where p.msgid = t.msgid and p.userid = s.userid) as people
        from sim.mass_tasks t join sim.mass_staff s on s.msgid = t.msgid
        where t.account = :account and s.userid = :userid order by t.position desc limit :latest""",
        account=corp.account, userid=staff.userid, latest=LATEST)
    return [{**one, "created_at": one["created_at"].isoformat()} for one in found]
