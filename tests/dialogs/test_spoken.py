"""Voice messages with recognised words: understood like typed ones, but money and consent must be typed."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import text

from bot.runtime.understanding import understand
from bot.runtime.understanding.lexicon import load
from domain.shared.clock import FixedClock
from handlers.chat import voice
from tests.dialogs.test_feedback import sends_picture
from tests.dialogs.test_withdrawals import GOOD_ID, earner, held
from tests.fakes.frozen import Frozen, frozen
from tests.fakes.shop import Person, Shop

LEXICON = load(Path(__file__).parents[2] / "assets" / "intents.toml")
MUST_BE_TYPED = {
    "wallet.withdraw": "提现", "withdraw.cancel": "取消提现", "packets.show": "红包", "people.leave": "注销",
    "people.stay": "取消注销", "invitation.accept": "接受邀请", "invitation.decline": "谢绝邀请", "draw.once": "抽一次",
    "notices.stop": "退订", "notices.resume": "恢复", "notices.less": "少发点", "notices.subscribe": "订阅",
    "notices.hours": "免打扰", "notices.hours_default": "恢复默认", "shots.send": "投稿", "shots.revoke": "撤回投稿",
    "shots.anonymous": "投稿匿名", "shots.named": "投稿署名", "topic.show": "话题", "topic.take_back": "撤回话题",
}
"""What moves money, gives or takes back consent, or is read by others; and the word that asks for it."""


@pytest.fixture(scope="module")
def earned(new_shop: Frozen, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Frozen]:
    """李姐 has 158.40 yuan to withdraw."""
    home = tmp_path_factory.mktemp("earned")
    with frozen(new_shop.postgres, home, lambda shop: earner(shop, "李姐", 198_000), new_shop) as shop:
        yield shop


@pytest.fixture
def shop(tmp_path: Path, earned: Frozen, clock: FixedClock) -> Iterator[Shop]:
    with earned.shop(tmp_path, clock) as shop:
        yield shop


@pytest.fixture
def li(shop: Shop) -> Person:
    return shop.people["李姐"]


def kept(shop: Shop) -> list[str]:
    """Voice messages as they were written down."""
    with shop.runtime.sessions() as session:
        return list(session.scalars(text("select payload::text from inbox_message where kind = 'voice' order by id")))


@pytest.mark.parametrize(("heard", "intent"), [
    ("佣金。", "wallet.balance"), ("我想看一下我的佣金。", "wallet.balance"), ("帮我查一下明细。", "wallet.lines"),
    ("我的积分有多少？", "points.show"), ("给我来一张海报。", "poster.make"), ("我的订单到哪了？", "orders.show"),
    ("看一下优惠券。", "coupons.show"), ("转人工客服。", "human"), ("今天签到。", "checkin"), ("团队。", "team.show"),
    ("帮助。", "help"), ("排行榜。", "rank.show"),
])
def test_what_people_say_means_what_it_means_when_typed(heard: str, intent: str) -> None:
    assert understand(heard.rstrip("。")).intent == intent
    assert intent in voice.BY_VOICE


def test_every_intent_is_either_spoken_or_typed() -> None:
    assert set(LEXICON.intents) == (voice.BY_VOICE - {""}) | set(MUST_BE_TYPED)
    assert not voice.BY_VOICE & set(MUST_BE_TYPED)
    assert {name for name, one in LEXICON.intents.items() if one.money} <= set(MUST_BE_TYPED)
    for name, word in MUST_BE_TYPED.items():
        assert (understand(word).intent, understand(word).certainty) == (name, "exact")


def test_words_in_a_voice_message_are_answered(shop: Shop, li: Person) -> None:
    li.speaks("佣金。").sees("可提现 ¥158.40")
    assert not str(li.heard[-1]).startswith("听到"), "what is certain is not said back"
    li.speaks("佣金到现在一共是多少。").sees("听到：「佣金到现在一共是多少」\n", "可提现 ¥158.40")
    li.speaks("给我来一张海报。")
    assert isinstance(li.heard[-1], bytes)
    li.speaks("今天天气怎么样。").sees("听到：「今天天气怎么样」", "帮助")
    li.speaks("").sees("只看得懂文字")
    li.speaks("。").sees("只看得懂文字")


@pytest.mark.parametrize("name", MUST_BE_TYPED)
def test_what_must_be_typed_does_nothing_when_said(shop: Shop, li: Person, name: str) -> None:
    word = MUST_BE_TYPED[name]
    with shop.runtime.sessions() as session:
        before = session.execute(text("select (select count(*) from journal), (select count(*) from consent),"
                                      " (select count(*) from erasure), (select count(*) from draw)")).one()
    li.speaks(f"{word}。").sees(f"听到：「{word}」", f"请打字回复「{word}」")
    with shop.runtime.sessions() as session:
        after = session.execute(text("select (select count(*) from journal), (select count(*) from consent),"
                                     " (select count(*) from erasure), (select count(*) from draw)")).one()
        assert session.scalar(text("select count(*) from withdrawal")) == 0
        assert session.scalar(text("select count(*) from conversation")) == 0
    assert before == after


@pytest.mark.parametrize("heard", ["我要提现一百块。", "帮我把钱都提出来提现。", "提现100。", "申请提现。"])
def test_a_sentence_about_money_is_said_back_and_asked_to_be_typed(shop: Shop, li: Person, heard: str) -> None:
    li.speaks(heard).sees("听到：「", "请打字回复「提现」")
    li.says("是")  # there is no question that a typed yes could answer
    with shop.runtime.sessions() as session:
        assert session.scalar(text("select count(*) from withdrawal")) == 0


def test_the_questions_of_a_withdrawal_are_answered_by_typing_only(shop: Shop, li: Person) -> None:
    li.says("提现")
    li.speaks("一百五。").sees("请打字回复")
    li.says("150").sees("请阅读")
    li.speaks("同意。").sees("听到：「同意」", "请打字回复")
    li.says("同意").sees("真实姓名")
    li.speaks("张三丰。").sees("请打字回复")
    assert "张三丰" not in str(li.heard[-1])
    assert "张三丰" not in kept(shop)[-1] and "media_1" not in kept(shop)[-1], "what is private is not kept"
    li.says("张三丰").sees("提现 ¥150.00")
    for said in ("确认。", "是。", "好的。", "取消。"):
        li.speaks(said).sees("请打字回复")
        assert shop.get("/ledger/check")["balanced"]
    li.says("确认").sees("已申请提现 ¥150.00")
    li.says("取消提现")
    li.speaks("确认取消。").sees("请打字回复")
    li.speaks("确认。").sees("请打字回复")
    li.speaks("佣金。").sees("提现中 ¥150.00")  # as when typed, a word of its own leaves the question
    assert held(shop) == []


def test_leaving_and_the_confirmation_of_a_slip_need_typing(shop: Shop, li: Person) -> None:
    li.says("注销").sees("注销")
    li.speaks("确认注销。").sees("听到：「确认注销」", "请打字")
    li.says("不")
    li.says("tixian").sees("涉及资金")
    li.speaks("是。").sees("请打字回复")
    li.speaks("对。").sees("请打字回复")
    li.says("不用了").sees("没有办理")
    with shop.runtime.sessions() as session:
        assert session.scalar(text("select count(*) from erasure")) == 0


def test_an_id_number_that_is_said_is_not_kept(shop: Shop, li: Person) -> None:
    li.speaks(f"我的身份证号是{GOOD_ID}。")
    assert GOOD_ID not in kept(shop)[-1] and "我的身份证号是1101" in kept(shop)[-1]


def test_harmless_questions_take_a_spoken_answer(shop: Shop, li: Person) -> None:
    li.says("反馈").sees("您请说")
    li.speaks("米袋子有一点破了。").sees("听到：「米袋子有一点破了」")
    with shop.runtime.sessions() as session:
        assert session.scalar(text("select words from feedback order by id desc limit 1")) == "米袋子有一点破了"
    li.says("为什么 66.66").sees("没有找到")
    li.speaks("A-李姐。")
    assert "请打字" not in str(li.heard[-1])


def test_after_a_picture_that_came_unasked_words_may_be_spoken(shop: Shop, li: Person) -> None:
    """Nothing was asked there, so nothing must be typed; but what others will read must be, as anywhere."""
    sends_picture(li, "one").sees("图片收到啦")
    li.speaks("佣金现在一共是多少。").sees("可提现 ¥158.40")
    sends_picture(li, "two")
    li.speaks("今天天气怎么样呢。").sees("听到：「今天天气怎么样呢」")
    assert "请打字" not in str(li.heard[-1])
    sends_picture(li, "three")
    li.speaks("投稿。").sees("请打字回复「投稿」")
    li.says("投稿").sees("照片收到了")
    li.speaks("可以。").sees("请打字回复")


def test_after_a_show_of_orders_words_may_be_spoken(shop: Shop, li: Person) -> None:
    li.says("晒单")
    li.speaks("我的佣金现在一共是多少。").sees("可提现 ¥158.40")


def test_who_talks_to_a_human_may_talk(shop: Shop, li: Person) -> None:
    li.speaks("转人工。")
    li.speaks("我的大米还没有到。")
    assert "请打字" not in str(li.heard[-1]) and "只看得懂文字" not in str(li.heard[-1])


def test_a_retry_of_a_voice_message_is_the_same_message(shop: Shop, li: Person) -> None:
    fields = {"MsgType": "voice", "MediaId": "m", "Format": "amr", "MsgId": "880011", "Recognition": "反馈包装很好。"}
    li._post(fields)
    li._post(fields)
    with shop.runtime.sessions() as session:
        assert session.scalar(text("select count(*) from feedback")) == 1
