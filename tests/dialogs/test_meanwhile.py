"""What people say in the middle of a question of ours: another wish is answered, another sum is shown, a no is a no,
and nothing moves before its own word."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from domain.shared.clock import FixedClock
from tests.dialogs.test_draw_and_mall import give
from tests.dialogs.test_feedback import sends_picture
from tests.dialogs.test_withdrawals import agreed, earner, held
from tests.fakes.frozen import Frozen, frozen
from tests.fakes.shop import Person, Shop

TWO = "佣金和订单都看看"
"""Two wishes, of which one has to be chosen."""


@pytest.fixture(scope="module")
def begun(new_shop: Frozen, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Frozen]:
    """李姐 has 242.40 yuan to withdraw, and 400 points."""
    def begin(shop: Shop) -> None:
        give(shop, earner(shop, "李姐", 303_000), 400)

    with frozen(new_shop.postgres, tmp_path_factory.mktemp("begun"), begin, new_shop) as found:
        yield found


@pytest.fixture
def shop(tmp_path: Path, begun: Frozen, clock: FixedClock) -> Iterator[Shop]:
    with begun.shop(tmp_path, clock) as shop:
        yield shop


@pytest.fixture
def li(shop: Shop) -> Iterator[Person]:
    """Whatever was said, no money was asked for."""
    yield (li := shop.people["李姐"])
    li.says("提现进度").sees("还没有提现记录")
    assert held(shop) == []


@pytest.mark.parametrize("question", ["提现", "抽奖", "注销", "提100", "再卖", "问答", "兑换", "换风格"])
def test_one_of_two_wishes_is_asked_about_wherever_they_are_said(li: Person, question: str) -> None:
    li.says(question).says(TWO).sees("1. 查看佣金", "2. 查看订单")
    li.says("1").sees("我的佣金")


def test_two_wishes_instead_of_two_others_or_of_a_yes(li: Person) -> None:
    li.says("海报和佣金").says("订单和积分都要").sees("1. 查看订单", "2. 查看积分")
    li.says("兑换").says("2").sees("回复「确认」兑换")
    li.says(TWO).sees("1. 查看佣金")
    li.says("提现 100").sees("请阅读")
    li.says(TWO).sees("1. 查看佣金")
    agreed(li).sees("请核对")
    li.says(TWO).sees("1. 查看佣金")


@pytest.mark.parametrize("question", ["再卖", "问答", "抽奖", "注销", "兑换"])
def test_money_is_asked_about_and_never_taken_for_an_answer(li: Person, question: str) -> None:
    li.says(question).says("提100").sees("您是想提现 100 吗")
    li.says("不").sees("没有办理")


@pytest.mark.parametrize(("question", "answer"), [
    ("提现", "没有提现"), ("问答", "没有要您确认的事"), ("再卖", "没有要您确认的事"), ("兑换", "没有要您确认的事"),
    ("换风格", "没有要您确认的事"), ("海报 不存在的东西", "没有要您确认的事"), ("提100", "没有办理"),
    ("抽奖", "没有抽"), ("注销", "没有注销"),
])
def test_a_no_ends_every_question(li: Person, question: str, answer: str) -> None:
    li.says(question).says("不要").sees(answer)
    li.says("2").sees("没太听懂")


def test_a_wrong_number_leaves_the_question_of_the_day_open(li: Person) -> None:
    li.says("问答").says("9").sees("请回复选项前的数字")
    li.says("随便").sees("请回复选项前的数字")
    li.says("2").sees("密封避光")


def test_another_sum_is_shown_in_its_turn(li: Person) -> None:
    li.says("提100").sees("您是想提现 100 吗")
    li.says("提200").sees("您是想提现 200 吗")
    li.says("提200").sees("没有办理")
    agreed(li).sees("请核对", "提现 ¥100.00")
    li.says("120.5").sees("请核对", "提现 ¥120.50")
    li.says("提130").sees("您是想提现 130 吗")
    li.says("是").sees("请核对", "提现 ¥130.00")
    li.says("我要提现").sees("没有提现")
    li.says("确认").sees("没有要您确认的事")


def test_yuan_and_mao_within_a_sentence_are_all_read(li: Person) -> None:
    li.says("提现 100").says("同意")
    li.says("张三丰").says("取消")
    li.says("提现").says("提200块5毛吧").sees("请核对", "提现 ¥200.50")


def test_all_of_it_may_be_said_at_once(li: Person) -> None:
    agreed(li, "都提").sees("请核对", "提现 ¥242.40")
    for said in ("都提", "全提", "都提了", "提全部"):
        li.says("提现").says(said).sees("请核对", "提现 ¥242.40")


def test_what_is_no_name_is_not_kept_as_one(li: Person) -> None:
    li.says("提现 100").says("同意").sees("真实姓名")
    for said in ("同意", "好的", "我叫王小明", "为什么要姓名", "什么意思", "我要提现", "等一下"):
        li.says(said).sees("不像一个真实姓名")
    li.says("王小明").sees("请核对", "收款人 王**")


@pytest.mark.parametrize("name", ["于娥", "海宝", "任工", "田贤", "了凡", "阿卜杜拉·买买提"])
def test_a_name_may_sound_like_a_word_of_ours(li: Person, name: str) -> None:
    agreed(li, name=name).sees("请核对", f"收款人 {name[0]}*")


def test_a_sentence_at_the_name_is_heard_and_a_no_ends_it(li: Person) -> None:
    li.says("提现 100").says("同意")
    li.says("帮我查查上个月的订单").sees("订单")
    li.says("提现 100").sees("真实姓名")
    li.says("不").sees("没有提现")


def test_a_picture_leaves_the_question_open(li: Person) -> None:
    """Above all one of an ID card, which nobody is invited to show around."""
    li.says("提现")
    for said, seen in (("100", "请阅读"), ("同意", "真实姓名"), ("张三丰", "请核对")):
        assert "投稿" not in str(sends_picture(li, "card").sees("请打字回答", "不需要身份证照片").heard)
        li.says(said).sees(seen)
    sends_picture(li, "card").sees("请打字回答")
    li.says("不").sees("没有提现")


def test_a_wrong_name_is_put_right_before_the_money_goes(li: Person) -> None:
    agreed(li, name="汪小明").sees("收款人 汪**", "「改姓名」")
    li.says("改姓名").sees("真实姓名")
    li.says("王小明").sees("请核对", "收款人 王**", "提现 ¥100.00")
