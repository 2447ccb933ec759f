"""The people with phones: who follows, what may be sent to them, what their chats show.

Every function takes an open Connection and never commits. ``now`` is business time.
"""

import base64
import hashlib
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection

from bot.simulator import texts
from bot.simulator.errors import ApiError, SimError
from bot.simulator.store import Row, dump, lock_feed, row, rows, run

MAX_PEOPLE = 24
MAX_NAME = 20
JOINER = "\u200d"
"""Holds an emoji family together: in names it is common, and no control character."""
WINDOWS = {"message": (5, timedelta(hours=48)), "tap": (3, timedelta(minutes=1))}
"""Rights to send: a message opens five in 48 h; a follow, scan or menu tap three in one minute."""
FEED_LIMIT = 300


def openid_for(app_id: str, name: str) -> str:
    """The openid of this name under this account: the same in every simulator, 28 characters."""
    digest = hashlib.sha256(f"{app_id}\n{name}".encode()).digest()
    return "o" + base64.urlsafe_b64encode(digest).decode()[:27]


def unionid_for(openid: str) -> str:
    """The unionid of this phone, under every account that is bound to the same open platform: 28 characters."""
    return "oU" + base64.urlsafe_b64encode(hashlib.sha256(f"union\n{openid}".encode()).digest()).decode()[:26]


def add(connection: Connection, *, account: str, app_id: str, name: str, now: datetime) -> Row:
    """A new person who follows nobody yet. Raises SimError."""
    name = name.strip()
    if not 1 <= len(name) <= MAX_NAME or not name.replace(JOINER, "").isprintable():
        raise SimError(422, texts.BAD_NAME)
    if len(rows(connection, "select 1 as one from sim.people")) >= MAX_PEOPLE:
        raise SimError(409, texts.TOO_MANY_PEOPLE.format(limit=MAX_PEOPLE))
    made = row(connection, """
        insert into sim.people (openid, account, name, created_at) values (:openid, :account, :name, :now)
        on conflict do nothing returning *""", openid=openid_for(app_id, name), account=account, name=name, now=now)
    if made is None:
        raise SimError(409, texts.NAME_TAKEN.format(name=name))
    return made


def find(connection: Connection, openid: str, *, account: str | None = None) -> Row | None:
    found = row(connection, "select * from sim.people where openid = :openid", openid=openid)
    return found if found and account in (None, found["account"]) else None


def get(connection: Connection, openid: str) -> Row:
    """The person, locked for this transaction. Raises SimError 404."""
    found = row(connection, "select * from sim.people where openid = :openid for update", openid=openid)
    if found is None:
        raise SimError(404, texts.NO_PERSON)
    return found


def get_follower(connection: Connection, openid: str) -> Row:
    """The person, who must be following. Raises SimError 404 or 409."""
    found = get(connection, openid)
    if not found["following"]:
        raise SimError(409, texts.NOT_FOLLOWING.format(name=found["name"]))
    return found


def follow(connection: Connection, openid: str, *, scene: str, how: str, now: datetime) -> None:
    run(connection, """
        update sim.people set following = true, subscribed_at = :now, subscribe_scene = :how, qr_scene = :scene
        where openid = :openid""", openid=openid, now=now, how=how, scene=scene)
    grant(connection, openid, "tap", now)


def unfollow(connection: Connection, openid: str) -> None:
    """Leaves, and with it goes every right to send."""
    run(connection, "update sim.people set following = false, typing_until = null where openid = :openid",
        openid=openid)
    run(connection, "delete from sim.rights where openid = :openid", openid=openid)


def grant(connection: Connection, openid: str, kind: str, now: datetime) -> None:
    """Open a window, or refill and prolong the one that is open (it never adds up)."""
    count, length = WINDOWS[kind]
    run(connection, """
        insert into sim.rights (openid, kind, left_count, until) values (:openid, :kind, :count, :until)
        on conflict (openid, kind) do update set left_count = excluded.left_count, until = excluded.until""",
        openid=openid, kind=kind, count=count, until=now + length)


def spend(connection: Connection, openid: str, now: datetime) -> None:
    """Use one right, of the window that ends first. Raises ApiError 45015 (none open) or 45047 (used up)."""
    windows = rows(connection, """
        select kind, left_count from sim.rights where openid = :openid and until > :now
        order by until for update""", openid=openid, now=now)
    if not windows:
        raise ApiError(45015)
    kind = next((window["kind"] for window in windows if window["left_count"] > 0), None)
    if kind is None:
        raise ApiError(45047)
    run(connection, "update sim.rights set left_count = left_count - 1 where openid = :openid and kind = :kind",
        openid=openid, kind=kind)


def has_message_window(connection: Connection, openid: str, now: datetime) -> bool:
    """Whether the person wrote within 48 h: what 'typing' asks for."""
    return row(connection, "select 1 as one from sim.rights where openid = :openid and kind = 'message' "
               "and until > :now", openid=openid, now=now) is not None


def set_typing(connection: Connection, openid: str, until: datetime | None) -> None:
    run(connection, "update sim.people set typing_until = :until where openid = :openid", openid=openid, until=until)


def say(connection: Connection, openid: str, side: str, kind: str, body: dict[str, Any], now: datetime, *,
        chat: str = "") -> int:
    """A bubble on the phone; returns its id. ``side``: person, account, staff or system. ``chat``: '' is the account's,
    <corp>:<userid> that with a member of staff."""
    lock_feed(connection)
    made = row(connection, """
        insert into sim.bubbles (openid, chat, side, kind, body, at)
        values (:openid, :chat, :side, :kind, cast(:body as jsonb), :now) returning id""",
        openid=openid, chat=chat, side=side, kind=kind, body=dump(body), now=now)
    return int(made["id"]) if made else 0


def bubbles_after(connection: Connection, after: int) -> list[Row]:
    """Bubbles newer than ``after``, oldest first; of a longer history only the newest."""
    found = rows(connection, "select * from sim.bubbles where id > :after order by id desc limit :limit",
                 after=after, limit=FEED_LIMIT)
    return [{**bubble, "at": bubble["at"].isoformat()} for bubble in reversed(found)]


def overview(connection: Connection, now: datetime, real_now: datetime) -> list[dict[str, Any]]:
    """Everybody, as the page needs them: following, typing, rights left, callbacks in flight."""
    found = rows(connection, """
        select p.openid, p.account, p.name, p.following, coalesce(p.typing_until > :real_now, false) as typing,
            (select count(*) from sim.deliveries d
              where d.openid = p.openid and d.state = 'sending' and d.kind not in ('order', 'corp')) as in_flight,
            (select count(*) from sim.orders o where o.openid = p.openid) as orders
        from sim.people p order by p.position""", real_now=real_now)
    windows = rows(connection, "select openid, kind, left_count, until from sim.rights where until > :now", now=now)
    for person in found:
        person["rights"] = {
            window["kind"]: {"left": window["left_count"], "seconds": int((window["until"] - now).total_seconds())}
            for window in windows if window["openid"] == person["openid"]}
    return found
