"""The one object that everything else in the simulator is given: its settings and its store."""

from dataclasses import dataclass
from datetime import datetime

from bot.simulator.config import SimAccount, SimConfig
from bot.simulator.store import Store


@dataclass(frozen=True, slots=True)
class Peer:
    """Configuration and memory, together with the two times."""

    config: SimConfig
    store: Store

    def now(self) -> datetime:
        """Business time."""
        return self.config.now()

    def real_now(self) -> datetime:
        """Real time: for signatures, tokens, daily quotas and patience."""
        return self.config.real_now()

    def account(self, name: str) -> SimAccount:
        """The account of this name, which exists because our own rows carry it."""
        found = self.config.by_name(name)
        return found if found is not None else self.config.accounts[0]
