"""What people are told of parcels, commissions and pictures: the auditors find each way in which it is not so."""

from datetime import UTC, datetime, timedelta

import pytest

from bot.runtime.bootstrap import ASSETS
from bot.runtime.replay.auditor import Texts
from bot.runtime.replay.auditor_of_answers import audit_answers
from bot.runtime.replay.auditor_of_orders import Booked, Parcel, audit_names, audit_orders
from bot.runtime.replay.auditor_of_rewards import Reward, audit_rewards
from bot.runtime.replay.phones import Line, What
from bot.runtime.replay.year import purposes, tried_out
from bot.runtime.voice import Voice
from domain.shared.clock import SHANGHAI

MORNING = datetime(2027, 5, 4, 10, tzinfo=SHANGHAI).astimezone(UTC)
HOUR, DAY = timedelta(hours=1), timedelta(days=1)
UNTIL = MORNING + 9 * DAY
VOICE = Voice(ASSETS / "copy")
TEXTS = Texts(VOICE.written(), purposes(tried_out()))
PAID = {"R00001": 9_900, "R00002": 5_000}


def line(after: timedelta, what: What, content: str = "", who: str = "o1") -> Line:
    return Line(MORNING + after, who, what, content)


def earned(fen: int = 792, number: str = "R00001", who: str = "o1", what: What = "text", after: timedelta = HOUR,
           base: int = 9_900) -> Line:
    return line(after, what, VOICE.render(
        "money.earned", amount_fen=fen, level=1, buyer="客人", title="大米", base_fen=base, rate_bps=800, lines=1,
        order_no=number, phase="", phase_bps=10_000, boost_bps=10_000), who)


def booked(fen: int = 792, number: str = "R00001", who: str = "o1", at: timedelta = HOUR) -> Booked:
    return Booked(MORNING + at, who, "earned", number, fen)


def card(words: str, what: What = "template") -> Line:
    return line(2 * HOUR, what, words)


def rules(lines: list[Line], books: list[Booked], parcels: tuple[Parcel, ...] = ()) -> list[str]:
    return [one.rule for one in audit_orders(lines, parcels, books, PAID, TEXTS, UNTIL)]


def test_words_that_say_what_is_booked() -> None:
    many = line(3 * HOUR, "text", VOICE.render("money.earned_many", count=3, amount_fen=600))
    three = [booked(200, f"R0001{n}") for n in range(3)]
    back = Booked(MORNING, "o1", "taken back", "R00001", 792)
    told_back = line(4 * HOUR, "text", VOICE.render("money.taken_back", amount_fen=792, left_fen=0, to_debt_fen=0,
                                                    under_way_fen=0, title="大米", order_no="R00001"))
    assert rules([earned(), many, told_back], [booked(), *three, back]) == []
    assert rules([card("earned ¥7.92 大米 待结算，订单尾号 R00001"),
                  card("earned ¥7.92 大米 可提现，订单尾号 R00001")],
                 [booked(), Booked(MORNING, "o1", "released", "R00001", 792)]) == []


@pytest.mark.parametrize(("lines", "books", "found"), [
    ([earned(), earned(after=5 * DAY)], [booked()], ["earned: told otherwise than booked"]),
    ([earned(), card("earned ¥7.92 大米 待结算，订单尾号 R00001")], [booked()], ["earned: told otherwise than booked"]),
    ([earned(), earned(who="o2")], [booked()], ["earned: told otherwise than booked"]),
    ([earned(400, base=5_000)], [booked()], ["earned: told otherwise than booked", "reckoned wrongly",
                                             "earned: booked and not told"]),
    ([earned(base=9_800)], [booked()], ["reckoned wrongly"]),
    ([card("earned ¥79.20 大米 待结算，订单尾号 R00001")], [booked()],
     ["earned: told otherwise than booked", "earned: booked and not told"]),
    ([], [booked()], ["earned: booked and not told"]),
    ([card("earned ¥9.00 3 笔订单 待结算，售后期后可提现")], [booked(200, f"R0001{n}") for n in range(3)],
     ["earned: more was told than booked"]),
    ([card("earned ¥4.00 3 笔订单 待结算，售后期后可提现")], [booked(200, f"R0001{n}") for n in range(3)],
     ["earned: booked and not told"]),
])
def test_words_that_say_something_else_are_found(lines: list[Line], books: list[Booked], found: list[str]) -> None:
    assert rules(lines, books) == found


