"""Hours as people write them: what is read out of a sentence, and what whole hours it makes."""

from datetime import time

import pytest

from domain.notices.hours import Hours, Impossible, Wish, find, settle

USUAL: Hours = (time(21, 30), time(8, 30))


@pytest.mark.parametrize(("said", "start", "end"), [
    ("晚上8点后别发", "20:00", None),
    ("晚上八点半以后不要给我发消息", "20:30", None),
    ("8点后别发", "20:00", None),
    ("晚8点后就别再发了", "20:00", None),
    ("二十二点以后不要推送", "22:00", None),
    ("夜里12点后别发", "00:00", None),
    ("早上10点后再发", None, "10:00"),
    ("十点后再发", None, "10:00"),
    ("上午九点一刻前别打扰我", None, "09:15"),
    ("早上7：45之前不要通知我", None, "07:45"),
    ("免打扰 21点到9点", "21:00", "09:00"),
    ("免打扰21-9", "21:00", "09:00"),
    ("免打扰 22:30~07:15", "22:30", "07:15"),
    ("10点到8点勿扰", "22:00", "08:00"),
    ("夜里11点到第二天早上七点别打扰", "23:00", "07:00"),
    ("晚上8点后早上10点前别发", "20:00", "10:00"),
    ("晚上9点到9点免打扰", "21:00", "09:00"),
    ("晚上8点到10点别吵我", "20:00", "22:00"),
    ("中午12点到2点别吵我", "12:00", "14:00"),
    ("一点到三点不要打扰", "01:00", "03:00"),
    ("只在早上9点到晚上8点发", "20:00", "09:00"),
    ("9点到20点才发", "20:00", "09:00"),
    ("24点后别发", "00:00", None),
])
def test_a_wish_is_read(said: str, start: str | None, end: str | None) -> None:
    wanted = [time.fromisoformat(one) if one else None for one in (start, end)]
    assert find(said) == Wish(*wanted)


@pytest.mark.parametrize(("said", "wrong"), [
    ("晚上25点后别发", "晚上25点"), ("25点后别发", "25点"), ("8点70分后别发", "8点70分"), ("十十点后别发", "十十点"),
    ("24:30后别发", "24:30"), ("免打扰 25到30", "25"), ("免打扰 21点到三十点", "三十点"),
])
def test_an_hour_that_no_day_has_is_named(said: str, wrong: str) -> None:
    assert find(said) == Impossible(wrong)


@pytest.mark.parametrize("said", ["全天别发", "整天都别给我发", "一整天免打扰", "24小时免打扰", "免打扰 全天"])
def test_the_whole_day_is_a_wish_that_leaves_no_time(said: str) -> None:
    wish = find(said)
    assert isinstance(wish, Wish) and settle(wish, (time(21, 30), time(8, 30))) is None


@pytest.mark.parametrize("said", [
    "", "佣金", "免打扰", "别发了", "晚上8点后别发货", "早上10点后再发货", "8点发货吗", "我8点到9点在家", 
    "晚上8点后别发快递", "1点2点3点后别发", "８" * 39 + "点后别发",
    "昨天晚上8点后别发消息的那个事情我想了很久很久还是觉得应该和你们好好说一说对不对",
])
def test_what_is_no_wish_is_left_alone(said: str) -> None:
    assert find(said) is None


def test_what_was_left_open_stays_as_it_was() -> None:
    assert settle(Wish(time(20), None), USUAL) == (time(20), time(8, 30))
    assert settle(Wish(None, time(10)), USUAL) == (time(21, 30), time(10))
    assert settle(Wish(time(12), time(14)), USUAL) == (time(12), time(14))


def test_two_hours_a_day_must_stay_open() -> None:
    assert settle(Wish(time(11), time(9)), USUAL) == (time(11), time(9))
    assert settle(Wish(time(10, 59), time(9)), USUAL) is None
    assert settle(Wish(time(9), time(9)), USUAL) is None
