"""What one API of WeCom is, and what its code is given once the common checks have passed."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from flask import Response
from sqlalchemy import Connection

from bot.simulator.config import SimCorp, SimStaff
from bot.simulator.peer import Peer
from bot.simulator.wecom.errors import CorpError

Answer = dict[str, Any] | Response
OK = {"errcode": 0, "errmsg": "ok"}


@dataclass(frozen=True, slots=True)
class Call:
    """One call in its transaction. ``query`` holds the URL's parameters, ``body`` the JSON object (empty otherwise),
    ``upload`` the bytes of the part named media. ``now`` is business time, ``real_now`` real time."""

    peer: Peer
    connection: Connection
    corp_or_none: SimCorp | None
    query: dict[str, str]
    body: dict[str, Any]
    upload: bytes | None
    now: datetime
    real_now: datetime

    @property
    def corp(self) -> SimCorp:
        if self.corp_or_none is None:
            raise CorpError(41001)
        return self.corp_or_none

    def text(self, name: str, missing: int = 40058, most: int | None = None) -> str:
        """A string of the body, not empty. CorpError ``missing`` without one, 40058 for no string or a long one."""
        value = self.body.get(name)
        if value is None or value == "":
            raise CorpError(missing, name)
        return self._string(name, value, most)

    def maybe_text(self, name: str, most: int | None = None) -> str:
        """A string of the body, '' without one. CorpError 40058 as ``text``."""
        value = self.body.get(name)
        return "" if value is None else self._string(name, value, most)

    def _string(self, name: str, value: Any, most: int | None) -> str:
        if not isinstance(value, str) or (most is not None and len(value) > most):
            raise CorpError(40058, name)
        return value

    def strings(self, name: str, most: int) -> list[str]:
        """A list of different non-empty strings, [] without one. CorpError 40058."""
        value = self.body.get(name)
        if value is None:
            return []
        if not isinstance(value, list) or len(value) > most or not all(isinstance(one, str) and one for one in value):
            raise CorpError(40058, name)
        return list(dict.fromkeys(value))

    def whole(self, name: str, default: int, low: int, high: int) -> int:
        """A whole number within its bounds. CorpError 40058."""
        value = self.body.get(name, default)
        if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
            raise CorpError(40058, name)
        return value

    def staff(self, userid: object) -> SimStaff:
        """The member of this userid, however it is written. CorpError 40003."""
        found = self.corp.member(userid) if isinstance(userid, str) else None
        if found is None:
            raise CorpError(40003)
        return found


@dataclass(frozen=True, slots=True)
class Endpoint:
    """``post``: refused as a GET. ``customers``: only for an application that may use the customers' APIs.
    ``at_once``: calls of one corp at the same time, 0 for any number."""

    run: Callable[[Call], Answer]
    post: bool = True
    upload: bool = False
    token: bool = True
    customers: bool = True
    at_once: int = 0