@pytest.mark.parametrize("excuse", [
    line(HOUR, "left"), line(HOUR, "said", "退订"), earned(what="lost")])
def test_who_left_or_wants_nothing_or_whose_message_was_lost_is_no_finding(excuse: Line) -> None:
    assert rules([excuse], [booked()]) == []


def test_what_was_booked_just_now_has_still_time() -> None:
    assert rules([], [booked(at=8 * DAY)]) == []


def test_each_parcel_is_told_of_once_to_who_bought_it() -> None:
    sent = Parcel(MORNING, "o1", "R00001")
    told = card("shipped 大米 顺丰 SFR00001")
    assert rules([told], [], (sent,)) == []
    assert rules([], [], (sent,)) == ["a parcel was not told"]
    assert rules([], [], (Parcel(MORNING, "o1", "R00001", undone=True),)) == []
    again = line(DAY, "text", VOICE.render("journey.care.shipped", title="大米", carrier="顺丰",
                                           tracking_no="SFR00001"))
    assert rules([told, again], [], (sent,)) == ["a parcel told twice"]
    assert rules([told], [], (Parcel(MORNING, "o2", "R00001"),)) == ["a parcel was not told", "somebody else's parcel"]


def test_words_have_answers_and_promised_pictures_come() -> None:
    asked, promise = line(HOUR, "said", "海报"), line(HOUR, "reply", VOICE.render("poster.making", title="大米"))
    for end in (line(2 * HOUR, "picture", "jpeg"), line(2 * HOUR, "left"), line(2 * HOUR, "reply", "[image]"),
                line(DAY, "text", VOICE.render("poster.missed", title="大米"))):
        assert audit_answers([asked, promise, end], UNTIL) == []
    assert [one.rule for one in audit_answers([asked, promise], UNTIL)] == ["a picture that never came"]
    assert audit_answers([asked, promise], MORNING + DAY) == [], "there is still time"
    for silence in ([], [line(2 * HOUR, "reply", "晚了")], [line(HOUR, "text", "不是答复")]):
        assert [one.rule for one in audit_answers([asked, *silence], UNTIL)] == ["no answer"]


def test_a_reward_is_told_as_often_as_orders_carried_it() -> None:
    items = [{"title": "金阶", "ladder": "climb", "what": "points", "amount": 20, "rung": "9:points"},
             {"title": "金阶", "ladder": "climb", "what": "red_packet", "amount": 500, "rung": "9:red_packet"}]
    opened = line(HOUR, "text", VOICE.render("programme.unlocked", items=items, until=None))
    final = line(DAY, "text", VOICE.render("programme.final", items=items))
    once = [Reward("o1", "9:points", 20, 1), Reward("o1", "9:red_packet", 500, 1)]
    assert audit_rewards([opened, final], once) == []
    assert [one.key for one in audit_rewards([opened, final, opened], once)] == ["9:points", "9:red_packet"]
    twice = [Reward("o1", "9:points", 20, 2), Reward("o1", "9:red_packet", 500, 2)]
    assert audit_rewards([opened, final, opened], twice) == [], "taken back in between, and opened by another order"
    assert [one.key for one in audit_rewards([opened], [once[0], Reward("o1", "9:red_packet", 100, 1)])] == [
        "9:red_packet"], "another sum"


def test_orders_and_coupons_are_named_to_whose_they_are() -> None:
    owners = {"R00001": frozenset({"o1", "o2"}), "eUzmzDB5Fu": frozenset({"o1"})}
    mine = [line(HOUR, "reply", "订单 R00001 已发货"), line(HOUR, "text", "券码 eUzmzDB5Fu，4月7日前有效"),
            line(HOUR, "reply", "订单 R00001", "o2"), line(HOUR, "said", "为什么 R00009", "o2"),
            line(HOUR, "reply", "http://127.0.0.1:8000/me/draw?t=c6sVR77020WePg_R00003-x")]
    assert audit_names(mine, owners) == []
    others = [line(HOUR, "reply", "券码 eUzmzDB5Fu（满 ¥50.00 可用）", "o2"), line(HOUR, "template", "R00001", "o3"),
              line(HOUR, "text", "券码 nobodys")]
    assert [(one.key, one.openid) for one in audit_names(others, owners)] == [
        ("eUzmzDB5Fu", "o2"), ("R00001", "o3"), ("nobodys", "o1")]
