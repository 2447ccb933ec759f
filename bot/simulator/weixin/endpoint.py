"""What one API of the platform is, and what its code is given once the common checks have passed."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from flask import Response
from sqlalchemy import Connection

from bot.simulator.config import SimAccount
from bot.simulator.errors import ApiError
from bot.simulator.peer import Peer

Answer = dict[str, Any] | Response


@dataclass(frozen=True, slots=True)
class Call:
    """One call in its transaction. ``account`` is None only for endpoints without a token.

    ``query`` holds the URL's parameters, ``body`` the JSON object (empty otherwise), ``upload`` the bytes of
    the part named media, if there is one. ``now`` is business time, ``real_now`` real time.
    """

    peer: Peer
    connection: Connection
    account_or_none: SimAccount | None
    query: dict[str, str]
    body: dict[str, Any]
    upload: bytes | None
    now: datetime
    real_now: datetime

    @property
    def account(self) -> SimAccount:
        if self.account_or_none is None:
            raise ApiError(41001)
        return self.account_or_none

    def text(self, name: str, missing: int) -> str:
        """A non-empty string of the body; ApiError ``missing`` if there is none, 47001 if it is no string."""
        value = self.body.get(name)
        if value is None or value == "":
            raise ApiError(missing)
        if not isinstance(value, str):
            raise ApiError(47001, f"hint: [{name}] is not a string")
        return value


@dataclass(frozen=True, slots=True)
class Endpoint:
    """``daily``: calls a day of a new account. ``followup`` runs after the commit, with the body and the answer."""

    run: Callable[[Call], Answer]
    method: Literal["GET", "POST", "ANY"] = "POST"
    body: Literal["json", "multipart", "none"] = "json"
    daily: int = 500_000
    token: bool = True
    followup: Callable[[Peer, dict[str, Any], dict[str, Any]], None] | None = None
