"""The auditor of a rehearsal finds each broken promise in a log, and nothing in a log that keeps them all."""

import random
from datetime import UTC, datetime, time, timedelta

import pytest

from bot.kit.gateway import Outcome
from bot.kit.pay import Bill, PayOutcome, PayState
from bot.runtime.bootstrap import ASSETS
from bot.runtime.journeys import shipped
from bot.runtime.replay.auditor import Manners, Texts, audit
from bot.runtime.replay.auditor_of_money import audit_money
from bot.runtime.replay.bank import Bank, Receipt
from bot.runtime.replay.phones import Line, Phones, What
from bot.runtime.replay.script import write
from bot.runtime.replay.state import START
from bot.runtime.replay.talks import id_number
from bot.runtime.replay.year import purposes, tried_out
from bot.runtime.voice import Voice
from domain.shared.clock import SHANGHAI, FixedClock, business_date
from domain.vault.rules import checked

MANNERS = Manners(time(21, 30), time(8, 30), 30, 1, 3, 6, 5)
MORNING = datetime(2027, 5, 4, 10, tzinfo=SHANGHAI).astimezone(UTC)
SOON, GREETING = "「米」快用完了", "生日快乐 李姐"
TEXTS = Texts({"journey.restock.soon": "「{{ product }}」快用完了", "journey.care.tutorial": "「{{ title }}」到家了",
               "journey.birthday.greeting": "生日快乐 {% if name %}{{ name }}{% else %}朋友{% endif %}"},
              {"journey.restock.soon": "marketing", "journey.care.tutorial": "service",
               "journey.birthday.greeting": "service"})
HOUR, DAY = timedelta(hours=1), timedelta(days=1)


def line(after: timedelta, what: What, content: str = "", code: int = 0) -> Line:
    return Line(MORNING + after, "o1", what, content, code)


def follows(*lines: Line) -> list[Line]:
    return sorted([line(-90 * DAY, "followed"), *lines], key=lambda one: one.at)


def talk(*days: float) -> list[Line]:
    """A word an hour before each of these days' message: it opens a right and shows nobody is tired."""
    return [line(day * DAY - HOUR, "said", "你好") for day in days]


def soon(day: float, product: str) -> Line:
    return line(day * DAY, "text", f"「{product}」快用完了")


def rules(*lines: Line) -> list[str]:
    return [one.rule for one in audit(follows(*lines), TEXTS, MANNERS)]


def test_a_log_that_keeps_every_promise() -> None:
    told = [soon(0, "米"), soon(3, "奶"), soon(6, "茶"), line(6 * DAY + HOUR, "text", "发货了")]
    assert rules(*talk(0, 3, 6), *told) == []


@pytest.mark.parametrize(("lines", "rule"), [
    ([*talk(0), soon(0, "米"), soon(0.1, "奶")], "day cap"),
    ([*talk(0, 1, 2, 3), *(soon(n, f"货{n}") for n in range(4))], "week cap"),
    ([*talk(*range(0, 28, 4)), *(soon(n, f"货{n}") for n in range(0, 28, 4))], "month cap"),
    ([line(-HOUR, "said", "少发点"), *talk(2), soon(0, "米"), soon(2, "奶")], "week cap"),
    ([line(-2 * HOUR, "said", "少发点"), line(-HOUR, "said", "少发点"), soon(0, "米")], "after 少发点 twice"),
    ([line(-HOUR, "said", "退订"), line(HOUR, "text", "发货了")], "after 退订"),
    ([line(11 * HOUR, "said", "你好"), line(12 * HOUR, "text", "发货了")], "quiet hours"),
    ([*talk(0), line(timedelta(0), "text", "「米」到家了"), line(5 * HOUR, "text", "「米」到家了")], "said twice"),
    ([*talk(0), line(timedelta(0), "text", "佣金 1 元"), line(HOUR / 10, "text", "佣金 1 元")], "said twice"),
    ([*talk(0, 90), line(timedelta(0), "text", GREETING), line(90 * DAY, "text", GREETING)], "promised once"),
    ([line(-49 * HOUR, "said", "你好"), line(timedelta(0), "text", "发货了")], "without a right"),
    ([*talk(0), *(line(timedelta(minutes=n), "text", f"第 {n} 条") for n in range(6))], "without a right"),
    ([line(-HOUR / 30, "tapped", "help"), line(timedelta(0), "text", "发货了")], "without a right"),
    ([*talk(0), line(-HOUR / 2, "left"), line(timedelta(0), "text", "发货了")], "left before"),
    ([line(timedelta(0), "refused", "发货了", 45015)], "asked without a right"),
    ([line(timedelta(0), "refused", "restock", 43101)], "asked without a right"),
    ([line(timedelta(0), "refused", "发货了", 43004)], "wrote to who does not follow"),
    ([*talk(0, 40), line(timedelta(0), "text", "订单 R00007 退款"), line(40 * DAY, "text", "订单 R00007 退款")],
     "said twice"),
    ([line(timedelta(0), "template", "restock 米")], "a template that sells"),
    ([line(-DAY, "allowed", "shipped"), line(-HOUR, "subscription", "shipped 茶"),
      line(timedelta(0), "subscription", "shipped 米")], "without a permission"),
    ([line(-DAY, "left"), line(timedelta(0), "template", "shipped 米")], "left before"),
    ([line(14 * HOUR, "template", "earned ¥1.00")], "quiet hours"),
    ([line(-HOUR, "said", "退订"), line(timedelta(0), "template", "shipped 米")], "after 退订"),
    ([line(timedelta(0), "template", "shipped 米 SF1"), line(HOUR / 10, "template", "shipped 米 SF1")], "said twice"),
    ([*talk(0), soon(0, "米"), line(HOUR, "allowed", "restock"), line(2 * HOUR, "subscription", "restock 奶")],
     "day cap"),
    ([line(timedelta(0), "reply", "刚刚系统打了个盹，没有记下您的信息。请再发一次。")], "an answer failed"),
])
def test_each_broken_promise_is_found(lines: list[Line], rule: str) -> None:
    assert rules(*lines) == [rule]


