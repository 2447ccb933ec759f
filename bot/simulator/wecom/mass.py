"""Mass messages of the corp: tasks that members of staff confirm with their own finger, followed by polling."""

import calendar
import secrets
from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy import Connection

from bot.simulator.config import SimCorp
from bot.simulator.store import Row, dump, row, rows, run
from bot.simulator.wecom import contents
from bot.simulator.wecom.endpoint import OK, Answer, Call, Endpoint
from bot.simulator.wecom.errors import CorpError

MAX_PEOPLE, MAX_PAGE, LIST_PAGE = 10_000, 1_000, 100
REMINDERS, REMINDED_WITHIN = 3, timedelta(hours=24)
LONGEST_LIST = timedelta(days=31)
UNSENT, SENT, NOT_FRIEND, CAP = 0, 1, 2, 3
"""Fates of one customer in a task. A member's own state is 0 unsent, 2 sent."""
_BEIJING = ZoneInfo("Asia/Shanghai")


def add(call: Call) -> Answer:
    """POST externalcontact/add_msg_template {chat_type?, external_userid?, sender?, text?, attachments?}.

    Customers that are nobody's contact (with a ``sender``: not the sender's) come back in fail_list, 41048 if nobody
    is left. A customer of several members is asked of the one who last had to do with them. There are no groups here.
    """
    if call.maybe_text("chat_type") not in ("", "single"):
        raise CorpError(48002, "no customer groups")
    wanted, sender = call.strings("external_userid", MAX_PEOPLE), call.maybe_text("sender")
    if not wanted and not sender:
        raise CorpError(40058, "external_userid and sender")
    userid = call.staff(sender).userid if sender else ""
    bubbles = contents.read(call)
    found = rows(call.connection, """
        select distinct on (external_userid) * from sim.contacts
        where account = :account and removed_at is null and (:userid = '' or userid = :userid)
          and (not :some or external_userid = any(:wanted))
        order by external_userid, coalesce(talked_at, added_at) desc""",
        account=call.corp.account, userid=userid, some=bool(wanted), wanted=wanted)
    if not found:
        raise CorpError(41048)
    msgid = "msg" + secrets.token_urlsafe(20)
    run(call.connection, "insert into sim.mass_tasks (msgid, account, body, created_at) "
        "values (:msgid, :account, cast(:body as jsonb), :now)", msgid=msgid, account=call.corp.account,
        body=dump(bubbles), now=call.now)
    for one in found:
        run(call.connection, "insert into sim.mass_staff (msgid, userid) values (:msgid, :userid) "
            "on conflict do nothing", msgid=msgid, userid=one["userid"])
        run(call.connection, "insert into sim.mass_people (msgid, userid, external_userid, openid) "
            "values (:msgid, :userid, :external, :openid)", msgid=msgid, userid=one["userid"],
            external=one["external_userid"], openid=one["openid"])
    reached = {one["external_userid"] for one in found}
    return {**OK, "fail_list": [one for one in wanted if one not in reached], "msgid": msgid}


def confirm(connection: Connection, corp: SimCorp, msgid: str, userid: str, now: datetime) -> bool:
    """The member taps "send"; False when there is nothing to send any more."""
    open_one = row(connection, """
        select t.body from sim.mass_staff s join sim.mass_tasks t on t.msgid = s.msgid
        where s.msgid = :msgid and s.userid = :userid and t.account = :account and s.sent_at is null
          and t.cancelled_at is null for update""", msgid=msgid, userid=userid, account=corp.account)
    if open_one is None:
        return False
    run(connection, "update sim.mass_staff set sent_at = :now where msgid = :msgid and userid = :userid",
        msgid=msgid, userid=userid, now=now)
    for person in rows(connection, """
            select p.*, c.account, c.left_at is not null or c.removed_at is not null as gone from sim.mass_people p
            join sim.contacts c on c.account = :account and c.userid = p.userid
                and c.external_userid = p.external_userid
            where p.msgid = :msgid and p.userid = :userid order by c.position""",
            msgid=msgid, userid=userid, account=corp.account):
        fate = NOT_FRIEND if person["gone"] else CAP if _full(connection, corp, person, now) else SENT
        run(connection, "update sim.mass_people set status = :fate, sent_at = :now where msgid = :msgid "
            "and userid = :userid and external_userid = :external", fate=fate, now=now, msgid=msgid, userid=userid,
            external=person["external_userid"])
        if fate == SENT:
            contents.show(_Moment(connection, now), person, open_one["body"], "mass")
    return True


class _Moment:
    def __init__(self, connection: Connection, now: datetime) -> None:
        self.connection, self.now = connection, now


def _full(connection: Connection, corp: SimCorp, person: Row, now: datetime) -> bool:
    """Whether the customer has had what a calendar month allows."""
    local = now.astimezone(_BEIJING)
    begin = local.replace(day=1, hour=0, minute=0, second=0, microsecond=0)
    had = row(connection, """
        select count(*) as n from sim.mass_people p join sim.mass_tasks t on t.msgid = p.msgid
        where t.account = :account and p.external_userid = :external and p.status = 1 and p.sent_at >= :begin""",
        account=corp.account, external=person["external_userid"], begin=begin)
    return bool(had and had["n"] >= (corp.monthly or calendar.monthrange(local.year, local.month)[1]))


