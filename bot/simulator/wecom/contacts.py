"""Who is whose contact: the customers of the staff, as the API shows them and as the page does.

Functions take an open Connection and never commit. ``now`` is business time.
"""

import base64
import hashlib
from datetime import datetime
from typing import Any

from sqlalchemy import Connection

from bot.simulator import people
from bot.simulator.config import SimCorp, SimStaff
from bot.simulator.store import Row, row, rows, run
from bot.simulator.wecom.endpoint import OK, Answer, Call, Endpoint
from bot.simulator.wecom.errors import CorpError

MAX_REMARK, MAX_DESCRIPTION = 20, 150
PAGE = 100
BY_CODE, BY_SEARCH = 1, 2
"""add_way: scanned a code; found by name or number."""


def external_id(corp: SimCorp, openid: str) -> str:
    """The external_userid of a phone in a corp: one for all its staff, another in every corp."""
    digest = hashlib.sha256(f"{corp.corp_id}\n{openid}".encode()).digest()
    return "wm" + base64.urlsafe_b64encode(digest).decode()[:30]


def chat_of(corp: SimCorp, staff: SimStaff) -> str:
    """The name of a chat with a member of staff on every phone."""
    return f"{corp.account}:{staff.userid}"


def find(connection: Connection, corp: SimCorp, userid: str, external: str) -> Row | None:
    """The contact, locked, also one that was deleted."""
    return row(connection, """
        select * from sim.contacts
        where account = :account and userid = :userid and external_userid = :external for update""",
        account=corp.account, userid=userid, external=external)


def of_staff(call: Call, userid: object, external: object) -> Row:
    """A contact that the member has, also of a customer who deleted them. CorpError 40003, 40096 or 84061."""
    staff = call.staff(userid)
    known(call, external)
    found = find(call.connection, call.corp, staff.userid, str(external))
    if found is None or found["removed_at"] is not None:
        raise CorpError(84061)
    return found


def known(call: Call, external: object) -> list[Row]:
    """Every contact that this customer ever was. CorpError 40096 for a stranger."""
    found = rows(call.connection, """
        select * from sim.contacts where account = :account and external_userid = :external order by position""",
        account=call.corp.account, external=external) if isinstance(external, str) else []
    if not found:
        raise CorpError(40096)
    return found


def followers(call: Call) -> Answer:
    """GET externalcontact/get_follow_user_list."""
    return {**OK, "follow_user": [one.userid for one in call.corp.staff]}


def listed(call: Call) -> Answer:
    """GET externalcontact/list?userid=: 84061 for a member without customers."""
    staff = call.staff(call.query.get("userid"))
    found = rows(call.connection, """
        select external_userid from sim.contacts
        where account = :account and userid = :userid and removed_at is null order by position""",
        account=call.corp.account, userid=staff.userid)
    if not found:
        raise CorpError(84061)
    return {**OK, "external_userid": [one["external_userid"] for one in found]}


def get(call: Call) -> Answer:
    """GET externalcontact/get?external_userid=: with the unionid, whether or not the phone follows the account."""
    found = known(call, call.query.get("external_userid"))
    kept = [one for one in found if one["removed_at"] is None]
    if not kept:
        raise CorpError(84061)
    person = people.get(call.connection, kept[0]["openid"])
    return {**OK, "external_contact": {
        "external_userid": kept[0]["external_userid"], "name": person["name"], "type": 1, "avatar": "", "gender": 0,
        "unionid": people.unionid_for(person["openid"])}, "follow_user": [_follower(call, one) for one in kept]}


def _follower(call: Call, contact: Row) -> dict[str, Any]:
    return {
        "userid": contact["userid"], "remark": contact["remark"], "description": contact["description"],
        "createtime": int(contact["added_at"].timestamp()), "tags": tags_of(call.connection, contact),
        "remark_mobiles": [], "oper_userid": contact["external_userid"], "add_way": contact["add_way"],
        "state": contact["state"]}


def tags_of(connection: Connection, contact: Row) -> list[dict[str, Any]]:
    """The tags that a member has put on a customer, as the API gives them."""
    found = rows(connection, """
        select g.name as group_name, t.name as tag_name, t.id as tag_id from sim.marks m
        join sim.corp_tags t on t.id = m.tag_id join sim.corp_tag_groups g on g.id = t.group_id
        where m.account = :account and m.userid = :userid and m.external_userid = :external order by t.position""",
        account=contact["account"], userid=contact["userid"], external=contact["external_userid"])
    return [{**one, "type": 1} for one in found]


def remark(call: Call) -> Answer:
    """POST externalcontact/remark {userid, external_userid, remark?, description?}."""
    contact = of_staff(call, call.body.get("userid"), call.body.get("external_userid"))
    wanted = {"remark": call.maybe_text("remark", MAX_REMARK),
              "description": call.maybe_text("description", MAX_DESCRIPTION)}
    run(call.connection, """
        update sim.contacts set remark = coalesce(nullif(:remark, ''), remark),
            description = coalesce(nullif(:description, ''), description)
        where account = :account and userid = :userid and external_userid = :external""",
        account=contact["account"], userid=contact["userid"], external=contact["external_userid"], **wanted)
    return OK


def add(connection: Connection, corp: SimCorp, staff: SimStaff, openid: str, *, state: str, way: int,
        now: datetime) -> Row:
    """Make them friends; what the member kept of somebody who only deleted the member stays."""
    made = row(connection, """
        insert into sim.contacts as c (account, userid, external_userid, openid, state, add_way, added_at)
        values (:account, :userid, :external, :openid, :state, :way, :now)
        on conflict (account, userid, external_userid) do update set state = excluded.state,
            add_way = excluded.add_way, added_at = excluded.added_at, left_at = null, removed_at = null,
            talked_at = null
        returning *""", account=corp.account, userid=staff.userid, external=external_id(corp, openid), openid=openid,
        state=state, way=way, now=now)
    assert made is not None
    return made


def of_phones(connection: Connection) -> list[dict[str, Any]]:
    """Every contact for the page: {openid, chat, account, userid, friends, state, tags: [name]}."""
    return rows(connection, """
        select c.openid, c.account, c.userid, c.account || ':' || c.userid as chat, c.state,
            c.left_at is null and c.removed_at is null as friends, c.left_at is not null as gone,
            c.removed_at is not null as removed, c.external_userid,
            coalesce((select json_agg(t.name order by t.position) from sim.marks m
                      join sim.corp_tags t on t.id = m.tag_id
                      where m.account = c.account and m.userid = c.userid
                        and m.external_userid = c.external_userid), '[]'::json) as tags
        from sim.contacts c order by c.position""")


ENDPOINTS = {
    "externalcontact/get_follow_user_list": Endpoint(followers, post=False),
    "externalcontact/list": Endpoint(listed, post=False),
    "externalcontact/get": Endpoint(get, post=False),
    "externalcontact/remark": Endpoint(remark),
}