def test_a_card_needs_no_window_and_each_permission_is_one_message() -> None:
    assert rules(line(-40 * DAY, "template", "earned ¥8.00 大米"), line(-DAY, "allowed", "shipped"),
                 line(timedelta(0), "subscription", "shipped 米 SF1")) == []


def test_money_is_told_as_it_came() -> None:
    texts = Texts({"payout.told.paid": "提现到账 {{ net_fen | yuan }}"}, {})
    until = MORNING + 9 * DAY
    receipt = Receipt(MORNING, "o1", "b1", 1_234_50)
    said = line(HOUR, "text", "提现到账 ¥1,234.50")
    card = line(HOUR, "template", "withdrawal ¥1,234.50 已经到账 请查看")
    assert audit_money([said], [receipt], texts, until) == audit_money([card], [receipt], texts, until) == []
    assert [one.rule for one in audit_money([], [receipt], texts, until)] == ["money came and was not told"]
    assert [one.rule for one in audit_money([said, card], [receipt], texts, until)] == ["told of money that never came"]
    assert audit_money([line(HOUR, "left")], [receipt], texts, until) == [], "whoever left is told nothing"
    assert audit_money([], [receipt], texts, MORNING + DAY) == [], "there is still time"


def test_the_bank_pays_a_number_once_and_gives_back_what_nobody_confirms() -> None:
    clock = FixedClock(MORNING)
    bank = Bank(clock, random.Random(4), "wx", lost=0.0)
    bill = Bill("N1", "o1", 10_000, "佣金")
    assert bank.transfer(bill).outcome is PayOutcome.ANSWERED and bank.transfer(bill).view is not None
    assert bank.confirms("o1") == 1 and bank.confirms("o1") == 0
    assert [(one.openid, one.fen) for one in bank.receipts] == [("o1", 10_000)]
    assert bank.transfer(Bill("N1", "o2", 10_000, "佣金")).outcome is PayOutcome.REFUSED
    bank.transfer(Bill("N2", "o2", 5_000, "佣金"))
    clock.advance(25 * 3_600)
    seen = bank.query("N2").view
    assert seen is not None and (seen.state, seen.fail_reason) == (PayState.FAIL, "OVERDUE_CLOSE")
    assert bank.confirms("o2") == 0 and bank.funds_fen == 50_000_000 - 10_000
    assert [line.income for day in (MORNING, clock.now()) for line in bank.fund_bill(business_date(day))] == [
        False, False, True]
    assert bank.query("N9").outcome is PayOutcome.NOT_FOUND


def test_nobodys_id_numbers_are_well_formed() -> None:
    assert len({checked("id_number", id_number(n), START.date()) for n in range(50)}) == 50


