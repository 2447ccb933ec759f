"""What people were told of their money against what the bank says that they have. Reads phones and receipts only."""

import re
from collections import defaultdict
from collections.abc import Iterable
from datetime import datetime, timedelta

from bot.runtime.replay.auditor import Finding, Texts
from bot.runtime.replay.bank import Receipt
from bot.runtime.replay.phones import PUSHES, Line

PAID = ("payout.told.paid", "payout.told.partly_paid")
CARD, CARD_SAYS = "card.withdrawal", "已经到账"
SOON = timedelta(days=3)
"""News of money leaves by a template when no window is open, but not in the night, and maybe after a question or two
to the bank."""
_YUAN = re.compile(r"¥([\d,]+)\.(\d\d)")


def audit_money(log: Iterable[Line], receipts: Iterable[Receipt], texts: Texts, until: datetime) -> list[Finding]:
    """Nobody hears of money that they do not have; whoever follows hears of what they have."""
    told: dict[str, int] = defaultdict(int)
    lost: dict[str, int] = defaultdict(int)
    left: dict[str, bool] = defaultdict(bool)
    for line in log:
        left[line.openid] |= line.what == "left"
        if line.what in PUSHES or line.what == "lost":
            key, _ = texts.meaning(line)
            if key in PAID or (key == CARD and CARD_SAYS in line.content):
                (told if line.what in PUSHES else lost)[line.openid] += fen_in(line.content)
    mine: dict[str, int] = defaultdict(int)
    sure: dict[str, int] = defaultdict(int)
    for one in receipts:
        mine[one.openid] += one.fen
        sure[one.openid] += one.fen if one.at < until - SOON else 0
    found = [Finding("told of money that never came", until, openid, "money", f"{fen} of {mine[openid]} fen")
             for openid, fen in told.items() if fen > mine[openid]]
    found += [Finding("money came and was not told", until, openid, "money", f"{told[openid]} of {fen} fen")
              for openid, fen in sure.items() if told[openid] + lost[openid] < fen and not left[openid]]
    return sorted(found, key=lambda one: one.openid)


def fen_in(said: str) -> int:
    """The first amount of a message; 0 without one."""
    found = _YUAN.search(said)
    return int(found[1].replace(",", "")) * 100 + int(found[2]) if found else 0
