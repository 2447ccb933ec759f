"""What a gateway must know of its account, and the real time it lives by."""

import random
import time
from collections.abc import Callable
from dataclasses import field
from datetime import UTC, datetime, timedelta
from typing import Literal

from bot.runtime.gateways.faults import OFFICIAL_ACCOUNT, Codes
from domain.shared.records import record

AccountType = Literal["service", "subscription"]


@record
class AccountConfig:
    """One account of a platform. ``account`` is our name for it, ``api_base`` e.g. ``https://api.weixin.qq.com``;
    ``app_id`` is what its token, holds and media are kept under, ``codes`` how its errors are read.

    ``daily_rest``: how long an api rests after 45009 (daily quota used up). None: until midnight in Shanghai, when
    the real platform counts anew; a demo, whose quota is a switch on a page, rests shorter.
    """

    account: str
    app_id: str
    app_secret: str = field(repr=False)
    api_base: str = "https://api.weixin.qq.com"
    account_type: AccountType = "service"
    daily_rest: timedelta | None = None
    codes: Codes = field(default=OFFICIAL_ACCOUNT, repr=False)


def _utc_now() -> datetime:
    return datetime.now(UTC)


@record
class RealTime:
    """Real time, aware UTC: tokens, timeouts and back-off never follow the moved clock of a demo.

    ``jitter`` gives a factor around 1 that spreads waits of many callers. ``believes``: how long what the database told
    of tokens and holds is not asked again; what another process found out reaches this one so much later.
    """

    now: Callable[[], datetime] = _utc_now
    sleep: Callable[[float], None] = time.sleep
    jitter: Callable[[], float] = lambda: random.uniform(0.5, 1.5)
    believes: timedelta = timedelta(seconds=0.2)
