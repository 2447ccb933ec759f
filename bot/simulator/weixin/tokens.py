"""access_token: minted, repeated, forced, killed and expired exactly as the two token APIs do it; the ticket for pages.
Real time only."""

import re
import secrets
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection

from bot.simulator.config import SimAccount
from bot.simulator.errors import ApiError
from bot.simulator.peer import Peer
from bot.simulator.store import lock, row, run
from bot.simulator.weixin.endpoint import Answer, Call, Endpoint

LIFE = timedelta(seconds=7200)
OVERLAP = timedelta(minutes=5)
"""How long an old token lives beside its successor."""
FORCED_A_DAY = 20
FORCED_APART = timedelta(seconds=30)
_SHAPE = re.compile(r"[0-9]{2}_[A-Za-z0-9_-]{40,500}")
_TOKEN_LOCK = 0x51_4D_00_03


def authenticate(connection: Connection, peer: Peer, token: str, now: datetime) -> SimAccount:
    """The account a token speaks for. Raises ApiError 41001, 40014, 42001 or 40001."""
    if not token:
        raise ApiError(41001)
    if not _SHAPE.fullmatch(token):
        raise ApiError(40014)
    found = row(connection, "select app_id, killed, expires_at from sim.tokens where token = :token", token=token)
    account = peer.config.by_app_id(found["app_id"]) if found else None
    if found is None or account is None or found["killed"]:
        raise ApiError(40001)
    if found["expires_at"] <= now:
        raise ApiError(42001)
    return account


def _known(peer: Peer, app_id: object, secret: object, grant_type: object) -> SimAccount:
    if grant_type != "client_credential":
        raise ApiError(40002)
    if not app_id:
        raise ApiError(41002)
    account = peer.config.by_app_id(app_id) if isinstance(app_id, str) else None
    if account is None:
        raise ApiError(40013)
    if not secret:
        raise ApiError(41004)
    if not isinstance(secret, str) or not secrets.compare_digest(secret.encode(), account.app_secret.encode()):
        raise ApiError(40125)
    return account


def _mint(call: Call, account: SimAccount, kind: str) -> dict[str, Any]:
    """A new token; the previous one lives on for the overlap at most."""
    run(call.connection, "update sim.tokens set expires_at = least(expires_at, :soon) "
        "where app_id = :app_id and kind = :kind", soon=call.real_now + OVERLAP, app_id=account.app_id, kind=kind)
    run(call.connection, "delete from sim.tokens where expires_at < :old", old=call.real_now - timedelta(days=1))
    token = f"{80 + secrets.randbelow(20)}_{secrets.token_urlsafe(99)}"
    run(call.connection, """
        insert into sim.tokens (token, app_id, kind, issued_at, expires_at)
        values (:token, :app_id, :kind, :now, :until)""",
        token=token, app_id=account.app_id, kind=kind, now=call.real_now, until=call.real_now + LIFE)
    return {"access_token": token, "expires_in": int(LIFE.total_seconds())}


def plain_token(call: Call) -> Answer:
    """GET /cgi-bin/token: every call mints."""
    account = _known(call.peer, call.query.get("appid"), call.query.get("secret"), call.query.get("grant_type"))
    lock(call.connection, _TOKEN_LOCK)
    return _mint(call, account, "plain")


def stable_token(call: Call) -> Answer:
    """POST /cgi-bin/stable_token: the same token until five minutes before its end, unless forced."""
    account = _known(call.peer, call.body.get("appid"), call.body.get("secret"), call.body.get("grant_type"))
    forced = call.body.get("force_refresh", False)
    if not isinstance(forced, bool):
        raise ApiError(47001, "hint: [force_refresh] is not a boolean")
    lock(call.connection, _TOKEN_LOCK)
    if forced and _may_force(call, account):
        run(call.connection, "insert into sim.forced (app_id, at) values (:app_id, :now)",
            app_id=account.app_id, now=call.real_now)
        answer = _mint(call, account, "stable")
        run(call.connection, "update sim.tokens set killed = true where app_id = :app_id and kind = 'stable' "
            "and token <> :token", app_id=account.app_id, token=answer["access_token"])
        return answer
    return _current(call, account) or _mint(call, account, "stable")


def _current(call: Call, account: SimAccount) -> Answer | None:
    found = row(call.connection, """
        select token, expires_at from sim.tokens
        where app_id = :app_id and kind = 'stable' and not killed and expires_at > :soon
        order by issued_at desc, expires_at desc limit 1""", app_id=account.app_id, soon=call.real_now + OVERLAP)
    if found is None:
        return None
    return {"access_token": found["token"], "expires_in": int((found["expires_at"] - call.real_now).total_seconds())}


def page_ticket(call: Call) -> Answer:
    """GET ticket/getticket: the ticket that signs pages, the same until shortly before its end."""
    if call.query.get("type") != "jsapi":
        raise ApiError(40097)
    found = row(call.connection, """
        select token, expires_at from sim.tokens where app_id = :app_id and kind = 'jsapi' and expires_at > :soon
        order by expires_at desc limit 1""", app_id=call.account.app_id, soon=call.real_now + OVERLAP)
    ticket, until = (found["token"], found["expires_at"]) if found else (
        f"kgt8{secrets.token_urlsafe(60)}", call.real_now + LIFE)
    if found is None:
        run(call.connection, """
            insert into sim.tokens (token, app_id, kind, issued_at, expires_at)
            values (:token, :app_id, 'jsapi', :now, :until)""",
            token=ticket, app_id=call.account.app_id, now=call.real_now, until=until)
    return {"errcode": 0, "errmsg": "ok", "ticket": ticket,
            "expires_in": int((until - call.real_now).total_seconds())}


def _may_force(call: Call, account: SimAccount) -> bool:
    """Twenty a day and thirty seconds apart; beyond that nothing is refreshed and nothing is said."""
    found = row(call.connection, """
        select count(*) as used, max(at) as last from sim.forced where app_id = :app_id and at > :since""",
        app_id=account.app_id, since=call.real_now - timedelta(days=1))
    if found is None or found["last"] is None:
        return True
    return bool(found["used"] < FORCED_A_DAY) and bool(call.real_now - found["last"] >= FORCED_APART)


ENDPOINTS = {
    "token": Endpoint(plain_token, method="GET", body="none", daily=2_000, token=False),
    "stable_token": Endpoint(stable_token, daily=500_000, token=False),
    "ticket/getticket": Endpoint(page_ticket, method="GET", body="none", daily=1_000_000),
}
