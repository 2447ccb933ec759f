"""Rights to send for many messages at once: which windows are open, and one message out of each, in two statements."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

import msgspec
from sqlalchemy.orm import Session

from domain.platform.service import Right, Window
from domain.shared import trips


@dataclass(frozen=True, slots=True, order=True)
class Wanted:
    """One message to one follower. ``reserve`` rights are left alone, over both windows."""

    account: str
    openid: str
    reserve: int = 0


_OPEN = """
    select r.account, r.openid, r.tap_until, r.message_until,
           case when r.tap_until > %(now)s then r.tap_left else 0 end as tap,
           case when r.message_until > %(now)s then r.message_left else 0 end as message
      from send_right r
      join jsonb_to_recordset(%(wanted)s::jsonb) as w (account text, openid text) using (account, openid)
     order by r.account, r.openid for no key update of r skip locked
"""
_RESTING = "select app_id from platform_hold where api = %(api)s and until > %(now)s"
_USE = """
    update send_right r set tap_left = r.tap_left - w.tap, message_left = r.message_left - 1 + w.tap
      from jsonb_to_recordset(%(used)s::jsonb) as w (account text, openid text, tap bigint)
     where r.account = w.account and r.openid = w.openid
"""


def open_to(session: Session, wanted: Sequence[Wanted], now: datetime) -> dict[Wanted, Right]:
    """The right that each of these may use; nothing for those without one, or whose row somebody holds just now. As
    ``service.take`` picks it: the tap window first, because it dies sooner. Their rows are locked until the transaction
    ends, in the order of their keys; ``using`` takes what was found."""
    if not wanted:
        return {}
    rows = {(row.account, row.openid): row for row in trips.rows(session, _OPEN, {"wanted": _json(wanted), "now": now})}
    found = {}
    for one in wanted:
        row = rows.get((one.account, one.openid))
        if row is not None and row.tap + row.message > one.reserve:
            window: Window = "tap" if row.tap else "message"
            found[one] = Right(window, row.tap_until if row.tap else row.message_until)
    return found


def resting(session: Session, api: str, real_now: datetime) -> frozenset[str]:
    """The apps whose ``api`` is not to be called for now."""
    return frozenset(row.app_id for row in trips.rows(session, _RESTING, {"api": api, "now": real_now}))


def using(rights: dict[Wanted, Right]) -> trips.Closing:
    """The statement that uses the rights which ``open_to`` found in this transaction."""
    used = [{"account": one.account, "openid": one.openid, "tap": int(right.window == "tap")}
            for one, right in rights.items()]
    return trips.Closing(_USE, {"used": msgspec.json.encode(used).decode()})


def _json(wanted: Sequence[Wanted]) -> str:
    return msgspec.json.encode([{"account": one.account, "openid": one.openid} for one in wanted]).decode()


_RENEW = {
    "tap": """
        update send_right set tap_left = %(rights)s, tap_until = %(ends)s
         where account = %(account)s and openid = %(openid)s and (tap_until is null or tap_until <= %(ends)s)
    """,
    "message": """
        update send_right set message_left = %(rights)s, message_until = %(ends)s
         where account = %(account)s and openid = %(openid)s and (message_until is null or message_until <= %(ends)s)
    """,
}


def renewing(account: str, openid: str, window: Window, rights: int, ends: datetime) -> trips.Closing:
    """The statement that opens a window anew, as ``service.grant`` does, for somebody who has had one. Whoever lost all
    rights meanwhile (they left and were forgotten) gets none."""
    return trips.Closing(_RENEW[window], {"account": account, "openid": openid, "rights": rights, "ends": ends})


def as_good_as_new(left: int, until: datetime, rights: int, ends: datetime, now: datetime) -> bool:
    """Whether a window is full and would end later by less than a 500th (6 minutes of 48 hours) when opened anew. Who
    writes several times in a few minutes need not have it written each time."""
    return left >= rights and until >= ends - (ends - now) / 500