def test_who_was_silent_for_five_messages_gets_half() -> None:
    """Six in a month are allowed to who speaks; whoever never does may have half."""
    rights = [line(n * DAY - HOUR / 100, "said", "你好") for n in range(0, 60, 12)]
    assert rules(*rights, *(soon(n, f"货{n}") for n in range(0, 60, 12))) == []
    silent = [soon(n, f"货{n}") for n in (0, 5, 10, 15, 20, 26)]
    found = [rule for rule in rules(*silent) if rule != "without a right"]
    assert found == ["week cap", "month cap"], "the sixth is one too many of each half"


def test_what_answers_may_come_at_night_and_a_poster_is_no_offer() -> None:
    night = line(13 * HOUR, "said", "海报")
    assert rules(night, line(13 * HOUR + timedelta(minutes=5), "picture", "poster")) == []


def test_every_text_of_a_journey_is_known_by_its_words() -> None:
    voice, wanted = Voice(ASSETS / "copy"), tried_out()
    texts, meant = Texts(voice.written(), purposes(wanted)), purposes(wanted)
    for key, names in voice.keys().items():
        if key in meant:
            said = voice.render(key, **{name: "2027-05" if name == "month" else "2027-05-04T02:00:00+00:00"
                                        for name in names})
            assert texts.meaning(Line(MORNING, "o1", "text", said)) == (key, meant[key]), said
    assert len(meant) > 20 and {one.key for one in wanted} == {one.key for one in shipped()}


def test_every_text_of_money_is_known_by_its_words() -> None:
    """Several begin and end alike; each is taken for itself."""
    voice = Voice(ASSETS / "copy")
    texts = Texts(voice.written(), purposes(tried_out()))
    words = {"month": "2027-05", "key": "first_sale", "kind": "ladder", "brackets": [], "phase": "", "title": "大米"}
    told = {key: voice.render(key, **{name: words.get(name, 1234) for name in names})
            for key, names in voice.keys().items() if key.startswith(("money.", "payout.told."))
            and "buyer" not in names and "reason" not in names}
    assert len(told) > 12 and {key: texts.meaning(Line(MORNING, "o1", "text", said))[0]
                               for key, said in told.items()} == {key: key for key in told}


def test_a_seed_tells_the_same_story_in_every_process() -> None:
    one, two = (write(7, START, 60, 30, 120, 20) for _ in range(2))
    assert [(at, act.kind, act.who.openid, act.what) for at, _, act in sorted(one.heap, key=lambda a: a[:2])] == [
        (at, act.kind, act.who.openid, act.what) for at, _, act in sorted(two.heap, key=lambda a: a[:2])]
    assert sum(act.kind == "buy" for _, _, act in one.heap) == 120
    assert any(human.birthday.endswith("02-29") for human in one.people)


@pytest.fixture
def phones() -> Phones:
    phones = Phones("demo", FixedClock(MORNING), random.Random(1))
    phones.acts("o1", "followed", "")
    return phones


def test_the_platform_counts_rights(phones: Phones) -> None:
    assert [phones.send_text("o1", "x").outcome for _ in range(4)] == [Outcome.SENT] * 3 + [Outcome.WINDOW_CLOSED]
    phones.acts("o1", "said", "你好")
    assert [phones.send_text("o1", "x").outcome for _ in range(6)] == [Outcome.SENT] * 5 + [Outcome.QUOTA_USED]
    assert isinstance(phones.clock, FixedClock)
    phones.clock.advance(48 * 3_600)
    assert phones.send_text("o1", "x").errcode == 45015
    assert phones.send_text("o2", "x").outcome is Outcome.UNFOLLOWED


def test_the_platform_has_a_quota_and_is_busy_and_loses_answers(phones: Phones) -> None:
    phones.acts("o1", "said", "你好")
    phones.quotas = {MORNING.astimezone(SHANGHAI).date(): 1}
    assert phones.send_text("o1", "a").outcome is Outcome.SENT
    assert phones.send_text("o1", "b").errcode == 45009
    phones.quotas = {}
    phones.busy = 1.0
    assert phones.send_text("o1", "b").errcode == -1
    phones.busy, phones.lost = 0.0, 1.0
    for n in range(60):
        phones.acts("o1", "said", "你好")
        assert phones.send_text("o1", f"c{n}").outcome is Outcome.UNKNOWN
    heard = [one.content for one in phones.log if one.what == "text"]
    assert heard[0] == "a" and 5 < len(heard) < 55, "of the lost answers some were heard and some not"
