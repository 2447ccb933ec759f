"""What people allow on the platform's sheet: one yes is one subscription notice of one template; and their no."""

from typing import Any

from sqlalchemy import Connection

from bot.simulator import deliveries, people, texts
from bot.simulator.config import SimTemplate
from bot.simulator.errors import SimError
from bot.simulator.peer import Peer
from bot.simulator.store import row, rows, run
from bot.simulator.wire import Fields

SHEET = 1
"""Where the sheet was shown: 1 is a web page."""


def answer(peer: Peer, openid: str, accept: list[Any], reject: list[Any]) -> dict[str, Any]:
    """The person answers the sheet: yes to ``accept``, no to ``reject`` (template ids). One event tells of all."""
    told = [(_known(peer, one), "accept") for one in accept] + [(_known(peer, one), "reject") for one in reject]
    if not told or len({one.template_id for one, _ in told}) < len(told):
        raise SimError(422, texts.SUBSCRIBE_WHAT)
    with peer.store.begin() as connection:
        person = people.get(connection, openid)
        for one, status in told:
            if status == "accept":
                run(connection, """
                    insert into sim.permissions (openid, template_id, left_count) values (:openid, :template, 1)
                    on conflict (openid, template_id) do update set left_count = sim.permissions.left_count + 1""",
                    openid=openid, template=one.template_id)
        items: Fields = [("List", [("TemplateId", one.template_id), ("SubscribeStatusString", status),
                                   ("PopupScene", SHEET)]) for one, status in told]
        delivery = deliveries.queue_event(peer, connection, person, "subscribe_msg_popup_event",
                                          [("SubscribeMsgPopupEvent", items)])
    deliveries.send(peer, [delivery])
    return {"delivery_id": delivery}


def switch_off(peer: Peer, openid: str, template_id: str) -> dict[str, Any]:
    """In the settings of the account the person refuses a template: what they allowed before is gone too."""
    known = _known(peer, template_id)
    with peer.store.begin() as connection:
        person = people.get(connection, openid)
        run(connection, "delete from sim.permissions where openid = :openid and template_id = :template",
            openid=openid, template=known.template_id)
        item: Fields = [("TemplateId", known.template_id), ("SubscribeStatusString", "reject")]
        # The platform's own sample wraps a change in the tag of the popup; so do we.
        delivery = deliveries.queue_event(peer, connection, person, "subscribe_msg_change_event",
                                          [("SubscribeMsgPopupEvent", [("List", item)])])
    deliveries.send(peer, [delivery])
    return {"delivery_id": delivery}


def spend(connection: Connection, openid: str, template_id: str) -> bool:
    """Use one yes; False when none is left."""
    return run(connection, "update sim.permissions set left_count = left_count - 1 "
               "where openid = :openid and template_id = :template and left_count > 0",
               openid=openid, template=template_id) == 1


def left(connection: Connection) -> dict[str, dict[str, int]]:
    """openid -> template id -> messages that are allowed."""
    found: dict[str, dict[str, int]] = {}
    for one in rows(connection, "select openid, template_id, left_count from sim.permissions where left_count > 0"):
        found.setdefault(one["openid"], {})[one["template_id"]] = one["left_count"]
    return found


def offered(peer: Peer, connection: Connection, openid: str) -> list[dict[str, Any]]:
    """The sheet of one person: what may be allowed, and how many are."""
    if row(connection, "select 1 as one from sim.people where openid = :openid", openid=openid) is None:
        raise SimError(404, texts.NO_PERSON)
    mine = left(connection).get(openid, {})
    return [{"id": one.template_id, "title": one.title, "left": mine.get(one.template_id, 0),
             "fields": list(one.fields.values())} for one in peer.config.templates if one.offered]


def _known(peer: Peer, template_id: Any) -> SimTemplate:
    found = next((one for one in peer.config.templates if one.template_id == template_id and one.offered), None)
    if found is None:
        raise SimError(404, texts.NO_TEMPLATE)
    return found
