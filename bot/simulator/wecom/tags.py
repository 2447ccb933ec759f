"""Tags of a corp, and who carries them."""

import secrets
from typing import Any

from bot.simulator.store import Row, row, rows, run
from bot.simulator.wecom import contacts
from bot.simulator.wecom.endpoint import OK, Answer, Call, Endpoint
from bot.simulator.wecom.errors import CorpError

MAX_NAME = 30
MAX_TAGS = 3_000
MARKS_AT_ONCE = 5
"""Calls of mark_tag that a corp may have open at a time."""


def listed(call: Call) -> Answer:
    """POST externalcontact/get_corp_tag_list {tag_id?, group_id?}: all without a filter."""
    wanted, groups = call.strings("tag_id", MAX_TAGS), call.strings("group_id", MAX_TAGS)
    found = rows(call.connection, """
        select t.*, g.name as group_name, g.created_at as group_at, g.position as place from sim.corp_tags t
        join sim.corp_tag_groups g on g.id = t.group_id where t.account = :account
          and (not :filtered or t.id = any(:tags) or t.group_id = any(:groups))
        order by g.position, t.position""",
        account=call.corp.account, filtered=bool(wanted or groups), tags=wanted, groups=groups)
    shown: dict[str, list[Row]] = {}
    for one in found:
        shown.setdefault(one["group_id"], []).append(one)
    return {**OK, "tag_group": [_group(one) for one in shown.values()]}


def _group(tags: list[Row]) -> dict[str, Any]:
    first = tags[0]
    return {"group_id": first["group_id"], "group_name": first["group_name"],
            "create_time": int(first["group_at"].timestamp()), "order": 0, "tag": [
                {"id": one["id"], "name": one["name"], "create_time": int(one["created_at"].timestamp()), "order": 0}
                for one in tags]}


def add(call: Call) -> Answer:
    """POST externalcontact/add_corp_tag {group_id | group_name, tag: [{name}]}: a known name of a group reuses it."""
    names = _names(call)
    group = _group_for(call)
    held = {one["name"] for one in rows(call.connection, "select name from sim.corp_tags where group_id = :id",
                                        id=group["id"])}
    if held & set(names):
        raise CorpError(40071)
    used = row(call.connection, "select count(*) as n from sim.corp_tags where account = :account",
               account=call.corp.account)
    if used and used["n"] + len(names) > MAX_TAGS:
        raise CorpError(40058, f"more than {MAX_TAGS} tags")
    for name in names:
        run(call.connection, "insert into sim.corp_tags (id, group_id, account, name, created_at) "
            "values (:id, :group, :account, :name, :now)", id=_id(), group=group["id"], account=call.corp.account,
            name=name, now=call.now)
    made = rows(call.connection, """
        select t.*, g.name as group_name, g.created_at as group_at from sim.corp_tags t
        join sim.corp_tag_groups g on g.id = t.group_id where g.id = :id and t.name = any(:names)
        order by t.position""", id=group["id"], names=names)
    return {**OK, "tag_group": _group(made)}


def _id() -> str:
    return "et" + secrets.token_urlsafe(22)


def _names(call: Call) -> list[str]:
    tags = call.body.get("tag")
    if not isinstance(tags, list) or not tags:
        raise CorpError(40058, "tag")
    names = [one.get("name") if isinstance(one, dict) else None for one in tags]
    good = [one for one in names if isinstance(one, str) and 1 <= len(one) <= MAX_NAME]
    if len(good) < len(names) or len(set(good)) < len(good):
        raise CorpError(40058, "tag name")
    return good


def _group_for(call: Call) -> Row:
    group_id = call.maybe_text("group_id")
    if group_id:
        found = row(call.connection, "select * from sim.corp_tag_groups where id = :id and account = :account "
                    "for update", id=group_id, account=call.corp.account)
        if found is None:
            raise CorpError(40068)
        return found
    name = call.text("group_name", most=MAX_NAME)
    run(call.connection, "insert into sim.corp_tag_groups (id, account, name, created_at) "
        "values (:id, :account, :name, :now) on conflict (account, name) do nothing",
        id=_id(), account=call.corp.account, name=name, now=call.now)
    made = row(call.connection, "select * from sim.corp_tag_groups where account = :account and name = :name "
               "for update", account=call.corp.account, name=name)
    assert made is not None
    return made


def delete(call: Call) -> Answer:
    """POST externalcontact/del_corp_tag {tag_id?, group_id?}: a group goes with its last tag."""
    wanted, groups = call.strings("tag_id", MAX_TAGS), call.strings("group_id", MAX_TAGS)
    if not wanted and not groups:
        raise CorpError(40063)
    gone = run(call.connection, "delete from sim.corp_tags where account = :account and "
               "(id = any(:tags) or group_id = any(:groups))", account=call.corp.account, tags=wanted, groups=groups)
    if not gone:
        raise CorpError(40068)
    run(call.connection, "delete from sim.corp_tag_groups g where account = :account and not exists "
        "(select from sim.corp_tags t where t.group_id = g.id)", account=call.corp.account)
    return OK


def mark(call: Call) -> Answer:
    """POST externalcontact/mark_tag {userid, external_userid, add_tag?, remove_tag?}: one pair at a time."""
    contact = contacts.of_staff(call, call.body.get("userid"), call.body.get("external_userid"))
    added, removed = call.strings("add_tag", MAX_TAGS), call.strings("remove_tag", MAX_TAGS)
    if not added and not removed:
        raise CorpError(40063)
    found = {one["id"] for one in rows(
        call.connection, "select id from sim.corp_tags where account = :account and id = any(:ids)",
        account=call.corp.account, ids=[*added, *removed])}
    if not {*added, *removed} <= found:
        raise CorpError(40068)
    pair = {"account": contact["account"], "userid": contact["userid"], "external": contact["external_userid"]}
    run(call.connection, "delete from sim.marks where account = :account and userid = :userid and "
        "external_userid = :external and tag_id = any(:ids)", ids=removed, **pair)
    run(call.connection, "insert into sim.marks select :account, :userid, :external, unnest(cast(:ids as text[])) "
        "on conflict do nothing", ids=added, **pair)
    return OK


ENDPOINTS = {
    "externalcontact/get_corp_tag_list": Endpoint(listed),
    "externalcontact/add_corp_tag": Endpoint(add),
    "externalcontact/del_corp_tag": Endpoint(delete),
    "externalcontact/mark_tag": Endpoint(mark, at_once=MARKS_AT_ONCE),
}
