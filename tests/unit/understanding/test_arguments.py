"""What comes with a word, in the characters that were typed."""

import pytest

from bot.runtime.understanding import understand


@pytest.mark.parametrize(
    ("text", "intent", "argument"),
    [
        ("海报 牛奶", "poster.make", "牛奶"),
        ("海報 雞蛋", "poster.make", "鸡蛋"),
        ("haibao 有机大米 5kg", "poster.make", "有机大米 5kg"),
        ("hai bao 牛奶", "poster.make", "牛奶"),
        ("海豹，牛奶🥛", "poster.make", "牛奶"),
        ("海报#12", "poster.make", "#12"),
        ("海报 RICE-5KG", "poster.make", "RICE-5KG"),
        ("麻烦给我发一张牛奶的海报", "poster.make", "牛奶"),
        ("有机大米海报", "poster.make", "有机大米"),
        ("给我发一张有机大米的海报吧", "poster.make", "有机大米"),
        ("海报，谢谢", "poster.make", ""),
        ("海报 点心，谢谢", "poster.make", "点心"),
        ("海报真好看", "poster.make", ""),
        ("意见箱在哪", "", ""),
        ("wo yao haibao", "poster.make", ""),
        ("换风格 2", "poster.style", "2"),
        ("为什么 7.92", "wallet.why", "7.92"),
        ("为什么￥7.92？", "wallet.why", "¥7.92"),
        ("为什么 7块9毛2", "wallet.why", "7块9毛2"),
        ("为什么 -3.20", "wallet.why", "-3.20"),
        ("为什么 A1001", "wallet.why", "A1001"),
        ("weishenme a1001", "wallet.why", "a1001"),
        ("为什么订单 A1001 只给 7.92", "wallet.why", "A1001"),
        ("提现 100.50元", "wallet.withdraw", "100.50元"),
        ("提现 两百五十", "wallet.withdraw", "两百五十"),
        ("把100块提现", "wallet.withdraw", "100块"),
        ("提现 失败", "", ""),
        ("佣金 100", "wallet.balance", ""),
    ],
)
def test_arguments(text: str, intent: str, argument: str):
    heard = understand(text)
    assert (heard.intent, heard.argument) == (intent, argument)


@pytest.mark.parametrize(
    "content",
    [
        "物流太慢了", "包裝破了，請改進！", "👍很好吃🎉", "ＡＢＣ全角", "第一行\n第二行", "提现 100", "x",
        "⑤星好评……", "好吃[强][强]",
    ],
)
@pytest.mark.parametrize("head", ["反馈 ", "反馈：", "反饋，", "　反馈　", "🌸反馈:", "反馈", "【反馈】", "请反馈 "])
def test_free_text_stays_as_it_was_typed(head: str, content: str):
    heard = understand(head + content)
    assert (heard.intent, heard.argument) == ("feedback", content)


def test_free_text_never_carries_what_a_database_refuses():
    heard = understand("反馈 包装\x00破了\ud800")
    assert heard.argument == "包装破了"


def test_long_free_text_is_kept_whole():
    content = "慢" * 650
    assert understand("反馈 " + content).argument == content
