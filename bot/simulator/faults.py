"""Faults on purpose: which call goes wrong, how, and how often. Switched on the page, kept in the store."""

from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection

from bot.simulator import texts
from bot.simulator.errors import SimError
from bot.simulator.store import Row, row, rows, run

CALLBACK = "callback"
EVERY_API = "*"
HTTP_FAULTS = {"http_500": 500, "http_502": 502, "http_503": 503}
ERRCODE_FAULTS = (40001, 42001, 45009, 45011, 45015, 45047, 40164, 43004, 43101, 47003, 48001, -1)
API_FAULTS = ("slow", *HTTP_FAULTS, "html", "lost", *(str(code) for code in ERRCODE_FAULTS))
CALLBACK_FAULTS = ("drop",)
PAY = "pay/"
PAY_FAULTS = ("slow", "lost", "500", "500_after", "429", "not_enough", "unsigned")
NOTICE, NOTICE_FAULTS = "pay/notify", ("never", "late", "five", "wrong_amount", "probe")
"""Notifications that are lost, come after five minutes, five at once, with one fen more, with a wrong signature first.
"""
WECOM, WECOM_CALLBACK, EVERY_WECOM = "wecom/", "wecom/callback", "wecom/*"
WECOM_FAULTS = ("slow", *HTTP_FAULTS, "html", "lost", "-1", "40001", "40014", "42001", "45009", "45033", "48002",
                "60020", "41050", "41051", "41096", "84061")
MAX_SECONDS = 60.0
MAX_NEXT = 1000


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing that goes wrong now. ``seconds`` is the delay of a slow answer."""

    kind: str
    seconds: float

    @property
    def errcode(self) -> int | None:
        return next((code for code in ERRCODE_FAULTS if str(code) == self.kind), None)


def switch_on(connection: Connection, apis: list[str], api: Any, kind: Any, seconds: Any, times: Any) -> int:
    """Store a fault for one of ``apis``, every API (*) or our own callbacks. Returns its id; raises SimError 422."""
    known = _known(api)
    if kind not in known or api not in (CALLBACK, NOTICE, EVERY_API, WECOM_CALLBACK, EVERY_WECOM, *apis):
        raise SimError(422, texts.BAD_FAULT)
    if isinstance(seconds, bool) or not isinstance(seconds, int | float) or not 0 <= seconds <= MAX_SECONDS:
        raise SimError(422, texts.BAD_SECONDS)
    if times is not None and (isinstance(times, bool) or not isinstance(times, int) or not 1 <= times <= MAX_NEXT):
        raise SimError(422, texts.BAD_NEXT)
    made = row(connection, "insert into sim.faults (api, fault, seconds, remaining) "
               "values (:api, :kind, :seconds, :times) returning id",
               api=api, kind=kind, seconds=float(seconds), times=times)
    return int(made["id"]) if made else 0


def _known(api: Any) -> tuple[str, ...]:
    """What can go wrong there."""
    if api in (CALLBACK, WECOM_CALLBACK):
        return CALLBACK_FAULTS
    if isinstance(api, str) and api.startswith(WECOM):
        return WECOM_FAULTS
    if api == NOTICE:
        return NOTICE_FAULTS
    return PAY_FAULTS if isinstance(api, str) and api.startswith(PAY) else API_FAULTS


def switch_off(connection: Connection, fault_id: int | None) -> None:
    """One fault, or all of them."""
    run(connection, "delete from sim.faults where cast(:id as bigint) is null or id = :id", id=fault_id)


def active(connection: Connection) -> list[Row]:
    return rows(connection, "select id, api, fault, seconds, remaining as next from sim.faults order by id")


def take(connection: Connection, api: str) -> Fault | None:
    """The oldest fault that hits this call, counted down; None if all is well."""
    found = row(connection, """
        select id, fault, seconds, remaining from sim.faults
        where api = :api or (api = '*' and :api <> 'callback' and :api not like 'pay/%' and :api not like 'wecom/%')
           or (api = 'wecom/*' and :api like 'wecom/%' and :api <> 'wecom/callback')
        order by id limit 1 for update""", api=api)
    if found is None:
        return None
    if found["remaining"] is not None:
        run(connection, "update sim.faults set remaining = remaining - 1 where id = :id", id=found["id"])
        run(connection, "delete from sim.faults where id = :id and remaining <= 0", id=found["id"])
    return Fault(found["fault"], found["seconds"])
