"""What people do because they heard something: answer, look at their coupons, buy, want less, want none, leave."""

from datetime import datetime, timedelta

from bot.runtime.replay.auditor import Texts
from bot.runtime.replay.phones import PUSHES, Line
from bot.runtime.replay.script import Act, Human, Script

BUYS = {"journey.restock.soon": 0.10, "journey.restock.soon_plain": 0.07, "journey.restock.out": 0.06,
        "journey.recall.missed": 0.08, "journey.second_order.gift": 0.08, "journey.welcome.coupon": 0.12,
        "journey.regular.thanks": 0.08}
"""Share of the people who buy within two days because of a text; nobody knows these numbers of a real shop."""
CONFIRM = ("payout.told.confirm", "card.withdrawal")
CONFIRMS = 0.9
"""Of those who hear that money waits; a few of them too late."""
ANSWERS = {"marketing": 0.18, "service": 0.12, "money": 0.15}
LESS, STOP, LEAVE, OFFENDED = 0.012, 0.005, 0.004, 0.02


def react(script: Script, lines: list[Line], people: dict[str, Human], texts: Texts, now: datetime) -> None:
    """Look at what arrived since the last time. A person's reaction to their n-th message is always the same."""
    for line in lines:
        if line.what in PUSHES and line.openid in people:
            _one(script, people[line.openid], *texts.meaning(line), now)


def _one(script: Script, one: Human, key: str, purpose: str, now: datetime) -> None:
    one.heard += 1
    luck = one.luck
    if key in CONFIRM and luck.random() < CONFIRMS:
        script.add(now + timedelta(hours=luck.triangular(0.1, 30, 1)), Act("confirm", one))
    soon = now + timedelta(minutes=luck.choice((5, 10, 20, 45, 90, 240)))
    dice = luck.random()
    if purpose == "marketing":
        if dice < LEAVE:
            return _leave(script, one, soon)
        if dice < LEAVE + STOP:
            script.add(soon, Act("say", one, "退订"))
            if luck.random() < 0.3:
                script.add(soon + timedelta(days=luck.uniform(20, 80)), Act("say", one, "恢复"))
            return None
        if dice < LEAVE + STOP + LESS:
            return script.add(soon, Act("say", one, "少发点"))
        if one.purchases and luck.random() < BUYS.get(key, 0.03):
            script.add(now + timedelta(hours=luck.uniform(0.2, 40)), Act("buy", one, "because"))
    elif dice < LEAVE / 4:
        return _leave(script, one, soon)
    if luck.random() < ANSWERS.get(purpose, 0.0):
        script.add(soon, Act("say", one, luck.choice(("好的", "谢谢", "优惠券", "订单", "收到"))))
    return None


def _leave(script: Script, one: Human, at: datetime) -> None:
    script.add(at, Act("leave", one))
    if one.luck.random() < 0.35:
        script.add(at + timedelta(days=one.luck.uniform(10, 90)), Act("back", one))
