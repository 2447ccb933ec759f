"""access_token of an application: asked for again it is the same one, for two hours of real time."""

import re
import secrets
from datetime import datetime, timedelta

from sqlalchemy import Connection

from bot.simulator.config import SimCorp
from bot.simulator.peer import Peer
from bot.simulator.store import lock, row, run
from bot.simulator.wecom.endpoint import OK, Answer, Call, Endpoint
from bot.simulator.wecom.errors import CorpError

LIFE = timedelta(seconds=7200)
_SHAPE = re.compile(r"[A-Za-z0-9_-]{60,512}")
_TOKEN_LOCK = 0x51_4D_00_05


def get(call: Call) -> Answer:
    """GET gettoken?corpid=&corpsecret=: 40013 for an unknown corp, 40001 for a secret of none of its applications."""
    corp_id, secret = call.query.get("corpid"), call.query.get("corpsecret")
    if not corp_id:
        raise CorpError(41002)
    if not secret:
        raise CorpError(41004)
    corps = call.peer.config.corp_of(corp_id)
    if not corps:
        raise CorpError(40013)
    corp = next((one for one in corps if secrets.compare_digest(one.secret.encode(), secret.encode())), None)
    if corp is None:
        raise CorpError(40001)
    lock(call.connection, _TOKEN_LOCK)
    found = row(call.connection, """
        select token, expires_at from sim.tokens
        where app_id = :app and kind = 'corp' and not killed and expires_at > :now order by issued_at desc limit 1""",
        app=_app(corp), now=call.real_now)
    if found is None:
        found = {"token": secrets.token_urlsafe(150), "expires_at": call.real_now + LIFE}
        run(call.connection, """
            insert into sim.tokens (token, app_id, kind, issued_at, expires_at)
            values (:token, :app, 'corp', :now, :until)""",
            token=found["token"], app=_app(corp), now=call.real_now, until=found["expires_at"])
    return {**OK, "access_token": found["token"],
            "expires_in": max(1, int((found["expires_at"] - call.real_now).total_seconds()))}


def authenticate(connection: Connection, peer: Peer, token: str, now: datetime) -> SimCorp:
    """The application a token speaks for. Raises CorpError 41001, 40014 or 42001."""
    if not token:
        raise CorpError(41001)
    found = row(connection, "select app_id, killed, expires_at from sim.tokens where token = :token and kind = 'corp'",
                token=token) if _SHAPE.fullmatch(token) else None
    corp = next((one for one in peer.config.corps if found and _app(one) == found["app_id"]), None)
    if found is None or corp is None or found["killed"]:
        raise CorpError(40014)
    if found["expires_at"] <= now:
        raise CorpError(42001)
    return corp


def _app(corp: SimCorp) -> str:
    return f"{corp.corp_id}:{corp.agent_id}"


ENDPOINTS = {"gettoken": Endpoint(get, post=False, token=False, customers=False)}
