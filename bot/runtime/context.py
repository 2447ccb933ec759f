"""What jobs see of the process: implements ``bot.kit.jobs.JobContext``."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any, TypeVar

from sqlalchemy import bindparam, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Session, sessionmaker

from bot.kit.context import Shop
from bot.kit.copy import Copy
from bot.kit.gateway import Gateway
from bot.kit.jobs import Claimed
from domain.shared import outbox
from domain.shared.clock import Clock

T = TypeVar("T")


class ProcessContext:
    """One per process, used from several threads: it holds no state of a job."""

    def __init__(
        self, sessions: sessionmaker[Session], clock: Clock, copy: Copy, shop: Shop, app_ids: Mapping[str, str],
        gateways: Mapping[str, Gateway], tools: Mapping[type[Any], Any], ring: Callable[[frozenset[str]], object],
    ) -> None:
        self.copy, self.shop, self.app_ids = copy, shop, app_ids
        self._sessions, self._clock, self._gateways = sessions, clock, gateways
        self._tools, self._ring = tools, ring

    def now(self) -> datetime:
        return self._clock.now()

    def real_now(self) -> datetime:
        return datetime.now(UTC)

    @contextmanager
    def begin(self) -> Iterator[Session]:
        with self._sessions.begin() as session:
            yield session
            bells = outbox.rung(session)
        if bells:
            self._ring(bells)

    def gateway(self, account: str) -> Gateway:
        return self._gateways[account]

    def tool(self, kind: type[T]) -> T:
        found = self._tools[kind]
        assert isinstance(found, kind)
        return found

    def note(self, effect: Claimed, **facts: object) -> None:
        with self._sessions.begin() as session:
            session.execute(_NOTE, {"id": effect.id, "facts": facts})


_NOTE = text("update outbox set result = result || :facts where id = :id").bindparams(bindparam("facts", type_=JSONB))
