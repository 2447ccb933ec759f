"""What people were told of rewards for coming back, against the rewards there are: each is told once as opened and once
as theirs, for as often as orders carried it."""

import re
from collections import Counter
from collections.abc import Iterable

from bot.runtime.replay.auditor import Finding
from bot.runtime.replay.auditor_of_money import fen_in
from bot.runtime.replay.phones import PUSHES, Line
from domain.shared.records import record

HEADINGS = ("复购奖励已解锁", "复购奖励已正式生效")
_ITEM = re.compile(r"· .*复购(?: (\d+) 积分|红包 (¥[\d.,]+))（第 (\d+) 次）")


@record
class Reward:
    """What a repurchase gives: ``rung`` as its number and what it is, ``amount`` in fen or points, and how many
    ``times`` orders carried it."""

    openid: str
    rung: str
    amount: int
    times: int


def audit_rewards(log: Iterable[Line], rewards: Iterable[Reward]) -> list[Finding]:
    """What was told more often than it was so, or never was."""
    times = {(one.openid, one.rung, one.amount): one.times for one in rewards}
    told: Counter[tuple[str, str, str, int]] = Counter()
    found = []
    for line in log:
        heading = next((words for words in HEADINGS if words in line.content), "") if line.what in PUSHES else ""
        for points, packet, nth in _ITEM.findall(line.content) if heading else ():
            rung, amount = (f"{nth}:points", int(points)) if points else (f"{nth}:red_packet", fen_in(packet))
            told[line.openid, heading, rung, amount] += 1
            if told[line.openid, heading, rung, amount] > times.get((line.openid, rung, amount), 0):
                found.append(Finding("a reward told too often", line.at, line.openid, rung, line.content))
    return found
