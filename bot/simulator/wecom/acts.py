"""What people and staff do: add and delete each other, write, put tags, and send the mass messages that wait.

Each act is one transaction (contact, bubbles, queued event) and then starts the delivery. All raise SimError.
"""

import secrets
from datetime import datetime
from typing import Any

from sqlalchemy import Connection

from bot.simulator import deliveries, people, texts
from bot.simulator.config import SimCorp, SimStaff
from bot.simulator.errors import SimError
from bot.simulator.peer import Peer
from bot.simulator.store import Row, row, run
from bot.simulator.wecom import callbacks, contacts, mass, ways, welcome
from bot.simulator.wire import Fields

MAX_TEXT = 1_000

def corp_and_member(peer: Peer, account: str, userid: str) -> tuple[SimCorp, SimStaff]:
    """The corp ('' for the first) and its member ('' for the first)."""
    corp = peer.config.corp(account) if account else next(iter(peer.config.corps), None)
    if corp is None:
        raise SimError(404, texts.NO_CORP)
    member = corp.member(userid) if userid else next(iter(corp.staff), None)
    if member is None:
        raise SimError(404, texts.NO_STAFF)
    return corp, member


def add(peer: Peer, openid: str, corp: SimCorp, staff: SimStaff, *, state: str = "", way: int = contacts.BY_SEARCH,
        coded: bool = True) -> dict[str, Any]:
    """The customer adds the member, who accepts at once. Without ``coded`` the corp's own console welcomes them."""
    with peer.store.begin() as connection:
        delivery = _befriend(peer, connection, people.get(connection, openid), corp, staff, state, way, coded)
    deliveries.send(peer, [delivery])
    return {"delivery_id": delivery, "chat": contacts.chat_of(corp, staff)}


def _befriend(peer: Peer, connection: Connection, person: Row, corp: SimCorp, staff: SimStaff, state: str, way: int,
              coded: bool) -> int:
    external = contacts.external_id(corp, person["openid"])
    before = contacts.find(connection, corp, staff.userid, external)
    if before and before["left_at"] is None and before["removed_at"] is None:
        raise SimError(409, texts.ALREADY_FRIENDS.format(name=person["name"], staff=staff.name))
    now = peer.now()
    contacts.add(connection, corp, staff, person["openid"], state=state, way=way, now=now)
    line = texts.ADDED_AGAIN if before else texts.ADDED
    _say(connection, corp, staff, person["openid"], "system", line.format(staff=staff.name), now)
    fields: Fields = [("UserID", staff.userid), ("ExternalUserID", external), *([("State", state)] if state else [])]
    if coded:
        code = secrets.token_urlsafe(32)
        run(connection, """
            insert into sim.welcomes (code, account, userid, external_userid, until)
            values (:code, :account, :userid, :external, :until)""",
            code=code, account=corp.account, userid=staff.userid, external=external, until=now + welcome.LIFE)
        fields.append(("WelcomeCode", code))
    return _event(peer, connection, corp, person["openid"], "add_external_contact", fields)


def _say(connection: Connection, corp: SimCorp, staff: SimStaff, openid: str, side: str, content: str,
         now: datetime) -> int:
    kind = "note" if side == "system" else "text"
    return people.say(connection, openid, side, kind, {"content": content}, now, chat=contacts.chat_of(corp, staff))


def _event(peer: Peer, connection: Connection, corp: SimCorp, openid: str, change: str, fields: Fields) -> int:
    body = callbacks.event(corp, change, int(peer.now().timestamp()), fields)
    return deliveries.queue_corp_event(peer, connection, corp, openid, change, body)


def scan(peer: Peer, openid: str, content: str) -> dict[str, Any] | None:
    """A code of a member held before the camera; None if it is no such code."""
    with peer.store.begin() as connection:
        found = ways.behind(connection, content)
    corp = peer.config.corp(found["account"]) if found else None
    if found is None or corp is None:
        return None
    staff = corp.member(secrets.choice(found["userids"]))
    if staff is None:
        raise SimError(404, texts.NO_STAFF)
    done = add(peer, openid, corp, staff, state=found["state"], way=contacts.BY_CODE)
    return {"result": "contact", "message": texts.CODE_OF_STAFF.format(staff=staff.name), **done}


def delete(peer: Peer, openid: str, corp: SimCorp, staff: SimStaff) -> dict[str, Any]:
    """The customer deletes the member, who keeps what they knew and can write no more (del_follow_user)."""
    with peer.store.begin() as connection:
        external = _friend(connection, corp, staff, openid)["external_userid"]
        _end(connection, corp, staff, external, "left_at", peer.now())
        _say(connection, corp, staff, openid, "system", texts.DELETED.format(staff=staff.name), peer.now())
        delivery = _event(peer, connection, corp, openid, "del_follow_user",
                          [("UserID", staff.userid), ("ExternalUserID", external)])
    deliveries.send(peer, [delivery])
    return {"delivery_id": delivery}


