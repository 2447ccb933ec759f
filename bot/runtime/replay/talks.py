"""Talks that take more than one message: taking money out, a draw, feedback, allowing notices. People read the answer
and say what it asks for."""

from bot.runtime.replay.script import Human
from bot.runtime.replay.state import Year
from domain.vault.rules import check_character

TURNS = 8
NAMES = ("张三丰", "李秀英", "王建国", "陈晓梅", "刘洋")
ASKED = (("请阅读", "同意"), ("真实姓名", ""), ("身份证号", ""), ("请核对", "确认"))
"""What an answer asks for, and what is said to it; '' is the person's own."""
REMARKS = ("包装有点磕碰，建议加一层泡沫", "大米很香，希望有 2.5kg 的小包装", "快递周末也能送就好了",
           "客服回复很快，点个赞", "鸡蛋碎了两个，能不能换盒子", "想要买两件打折的活动")


def withdraw(year: Year, who: Human) -> None:
    """From 提现 to the last question: they take all that may leave without a second person, and confirm or think better
    of it."""
    fen = _available(year, who)
    said = "提现" if fen < 10_000 else f"提现 {min(fen, 100_000) // 100}"
    for _ in range(TURNS):
        year.house.says(who.openid, said)
        answer = year.house.phones.last_reply(who.openid)
        found = next(((asks, says) for asks, says in ASKED if asks in answer), None)
        if found is None:
            break
        asks, said = found
        if asks == "真实姓名":
            said = NAMES[who.n % len(NAMES)]
        elif asks == "身份证号":
            said = id_number(who.n)
        elif asks == "请核对" and who.luck.random() < 0.1:
            said = "算了"
    year.counts["withdraw.asked"] += "已申请提现" in year.house.phones.last_reply(who.openid)


def _available(year: Year, who: Human) -> int:
    found = year.house.get(f"/people?openid={who.openid}&app_id={year.house.app_id}")
    wallet = year.house.get(f"/people/{found['id']}/wallet") if found else None
    return int(wallet["available_fen"]) if wallet else 0


def id_number(n: int) -> str:
    """Of nobody: a made-up birthday, and a check character that is right."""
    body = f"11010519{49 + n % 40:02d}0101{n % 1000:03d}"
    return body + check_character(body)


def draw(year: Year, who: Human) -> None:
    """They look at the draw, and take it when there is something to draw with."""
    year.house.says(who.openid, "抽奖")
    if "抽一次" in year.house.phones.last_reply(who.openid):
        year.house.says(who.openid, "抽一次")


def exchange(year: Year, who: Human) -> None:
    """They look at what points buy, take the first thing, and confirm."""
    for said in ("兑换", "1", "确认"):
        year.house.says(who.openid, said)


def feedback(year: Year, who: Human) -> None:
    year.house.says(who.openid, f"反馈 {who.luck.choice(REMARKS)}（{who.n}）")


def allow(year: Year, who: Human) -> None:
    """They open the sheet of 订阅 and allow what they like to know."""
    names = sorted(year.house.subscriptions)
    wanted = [one for one in names if who.luck.random() < 0.7]
    if wanted:
        year.house.allows(who.openid, wanted)