def _task(call: Call) -> Row:
    found = row(call.connection, "select * from sim.mass_tasks where msgid = :msgid and account = :account for update",
                msgid=call.text("msgid", 41047), account=call.corp.account)
    if found is None:
        raise CorpError(41047)
    return found


def _page(call: Call, most: int) -> tuple[int, int]:
    """Offset and limit of a list. The cursor is opaque to the caller."""
    cursor = call.maybe_text("cursor") or "0"
    if not cursor.isdecimal() or len(cursor) > 9:
        raise CorpError(40058, "cursor")
    return int(cursor), call.whole("limit", most if most == LIST_PAGE else 500, 1, most)


def _listed(name: str, found: list[Row], offset: int, limit: int, shown: Any) -> Answer:
    return {**OK, name: [shown(one) for one in found[:limit]],
            "next_cursor": str(offset + limit) if len(found) > limit else ""}


def task(call: Call) -> Answer:
    """POST externalcontact/get_groupmsg_task {msgid, limit?, cursor?}: which members have sent."""
    known, (offset, limit) = _task(call), _page(call, MAX_PAGE)
    found = rows(call.connection, "select * from sim.mass_staff where msgid = :msgid order by userid "
                 "offset :offset limit :limit", msgid=known["msgid"], offset=offset, limit=limit + 1)
    return _listed("task_list", found, offset, limit, lambda one: {
        "userid": one["userid"], "status": 2 if one["sent_at"] else 0, **_sent(one)})


def result(call: Call) -> Answer:
    """POST externalcontact/get_groupmsg_send_result {msgid, userid, limit?, cursor?}: the fate of each customer."""
    known, (offset, limit) = _task(call), _page(call, MAX_PAGE)
    found = rows(call.connection, """
        select * from sim.mass_people where msgid = :msgid and userid = :userid order by external_userid
        offset :offset limit :limit""", msgid=known["msgid"], userid=call.staff(call.body.get("userid")).userid,
        offset=offset, limit=limit + 1)
    return _listed("send_list", found, offset, limit, lambda one: {
        "external_userid": one["external_userid"], "userid": one["userid"], "status": one["status"],
        **(_sent(one) if one["status"] == SENT else {})})


def _sent(one: Row) -> dict[str, int]:
    return {"send_time": int(one["sent_at"].timestamp())} if one["sent_at"] else {}


def remind(call: Call) -> Answer:
    """POST externalcontact/remind_groupmsg_send {msgid}: three a day; 41093 when everybody has sent."""
    known = _open(call)
    used = row(call.connection, "select count(*) as n from sim.mass_reminders where msgid = :msgid and at > :since",
               msgid=known["msgid"], since=call.now - REMINDED_WITHIN)
    if used and used["n"] >= REMINDERS:
        raise CorpError(41094)
    run(call.connection, "insert into sim.mass_reminders (msgid, at) values (:msgid, :now)", msgid=known["msgid"],
        now=call.now)
    run(call.connection, "update sim.mass_staff set reminded = reminded + 1 where msgid = :msgid and sent_at is null",
        msgid=known["msgid"])
    return OK


def cancel(call: Call) -> Answer:
    """POST externalcontact/cancel_groupmsg_send {msgid}: what is not sent never will be; what is sent stays."""
    run(call.connection, "update sim.mass_tasks set cancelled_at = :now where msgid = :msgid",
        msgid=_open(call)["msgid"], now=call.now)
    return OK


def _open(call: Call) -> Row:
    known = _task(call)
    waits = row(call.connection, "select 1 as one from sim.mass_staff where msgid = :msgid and sent_at is null limit 1",
                msgid=known["msgid"])
    if known["cancelled_at"] is not None or waits is None:
        raise CorpError(41093)
    return known


def listed(call: Call) -> Answer:
    """POST externalcontact/get_groupmsg_list_v2 {chat_type, start_time, end_time, filter_type?, limit?, cursor?}."""
    if call.text("chat_type") not in ("single", "group"):
        raise CorpError(40058, "chat_type")
    low, high = call.whole("start_time", -1, 0, 2**40), call.whole("end_time", -1, 0, 2**40)
    if not 0 <= high - low <= LONGEST_LIST.total_seconds():
        raise CorpError(40058, "start_time and end_time")
    offset, limit = _page(call, LIST_PAGE)
    personal = call.whole("filter_type", 2, 0, 2) == 1 or call.body["chat_type"] == "group"
    found = [] if personal else rows(call.connection, """
        select * from sim.mass_tasks where account = :account and extract(epoch from created_at) between :low and :high
        order by position offset :offset limit :limit""",
        account=call.corp.account, low=low, high=high, offset=offset, limit=limit + 1)
    return _listed("group_msg_list", found, offset, limit, lambda one: {
        "msgid": one["msgid"], "create_time": str(int(one["created_at"].timestamp())), "create_type": 0,
        "text": {"content": next((part["body"]["content"] for part in one["body"] if part["kind"] == "text"), "")},
        "attachments": []})


ENDPOINTS = {
    "externalcontact/add_msg_template": Endpoint(add),
    "externalcontact/get_groupmsg_task": Endpoint(task),
    "externalcontact/get_groupmsg_send_result": Endpoint(result),
    "externalcontact/remind_groupmsg_send": Endpoint(remind),
    "externalcontact/cancel_groupmsg_send": Endpoint(cancel),
    "externalcontact/get_groupmsg_list_v2": Endpoint(listed),
}
