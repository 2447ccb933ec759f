"""What went over the wire, for people: callbacks, order events and API calls in one list, newest first."""

from datetime import datetime
from typing import Any

from sqlalchemy import Connection

from bot.simulator.store import Row, rows

PAGE = 60

_SQL = """
select * from (
    select 'callback' as source, id, kind, openid, label, body, state, tries, log, null::jsonb as detail,
        0 as errcode, 0 as status, 0 as millis, started_at
    from sim.deliveries where :openid = '' or openid = :openid
    union all
    select 'api', id, 'api', openid, api, '', '', 1, '[]'::jsonb, detail, errcode, status, millis, started_at
    from sim.calls where :openid = '' or openid = :openid
) entries where cast(:before as timestamptz) is null or started_at < :before
order by started_at desc, id desc limit :limit
"""


def entries(connection: Connection, openid: str, before: datetime | None) -> list[dict[str, Any]]:
    """Up to 60 entries older than ``before``. ``source`` is callback, event (an order's) or api.

    A callback carries ``inner`` (the plain XML) and ``attempts``; an API call ``detail``, ``errcode``, ``millis``.
    """
    return [_entry(one) for one in rows(connection, _SQL, openid=openid, before=before, limit=PAGE)]


def _entry(one: Row) -> dict[str, Any]:
    head = {"id": f"{one['source']}-{one['id']}", "openid": one["openid"], "label": one["label"],
            "started_at": one["started_at"].isoformat()}
    if one["source"] == "api":
        return {**head, "source": "api", "errcode": one["errcode"], "status": one["status"],
                "millis": one["millis"], "detail": one["detail"]}
    return {**head, "source": "event" if one["kind"] == "order" else "callback", "state": one["state"],
            "tries": one["tries"], "inner": one["body"], "attempts": one["log"],
            "millis": one["log"][-1]["millis"] if one["log"] else 0}