def remove(peer: Peer, openid: str, corp: SimCorp, staff: SimStaff) -> dict[str, Any]:
    """The member deletes the customer, and with them the tags (del_external_contact). The customer is not told."""
    with peer.store.begin() as connection:
        found = contacts.find(connection, corp, staff.userid, contacts.external_id(corp, openid))
        if found is None or found["removed_at"] is not None:
            raise _strangers(connection, openid, staff)
        _end(connection, corp, staff, found["external_userid"], "removed_at", peer.now())
        run(connection, "delete from sim.marks where account = :account and userid = :userid and "
            "external_userid = :external", account=corp.account, userid=staff.userid, external=found["external_userid"])
        delivery = _event(peer, connection, corp, openid, "del_external_contact",
                          [("UserID", staff.userid), ("ExternalUserID", found["external_userid"])])
    deliveries.send(peer, [delivery])
    return {"delivery_id": delivery}


def _end(connection: Connection, corp: SimCorp, staff: SimStaff, external: str, column: str, now: datetime) -> None:
    run(connection, f"update sim.contacts set {column} = :now where account = :account and userid = :userid "  # noqa: S608
        "and external_userid = :external", now=now, account=corp.account, userid=staff.userid, external=external)


def _friend(connection: Connection, corp: SimCorp, staff: SimStaff, openid: str) -> Row:
    found = contacts.find(connection, corp, staff.userid, contacts.external_id(corp, openid))
    if found is None or found["left_at"] is not None:
        raise _strangers(connection, openid, staff)
    return found


def _strangers(connection: Connection, openid: str, staff: SimStaff) -> SimError:
    return SimError(409, texts.NOT_FRIENDS.format(name=people.get(connection, openid)["name"], staff=staff.name))


def say(peer: Peer, openid: str, corp: SimCorp, staff: SimStaff, content: str, *, by_staff: bool) -> dict[str, Any]:
    """A word between the two. No application ever hears of it; but from now on the chat has begun."""
    if not content.strip():
        raise SimError(422, texts.EMPTY_TEXT)
    if len(content) > MAX_TEXT:
        raise SimError(422, texts.TEXT_TOO_LONG.format(limit=MAX_TEXT))
    with peer.store.begin() as connection:
        found = _friend(connection, corp, staff, openid)
        bubble = _say(connection, corp, staff, openid, "staff" if by_staff else "person", content, peer.now())
        if found["removed_at"] is not None:
            _say(connection, corp, staff, openid, "system", texts.NOT_FRIENDS_NOW, peer.now())
        run(connection, "update sim.contacts set talked_at = :now where account = :account and userid = :userid "
            "and external_userid = :external", now=peer.now(), account=corp.account, userid=staff.userid,
            external=found["external_userid"])
    return {"bubble_id": bubble}


def turn_tag(peer: Peer, openid: str, corp: SimCorp, staff: SimStaff, tag_id: str, *, on: bool) -> dict[str, Any]:
    """The member puts a tag on or takes it off by hand: this one is told as an event (edit_external_contact)."""
    with peer.store.begin() as connection:
        found = contacts.find(connection, corp, staff.userid, contacts.external_id(corp, openid))
        if found is None or found["removed_at"] is not None:
            raise _strangers(connection, openid, staff)
        if row(connection, "select 1 as one from sim.corp_tags where id = :id and account = :account", id=tag_id,
               account=corp.account) is None:
            raise SimError(404, texts.NO_TAG)
        sql = ("insert into sim.marks values (:account, :userid, :external, :tag) on conflict do nothing" if on else
               "delete from sim.marks where account = :account and userid = :userid and external_userid = :external "
               "and tag_id = :tag")
        run(connection, sql, account=corp.account, userid=staff.userid, external=found["external_userid"], tag=tag_id)
        fields: Fields = [("UserID", staff.userid), ("ExternalUserID", found["external_userid"])]
        if found["state"]:
            fields.append(("State", found["state"]))
        delivery = _event(peer, connection, corp, openid, "edit_external_contact", fields)
    deliveries.send(peer, [delivery])
    return {"delivery_id": delivery}


def confirm(peer: Peer, corp: SimCorp, staff: SimStaff, msgid: str) -> None:
    """The member sends a mass message that waits. Nobody is told: the corp has to ask."""
    with peer.store.begin() as connection:
        if row(connection, "select 1 as one from sim.mass_staff where msgid = :msgid and userid = :userid",
               msgid=msgid, userid=staff.userid) is None:
            raise SimError(404, texts.NO_TASK)
        if not mass.confirm(connection, corp, msgid, staff.userid, peer.now()):
            raise SimError(409, texts.TASK_OVER)
